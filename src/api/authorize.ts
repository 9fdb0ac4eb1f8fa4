import { denialMessage, evaluate, type NamedPolicy, type PolicySet } from "#model/policy/index.ts";
import { needsOf } from "./authorization/index.ts";
import type { Input, Need, Where } from "./authorization/table.ts";
import {
  addKeys,
  addResourceKeys,
  type Context,
  factsOf,
  principalContext,
  type RequestFacts,
  requestContext,
} from "./authorize-context.ts";
import type { ApiError, Principal } from "./contract.ts";
import { sessionPolicies } from "./session-policies.ts";
import { commonErrors } from "./errors.ts";
import type { Protocol } from "./schema.ts";

/** The policies of identities: IAM's (src/identity). */
export interface PolicySource {
  /** Of a user with those of its groups, or of a role; nothing for who is gone. The same object until something changes: it is asked for each request. */
  policiesOf(principal: Principal): Promise<{ readonly identity: readonly NamedPolicy[]; readonly boundary?: NamedPolicy }>;
}

/** The policies that hang on one service's resources, e.g. ECR's repository policies, a secret's, a KMS key's, a role's trust. */
export interface ResourcePolicySource {
  /** As ARNs name it. */
  readonly service: string;
  /** Nobody gets in without them, not even in the resource's account: roles and KMS keys. */
  readonly required?: true;
  /** `action`: a role's trust policy counts for sts:AssumeRole only. */
  resourcePolicies(resource: string, action: string): Promise<readonly NamedPolicy[]>;
}

/** What policies may ask about one service's resources. */
export interface ResourceFacts {
  /** As ARNs name it. */
  readonly service: string;
  /** Undefined: there is no such resource, or nothing is known of it. */
  describe(arn: string): Promise<ResourceDescription | undefined>;
  /** The resources of a request that does not name them, e.g. the key that a ciphertext was made with. */
  resourcesOf?(operation: string, input: Input, where: Where): Promise<readonly string[] | undefined>;
  /** Further needs of a request that its input alone does not show, e.g. iam:PassRole for the roles of a task definition. */
  needsOf?(operation: string, input: Input, where: Where): Promise<readonly Need[]>;
}

export interface ResourceDescription {
  /** In full, where a request may name it by less: a family's latest revision, an alias's key. */
  readonly arn?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface AuthorizerOptions {
  readonly open: boolean;
  /** Without one only root users may do anything. */
  readonly policies: PolicySource | undefined;
  readonly resourcePolicies: readonly ResourcePolicySource[];
  readonly resources: readonly ResourceFacts[];
}

/** An operation that somebody asks for. */
export interface AskedOperation {
  readonly service: string;
  readonly operation: string;
  readonly protocol: Protocol;
  readonly input: Input;
}

export interface Authorizer {
  /** Throws AccessDenied in the protocol's own form. */
  authorize(principal: Principal, asked: AskedOperation, request: RequestFacts): Promise<void>;
  /** For doors that are no AWS operations: AWS's sentence, or undefined when it is allowed. */
  denial(principal: Principal, need: Need, request: RequestFacts): Promise<string | undefined>;
}

/**
 * Who may do what. The root user may do all in their own account; everybody else what their policies and the resource's allow. An operation without a
 * mapping is the root user's alone.
 */
export function createAuthorizer({ open, policies, resourcePolicies, resources }: AuthorizerOptions): Authorizer {
  const onResources = new Map(resourcePolicies.map((source) => [source.service, source]));
  const facts = new Map(resources.map((each) => [each.service, each]));

  async function policiesOf(principal: Principal): Promise<PolicySet> {
    const service = principal.identity?.kind === "AWSService";
    const own = service || !principal.identity ? undefined : await policies?.policiesOf(principal);
    return {
      identity: own?.identity ?? [],
      ...(own?.boundary && { boundary: own.boundary }),
      ...sessionPolicies(principal),
    };
  }

  /** The first of the needs that is not met. Whoever is known to need no asking about a resource is not asked about it. */
  async function firstDenial(principal: Principal, needs: readonly Need[], request: RequestFacts): Promise<Denied | undefined> {
    let set: PolicySet | undefined;
    let common: Context | undefined;
    for (const need of needs) {
      for (const named of need.resources) {
        const service = named.startsWith("arn:") ? (named.split(":", 3)[2] ?? "") : "";
        const account = ownerOf(named) ?? need.account;
        const foreign = account !== principal.account;
        const source = onResources.get(service);
        // A root user's own account holds nothing back; another's does by its policies, where it has such.
        if (!principal.identity && (!foreign || !source)) continue;
        if (need.action === "iam:PassRole" && foreign) return { action: need.action, message: "Cross-account pass role is not allowed." };
        set ??= await policiesOf(principal);
        common ??= { ...requestContext(request), ...principalContext(principal) };
        const described = await facts.get(service)?.describe(named);
        const resource = described?.arn ?? named;
        const context = { ...common };
        addResourceKeys(context, need.action.slice(0, need.action.indexOf(":")), account, described?.tags);
        addKeys(context, need.keys);
        const question = {
          principal: factsOf(principal),
          action: need.action,
          resource,
          resourceAccount: account,
          context,
          ...(source?.required && { resourcePolicyRequired: true }),
        };
        const decision = evaluate(question, source ? { ...set, resource: await source.resourcePolicies(resource, need.action) } : set);
        if (decision.outcome !== "allowed") return { action: need.action, message: need.denied ?? denialMessage(question, decision) };
      }
    }
    return undefined;
  }

  return {
    async authorize(principal, { service, operation, protocol, input }, request) {
      if (open) return;
      const where: Where = {
        region: request.region,
        account: principal.account,
        userName: principal.identity?.kind === "User" ? principal.identity.userName : undefined,
      };
      const needs = needsOf(service, operation, input, where);
      if (!needs) {
        if (!principal.identity) return;
        throw denied(protocol, `User: ${principal.arn} is not authorized to perform: ${service}:${operation}`, service);
      }
      // In their own account nothing holds a root user back.
      const abroad = needs.some(({ resources }) => resources.some((arn) => (ownerOf(arn) ?? principal.account) !== principal.account));
      const known = principal.identity || abroad ? facts.get(service) : undefined;
      const all = known ? await completed(known, needs, operation, input, where) : needs;
      const found = await firstDenial(principal, all, request);
      if (found) throw denied(protocol, found.message, service);
    },
    async denial(principal, need, request) {
      return open ? undefined : (await firstDenial(principal, [need], request))?.message;
    },
  };
}

interface Denied {
  readonly action: string;
  readonly message: string;
}

/** What only the service itself can see of a request's needs. */
async function completed(
  facts: ResourceFacts,
  needs: readonly Need[],
  operation: string,
  input: Input,
  where: Where,
): Promise<readonly Need[]> {
  const resources = await facts.resourcesOf?.(operation, input, where);
  const more = (await facts.needsOf?.(operation, input, where)) ?? [];
  const [first, ...rest] = needs;
  return first && resources ? [{ ...first, resources }, ...rest, ...more] : [...needs, ...more];
}

/** The account in an ARN; undefined when the ARN has none, or AWS's own. */
function ownerOf(arn: string): string | undefined {
  const account = arn.startsWith("arn:") ? arn.split(":", 5)[4] : undefined;
  return account !== undefined && /^\d{12}$/.test(account) ? account : undefined;
}

function denied(protocol: Protocol, message: string, service: string): ApiError {
  // EC2 has a sentence of its own before it, and no word of a resource that is none. STS does not tell which policy is missing.
  if (protocol === "ec2Query")
    return commonErrors.accessDenied(
      protocol,
      `You are not authorized to perform this operation. ${message.replace(" on resource: *", "")}`,
    );
  return commonErrors.accessDenied(protocol, service === "sts" ? message.replace(/ because no .*$/, "") : message);
}
