import type { Principal } from "#api/contract.ts";
import { type CredentialSource, type HeldCredentials, type KeyUse, rootPrincipal } from "#api/credentials.ts";
import type { Tag } from "#model/ecs-records.ts";
import { iamArn, iamKeys, parseIamArn } from "#model/iam-keys.ts";
import { type AccessKeyRecord, iamSecretScope, type PolicyRecord, type RoleRecord, type UserRecord } from "#model/iam-records.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { machineKeys } from "#model/machine-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { Logger } from "#platform/log.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import { agentRoleArn } from "./agents.ts";
import { awsPolicies } from "./aws-policies.ts";
import { namesOf, openSession, type Session } from "./sessions.ts";

/** How often the last use of a key or a role is written down. */
const noteEveryMs = 60_000;
const mostTokens = 5_000;

/** Limits a session whose managed session policy was deleted: none of what it allowed is known any more. */
const nothing = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}';

export interface IdentityDeps {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly log: Logger;
}

/**
 * The keys of IAM's users and the sessions of STS. Looked up anew with every request: what was made inactive or deleted ends with the next one.
 * Secrets and tokens are unsealed once and remembered.
 */
export function identityCredentials({ store, sealer, log }: IdentityDeps): CredentialSource {
  const secrets = new WeakMap<AccessKeyRecord, string>();
  const sessions = new Map<string, Session>();
  const noted = new Map<string, number>();
  const get = async <T>(key: string) => (await store.get<T>(key))?.value;

  /** The only writer of LastUsedRecords. `id`: of a key or a role. */
  const noter = (id: string) => (use: KeyUse) => {
    const before = noted.get(id);
    if (before !== undefined && use.at - before < noteEveryMs) return;
    if (noted.size >= mostTokens) noted.clear();
    noted.set(id, use.at);
    store
      .transaction({ writes: [{ put: iamKeys.lastUsed(id), value: { at: use.at, service: use.service, region: use.region } }] })
      .catch((error: unknown) => log.debug({ err: error }, "the last use of a key could not be written down"));
  };

  function secretOf(key: AccessKeyRecord): string | undefined {
    const known = secrets.get(key);
    if (known !== undefined) return known;
    const secret = sealer.open(iamSecretScope(key.id), key.secret);
    if (typeof secret !== "string") return undefined;
    secrets.set(key, secret);
    return secret;
  }

  function sessionOf(token: string): Session | undefined {
    const known = sessions.get(token);
    if (known) return known;
    const session = openSession(sealer, token);
    if (!session) return undefined;
    if (sessions.size >= mostTokens) sessions.delete(sessions.keys().next().value!);
    sessions.set(token, session);
    return session;
  }

  const userNow = async (account: string, name: string, id: string | undefined) => {
    const user = await get<UserRecord>(iamKeys.entity(account, "user", name));
    return user?.id === id ? user : undefined;
  };

  async function ofUser(accessKeyId: string): Promise<HeldCredentials | undefined> {
    const key = await get<AccessKeyRecord>(iamKeys.accessKey(accessKeyId));
    if (!key?.active) return undefined;
    const user = await userNow(key.account, key.user, key.userId);
    const secretAccessKey = user && secretOf(key);
    if (!user || secretAccessKey === undefined) return undefined;
    return { secretAccessKey, principal: userPrincipal(key.account, user, accessKeyId), used: noter(key.id) };
  }

  async function policiesOf({ account, policies = [], policyArns = [] }: Session): Promise<readonly string[]> {
    if (policyArns.length === 0) return policies;
    const managed: string[] = [];
    for (const arn of policyArns) {
      const own = awsPolicies.has(arn) ? undefined : await get<PolicyRecord>(iamKeys.policy(account, parseIamArn(arn)?.name ?? ""));
      const document = awsPolicies.get(arn)?.document ?? own?.versions.find(({ id }) => id === own.defaultVersion)?.document;
      managed.push(document ?? nothing);
    }
    return [...policies, ...managed];
  }

  /** From the moment that it is to be terminated, an instance speaks for nobody. */
  async function isThere(account: string, region: string, instanceId: string): Promise<boolean> {
    const record = await get<InstanceRecord>(vpcKeys.one({ account, region }, "instance", instanceId));
    return record !== undefined && record.desired !== "terminated" && record.terminatedAt === undefined;
  }

  /** The principal of a session whose holder is still there. */
  async function principalOf(session: Session): Promise<Principal | undefined> {
    const { account, holder, accessKeyId } = session;
    const base = { account, accessKeyId, ...namesOf(account, holder) };
    const terms = {
      policies: await policiesOf(session),
      tags: session.tags ?? {},
      transitiveTagKeys: session.transitiveTagKeys ?? [],
      ...(session.sourceIdentity === undefined ? {} : { sourceIdentity: session.sourceIdentity }),
      issuedAt: session.issuedAt,
    };
    switch (holder.kind) {
      case "Root":
        return { ...rootPrincipal(account, accessKeyId), session: terms };
      case "User": {
        const user = await userNow(account, holder.userName, holder.userId);
        return user && { ...userPrincipal(account, user, accessKeyId), session: terms };
      }
      case "Agent":
        if (holder.machine !== undefined && !(await get(machineKeys.machine(holder.machine)))) return undefined;
        if (holder.instanceRegion !== undefined && !(await isThere(account, holder.instanceRegion, holder.node))) return undefined;
        return { ...base, identity: { ...holder, roleArn: agentRoleArn(account) }, session: terms };
      case "FederatedUser": {
        const { name, userName, userId } = holder;
        const user = userName === undefined ? undefined : await userNow(account, userName, userId);
        if (userName !== undefined && !user) return undefined;
        const identity = { kind: "FederatedUser" as const, name, ...(user ? { userName: user.name } : {}) };
        return { ...base, identity, session: terms, tags: { ...(user ? tagsOf(user.tags) : {}), ...session.tags } };
      }
      case "AssumedRole": {
        const role = await get<RoleRecord>(iamKeys.entity(account, "role", holder.roleName));
        if (role?.id !== holder.roleId) return undefined;
        const roleArn = iamArn(account, `role${role.path}${role.name}`);
        const identity = { kind: "AssumedRole" as const, roleName: role.name, roleArn, sessionName: holder.sessionName };
        return { ...base, identity, session: terms, tags: { ...tagsOf(role.tags), ...session.tags } };
      }
    }
  }

  async function ofSession(accessKeyId: string, token: string): Promise<HeldCredentials | undefined> {
    const session = sessionOf(token);
    if (session?.accessKeyId !== accessKeyId) return undefined;
    const principal = await principalOf(session);
    if (!principal) return undefined;
    const { secretAccessKey, expiresAt, holder } = session;
    return { secretAccessKey, principal, expiresAt, ...(holder.kind === "AssumedRole" ? { used: noter(holder.roleId) } : {}) };
  }

  return {
    lookup: (accessKeyId, sessionToken) => (sessionToken === undefined ? ofUser(accessKeyId) : ofSession(accessKeyId, sessionToken)),
  };
}

const tagsOf = (tags: readonly Tag[]) => Object.fromEntries(tags.map(({ key, value }) => [key, value]));

function userPrincipal(account: string, user: UserRecord, accessKeyId: string): Principal {
  return {
    account,
    arn: iamArn(account, `user${user.path}${user.name}`),
    userId: user.id,
    accessKeyId,
    identity: { kind: "User", userName: user.name },
    ...(user.tags.length > 0 ? { tags: tagsOf(user.tags) } : {}),
  };
}
