import { iamArn } from "#model/iam-keys.ts";
import type { RoleRecord } from "#model/iam-records.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import { agentRole } from "./agents.ts";
import { newSessionKeyId, newSecret } from "./ids.ts";

/**
 * Temporary credentials. The session token says, sealed, all that there is to know of a session: nothing is kept of it, so sessions cost no room and
 * outlive every restart. What ends one early is looked up at each use: whether its role or user is still the same (src/identity/credentials.ts).
 */

/** Whose session it is. Ids tell a name that was given again from the one before. */
export type SessionHolder =
  | {
      readonly kind: "AssumedRole";
      readonly roleName: string;
      readonly roleId: string;
      readonly rolePath: string;
      readonly sessionName: string;
    }
  /** GetSessionToken's. */
  | { readonly kind: "User"; readonly userName: string; readonly userId: string }
  | { readonly kind: "Root" }
  /**
   * The agent of a machine: see agents.ts. `machine`: it joined by a token, and holds as long as its MachineRecord stands. `instanceRegion`: `node` is a local EC2 instance of
   * that region, and it holds until that is terminated.
   */
  | {
      readonly kind: "Agent";
      readonly node: string;
      /** `*`: its machine decides, as an instance's user data does. */
      readonly cluster: string;
      readonly instanceRole?: string;
      readonly machine?: string;
      readonly instanceRegion?: string;
    }
  /** GetFederationToken's; without `userName` the root user asked. */
  | { readonly kind: "FederatedUser"; readonly name: string; readonly userName?: string; readonly userId?: string };

export interface SessionTerms {
  /** Inline session policies, JSON. */
  readonly policies?: readonly string[];
  /** Managed policies that limit the session as they stand when it is used. */
  readonly policyArns?: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
  readonly transitiveTagKeys?: readonly string[];
  readonly sourceIdentity?: string;
}

export interface Session extends SessionTerms {
  readonly account: string;
  readonly holder: SessionHolder;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Milliseconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export interface SessionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Milliseconds. */
  readonly expiresAt: number;
  /** e.g. `arn:aws:sts::000000000000:assumed-role/web/i-0123`. */
  readonly arn: string;
  /** e.g. `AROA…:i-0123`. */
  readonly userId: string;
}

const scope = "sts-session";

export const roleHolder = (role: RoleRecord, sessionName: string): SessionHolder => ({
  kind: "AssumedRole",
  roleName: role.name,
  roleId: role.id,
  rolePath: role.path,
  sessionName,
});

/** Makes credentials for `durationSeconds` from `now`. Whether the holder may have them was decided before. */
export function issueSession(
  { sealer, random }: { readonly sealer: Sealer; readonly random: Random },
  account: string,
  holder: SessionHolder,
  durationSeconds: number,
  now: number,
  terms: SessionTerms = {},
): SessionCredentials {
  const session: Session = {
    ...terms,
    account,
    holder,
    accessKeyId: newSessionKeyId(random, account),
    secretAccessKey: newSecret(random),
    issuedAt: now,
    expiresAt: now + durationSeconds * 1000,
  };
  const { accessKeyId, secretAccessKey, expiresAt } = session;
  return { accessKeyId, secretAccessKey, sessionToken: sealer.seal(scope, session), expiresAt, ...namesOf(account, holder) };
}

/** Undefined: not one of our tokens. */
export const openSession = (sealer: Sealer, token: string) => sealer.open(scope, token) as Session | undefined;

/** What GetCallerIdentity calls a session's holder; of a user the path is not known here. */
export function namesOf(account: string, holder: SessionHolder): { readonly arn: string; readonly userId: string } {
  switch (holder.kind) {
    case "AssumedRole":
      return {
        arn: `arn:aws:sts::${account}:assumed-role/${holder.roleName}/${holder.sessionName}`,
        userId: `${holder.roleId}:${holder.sessionName}`,
      };
    case "FederatedUser":
      return { arn: `arn:aws:sts::${account}:federated-user/${holder.name}`, userId: `${account}:${holder.name}` };
    case "User":
      return { arn: iamArn(account, `user/${holder.userName}`), userId: holder.userId };
    case "Agent":
      return { arn: `arn:aws:sts::${account}:assumed-role/${agentRole}/${holder.node}`, userId: `${agentRole}:${holder.node}` };
    case "Root":
      return { arn: iamArn(account, "root"), userId: account };
  }
}
