import type { PolicySource } from "#api/authorize.ts";
import { iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { EntityKind, EntityRecord, GroupRecord, PolicyRecord, RoleRecord, UserRecord } from "#model/iam-records.ts";
import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";
import type { Store } from "#store/store.ts";
import { agentPolicies } from "./agents.ts";
import { awsPolicies } from "./aws-policies.ts";

export type PoliciesOfPrincipal = Awaited<ReturnType<PolicySource["policiesOf"]>>;

const none: PoliciesOfPrincipal = { identity: [] };
const mostPrincipals = 10_000;

interface Known {
  /** Revision of `iamKeys.changed`: every change of IAM's records moves it. */
  readonly revision: number;
  readonly of: Map<string, PoliciesOfPrincipal>;
}

export interface IdentityPolicies extends PolicySource {
  /** Of a user, role or group by ARN, for those who ask about others; undefined: there is none. */
  policiesOfEntity(arn: string): Promise<PoliciesOfPrincipal | undefined>;
}

const sources = new WeakMap<Store, IdentityPolicies>();

/** One for each store: whoever asks shares what was read. */
export function policySource(store: Store): IdentityPolicies {
  let source = sources.get(store);
  if (!source) {
    source = createPolicySource(store);
    sources.set(store, source);
  }
  return source;
}

/**
 * A request costs one read of a key: as long as the account's revision stands, so does what was gathered. After a change documents whose records are
 * the same are not parsed again.
 */
export function createPolicySource(store: Store): IdentityPolicies {
  const accounts = new Map<string, Known>();
  const inline = new WeakMap<EntityRecord, readonly NamedPolicy[]>();
  const managed = new WeakMap<PolicyRecord, NamedPolicy>();
  const ofAws = new Map<string, NamedPolicy>();
  const get = async <T>(key: string) => (await store.get<T>(key))?.value;

  function inlineOf(record: EntityRecord): readonly NamedPolicy[] {
    let policies = inline.get(record);
    if (!policies) {
      policies = Object.entries(record.policies).map(([name, text]) => named(name, text));
      inline.set(record, policies);
    }
    return policies;
  }

  async function managedOf(account: string, arn: string): Promise<NamedPolicy> {
    const aws = awsPolicies.get(arn);
    if (aws) {
      let policy = ofAws.get(arn);
      if (!policy) {
        policy = named(aws.name, aws.document, arn);
        ofAws.set(arn, policy);
      }
      return policy;
    }
    const record = await get<PolicyRecord>(iamKeys.policy(account, parseIamArn(arn)?.name ?? ""));
    const text = record?.versions.find(({ id }) => id === record.defaultVersion)?.document;
    // What is attached cannot be deleted. Should it be gone all the same, nobody knows what it denied.
    if (!record || text === undefined) throw new Error(`policy ${arn} is attached but not there`);
    let policy = managed.get(record);
    if (!policy) {
      policy = named(record.name, text, arn);
      managed.set(record, policy);
    }
    return policy;
  }

  async function ofEntity(account: string, record: EntityRecord): Promise<NamedPolicy[]> {
    const policies = [...inlineOf(record)];
    for (const arn of record.attached) policies.push(await managedOf(account, arn));
    return policies;
  }

  async function bounded(account: string, identity: readonly NamedPolicy[], boundary: string | undefined): Promise<PoliciesOfPrincipal> {
    return { identity, ...(boundary === undefined ? {} : { boundary: await managedOf(account, boundary) }) };
  }

  async function ofUser(account: string, name: string): Promise<PoliciesOfPrincipal> {
    const user = await get<UserRecord>(iamKeys.entity(account, "user", name));
    if (!user) return none;
    const identity = await ofEntity(account, user);
    for (const each of user.groups) {
      const group = await get<GroupRecord>(iamKeys.entity(account, "group", each));
      if (group) identity.push(...(await ofEntity(account, group)));
    }
    return bounded(account, identity, user.boundary);
  }

  async function ofRole(account: string, name: string): Promise<PoliciesOfPrincipal> {
    const role = await get<RoleRecord>(iamKeys.entity(account, "role", name));
    return role ? bounded(account, await ofEntity(account, role), role.boundary) : none;
  }

  return {
    async policiesOfEntity(arn) {
      const parsed = parseIamArn(arn);
      if (!parsed || !isKind(parsed.kind)) return undefined;
      const { account, kind, name, path } = parsed;
      const record = await get<EntityRecord>(iamKeys.entity(account, kind, name));
      if (record?.name !== name || record.path !== path) return undefined;
      if (kind === "group") return { identity: await ofEntity(account, record) };
      return kind === "user" ? ofUser(account, name) : ofRole(account, name);
    },
    async policiesOf({ account, identity, session }) {
      const [kind, name] =
        identity?.kind === "User"
          ? ["user", identity.userName]
          : identity?.kind === "AssumedRole"
            ? ["role", identity.roleName]
            : identity?.kind === "FederatedUser" && identity.userName !== undefined
              ? ["user", identity.userName]
              : [];
      if (identity?.kind === "Agent") return agentPolicies(account, identity.cluster, identity.instanceRole);
      if (identity?.kind === "FederatedUser") {
        // A federated session has what its session policies allow: without any, nothing.
        if (!session || session.policies.length === 0) return none;
        if (identity.userName === undefined) return rootsOwn;
      }
      if (kind === undefined || name === undefined) return none;
      const revision = (await store.get(iamKeys.changed(account)))?.revision ?? 0;
      let known = accounts.get(account);
      if (known?.revision !== revision || known.of.size >= mostPrincipals) {
        known = { revision, of: new Map() };
        accounts.set(account, known);
      }
      const key = `${kind} ${name}`;
      let policies = known.of.get(key);
      if (!policies) {
        policies = await (kind === "user" ? ofUser(account, name) : ofRole(account, name));
        // A change in between has its own revision: with the next request all of this is read again.
        known.of.set(key, policies);
      }
      return policies;
    },
  };
}

const isKind = (text: string): text is EntityKind => text === "user" || text === "role" || text === "group";

function named(name: string, text: string, arn?: string): NamedPolicy {
  const { document, problem } = parsePolicy(text, "identity");
  // Checked before it was kept. A policy that nobody can read might deny: nothing is decided without it.
  if (problem !== undefined) throw new Error(`policy ${arn ?? name} cannot be read: ${problem}`);
  return { name, ...(arn === undefined ? {} : { arn }), document };
}

const rootsOwn: PoliciesOfPrincipal = {
  identity: [named("root", '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}')],
};
