/** Users and roles with their policies, kept in memory, behind the real front door and real signatures. */
import type { Principal, ServerPart } from "#api/contract.ts";
import type { PolicySource } from "#api/authorize.ts";
import { type CredentialSource, rootPrincipal } from "#api/credentials.ts";
import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";

export const account = "000000000000";
export const otherAccount = "444455556666";

export type StatementText = Readonly<Record<string, unknown>>;

export function policy(name: string, ...statements: readonly StatementText[]): NamedPolicy {
  return document(name, { Version: "2012-10-17", Statement: statements });
}

export function document(name: string, value: unknown, kind: "identity" | "resource" | "trust" = "identity"): NamedPolicy {
  const { document: parsed, problem } = parsePolicy(JSON.stringify(value), kind);
  if (!parsed) throw new Error(problem);
  return { name, document: parsed };
}

export const allow = (Action: string | readonly string[], Resource: string | readonly string[] = "*", more: StatementText = {}) => ({
  Effect: "Allow",
  Action,
  Resource,
  ...more,
});

export const deny = (Action: string | readonly string[], Resource: string | readonly string[] = "*", more: StatementText = {}) => ({
  Effect: "Deny",
  Action,
  Resource,
  ...more,
});

export interface Person {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface People {
  readonly credentials: CredentialSource;
  readonly part: ServerPart;
  /** Keys of a user of that name. */
  user(
    name: string,
    policies: { readonly identity?: readonly NamedPolicy[]; readonly boundary?: NamedPolicy; readonly tags?: Record<string, string> },
    of?: string,
  ): Person;
  /** Keys of a session of a role. */
  role(name: string, policies: { readonly identity?: readonly NamedPolicy[]; readonly session?: readonly unknown[] }, of?: string): Person;
  root(of?: string): Person;
}

export function createPeople(): People {
  const held = new Map<string, { secretAccessKey: string; principal: Principal; sessionToken?: string }>();
  const policies = new Map<string, { identity: readonly NamedPolicy[]; boundary?: NamedPolicy }>();
  const source: PolicySource = {
    policiesOf: async ({ identity, account: of }) => {
      const name =
        identity?.kind === "User" ? `user/${identity.userName}` : identity?.kind === "AssumedRole" ? `role/${identity.roleName}` : "";
      return policies.get(`${of} ${name}`) ?? { identity: [] };
    },
  };
  let count = 0;
  function keep(principal: Omit<Principal, "accessKeyId">, temporary: boolean): Person {
    const accessKeyId = `${temporary ? "ASIA" : "AKIA"}TESTTEST${String(++count).padStart(8, "0")}`;
    const secretAccessKey = `secret-of-${accessKeyId}-secret-secret-12`;
    const sessionToken = temporary ? `token-${accessKeyId}` : undefined;
    held.set(accessKeyId, { secretAccessKey, principal: { ...principal, accessKeyId }, ...(sessionToken && { sessionToken }) });
    return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  }
  return {
    credentials: {
      lookup: async (id, token) => {
        const found = held.get(id);
        return found?.sessionToken === token ? found : undefined;
      },
    },
    part: { policies: source },
    user(name, { identity = [], boundary, tags }, of = account) {
      policies.set(`${of} user/${name}`, { identity, ...(boundary && { boundary }) });
      const principal = {
        account: of,
        arn: `arn:aws:iam::${of}:user/${name}`,
        userId: `AIDA${name.toUpperCase()}`,
        identity: { kind: "User", userName: name },
        ...(tags && { tags }),
      } as const;
      return keep(principal, false);
    },
    role(name, { identity = [], session = [] }, of = account) {
      policies.set(`${of} role/${name}`, { identity });
      return keep(
        {
          account: of,
          arn: `arn:aws:sts::${of}:assumed-role/${name}/session`,
          userId: `AROA${name.toUpperCase()}:session`,
          identity: { kind: "AssumedRole", roleName: name, roleArn: `arn:aws:iam::${of}:role/${name}`, sessionName: "session" },
          session: { policies: session.map((each) => JSON.stringify(each)), tags: {}, transitiveTagKeys: [], issuedAt: 1_700_000_000_000 },
        },
        true,
      );
    },
    root: (of = account) => keep(rootPrincipal(of, ""), false),
  };
}
