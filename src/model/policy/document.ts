/**
 * A policy as it is evaluated: the same whether it hangs on an identity, a resource or a role's trust. Made by parsePolicy only, never by hand, and never
 * changed: what is compiled of it is kept beside it. Source: IAM User Guide, "IAM JSON policy elements reference".
 */
export interface PolicyDocument {
  readonly version: "2008-10-17" | "2012-10-17";
  readonly id?: string;
  readonly statements: readonly Statement[];
  /** As it was given: the policy simulator tells where in it a statement stands. */
  readonly text: string;
}

export interface Statement {
  readonly sid?: string;
  readonly effect: "Allow" | "Deny";
  readonly action: Selection;
  /** Absent in trust policies, and in resource policies that mean the resource that they hang on. */
  readonly resource?: Selection;
  /** Absent in identity policies. */
  readonly principal?: { readonly not: boolean; readonly entries: readonly PrincipalEntry[] };
  /** All must hold. */
  readonly conditions: readonly Condition[];
}

/** `Action` or, when `not`, `NotAction`; likewise for resources. */
export interface Selection {
  readonly not: boolean;
  readonly patterns: readonly string[];
}

export interface PrincipalEntry {
  /** `*` stands for everybody, whether or not anybody signed. */
  readonly type: "*" | "AWS" | "Service" | "Federated" | "CanonicalUser";
  readonly value: string;
}

export interface Condition {
  /** Without set and `IfExists`, e.g. `StringEquals`. */
  readonly operator: string;
  readonly set?: "ForAnyValue" | "ForAllValues";
  readonly ifExists: boolean;
  /** As written: keys are compared without regard to case. */
  readonly key: string;
  readonly values: readonly string[];
}

export type PolicyKind = "identity" | "resource" | "trust";

/** A policy and what to call it. */
export interface NamedPolicy {
  readonly name: string;
  readonly arn?: string;
  readonly document: PolicyDocument;
}
