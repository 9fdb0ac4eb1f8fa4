import type { InstanceIdentity, InstanceProfile, SessionKeys } from "#agent-protocol/instances.ts";
import { assumeRoleForService } from "#identity/roles.ts";
import { issueSession, type SessionCredentials } from "#identity/sessions.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { InstanceProfileRecord, RoleRecord } from "#model/iam-records.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import { profileOf } from "./profile.ts";

/** Who becomes the roles of instance profiles. */
export const instancesService = "ec2.amazonaws.com";

/** As long as those of the machine's own agent: the instance outlives a server that is away. */
const agentSeconds = 7 * 86_400;

/**
 * Who each local instance is: its agent's credentials, and those of its instance profile's role. The same answer until half of their life is over or something else has changed, so
 * that whoever tells of it sees by comparing whether there is news. Kept in memory only: a server that starts anew issues anew.
 */
export interface InstanceCredentials {
  of(scope: Scope, record: InstanceRecord): Promise<InstanceIdentity>;
  /** What is no instance any more. */
  keep(isKnown: (instanceId: string) => boolean): void;
  /** Who asks at least this often (milliseconds) hands out nothing that has ended. */
  readonly lookMs: number;
}

interface Issued {
  readonly keys: SessionKeys;
  /** Milliseconds: when the next ones are made. */
  readonly renewAt: number;
  /** What it is of. */
  readonly roleId?: string;
}

export function createInstanceCredentials(deps: {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: { readonly taskCredentialsSeconds: number };
}): InstanceCredentials {
  const { store, clock, log } = deps;
  const { taskCredentialsSeconds: roleSeconds } = deps.config;
  const agents = new Map<string, Issued>();
  const roles = new Map<string, Issued>();

  const issuedNow = ({ accessKeyId, secretAccessKey, sessionToken, expiresAt }: SessionCredentials, now: number): Issued => ({
    keys: {
      accessKeyId,
      secretAccessKey,
      sessionToken,
      issued: new Date(now).toISOString().replace(/\.\d+Z$/, "Z"),
      expiration: new Date(expiresAt).toISOString().replace(/\.\d+Z$/, "Z"),
    },
    renewAt: (now + expiresAt) / 2,
  });

  function agentOf({ account, region }: Scope, { id }: InstanceRecord, now: number): SessionKeys {
    let issued = agents.get(id);
    if (!issued || issued.renewAt <= now) {
      const holder = { kind: "Agent" as const, node: id, cluster: "*", instanceRegion: region };
      issued = issuedNow(issueSession(deps, account, holder, agentSeconds, now), now);
      agents.set(id, issued);
    }
    return issued.keys;
  }

  /** Undefined: EC2 cannot become the role now. What it was given before holds for its time, as with AWS. */
  async function roleKeys(scope: Scope, { id }: InstanceRecord, role: RoleRecord, now: number): Promise<SessionKeys | undefined> {
    const known = roles.get(id);
    if (known?.roleId === role.id && now < known.renewAt) return known.keys;
    const { account, region } = scope;
    const assumed = await assumeRoleForService(deps, {
      roleArn: `arn:aws:iam::${account}:role${role.path}${role.name}`,
      service: instancesService,
      sessionName: id,
      durationSeconds: roleSeconds,
      now,
      region,
      source: { arn: `arn:aws:ec2:${region}:${account}:instance/${id}`, account },
    });
    if ("problem" in assumed) {
      roles.delete(id);
      log.debug({ instance: id, role: role.name, problem: assumed.problem }, "the role of an instance profile cannot be assumed");
      return undefined;
    }
    const issued = { ...issuedNow(assumed.credentials, now), roleId: role.id };
    roles.set(id, issued);
    return issued.keys;
  }

  async function roleOf(
    scope: Scope,
    record: InstanceRecord,
    profile: InstanceProfileRecord,
    now: number,
  ): Promise<InstanceProfile["role"]> {
    if (profile.role === undefined) return undefined;
    const role = (await store.get<RoleRecord>(iamKeys.entity(scope.account, "role", profile.role)))?.value;
    if (!role) return { name: profile.role };
    const credentials = await roleKeys(scope, record, role, now);
    return { name: role.name, ...(credentials ? { credentials } : {}) };
  }

  return {
    lookMs: (roleSeconds * 1000) / 4,
    async of(scope, record) {
      const now = clock.now();
      const agent = agentOf(scope, record, now);
      if (!record.instanceProfile) return { instanceId: record.id, agent };
      const { arn, id } = record.instanceProfile;
      const found = await profileOf(store, record);
      const role = found && (await roleOf(scope, record, found, now));
      return { instanceId: record.id, agent, profile: { arn, id, found: found !== undefined, ...(role ? { role } : {}) } };
    },
    keep(isKnown) {
      for (const issued of [agents, roles]) for (const id of issued.keys()) if (!isKnown(id)) issued.delete(id);
    },
  };
}
