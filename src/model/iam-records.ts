import type { Tag } from "./ecs-records.ts";

/**
 * What IAM keeps. One writer each: the operations of IAM (src/services/iam). Documents are kept as they were given; names keep their case, keys do not.
 * Source: IAM API Reference, "Data Types".
 */

export type EntityKind = "user" | "group" | "role";

/** What users, groups and roles have in common. */
export interface EntityRecord {
  readonly name: string;
  /** `AIDA…`, `AGPA…`, `AROA…`: never given twice, so a name that comes back is somebody else. */
  readonly id: string;
  /** Begins and ends with a slash. */
  readonly path: string;
  /** Milliseconds. */
  readonly createdAt: number;
  /** Inline policies: documents by name. */
  readonly policies: Readonly<Record<string, string>>;
  /** ARNs of managed policies, in the order in which they were attached. */
  readonly attached: readonly string[];
}

interface Bounded {
  /** ARN of the managed policy that bounds what this identity's policies can allow. */
  readonly boundary?: string;
  readonly tags: readonly Tag[];
}

export interface UserRecord extends EntityRecord, Bounded {
  /** Names of groups. The other side of `GroupRecord.users`, written with it. */
  readonly groups: readonly string[];
  /** Ids, two at most. */
  readonly accessKeys: readonly string[];
}

export interface GroupRecord extends EntityRecord {
  /** Names of users. */
  readonly users: readonly string[];
}

export interface RoleRecord extends EntityRecord, Bounded {
  /** The trust policy. */
  readonly trust: string;
  readonly description?: string;
  /** Seconds. */
  readonly maxSessionDuration: number;
  /** Names of the instance profiles that hold it. The other side of `InstanceProfileRecord.role`, written with it. */
  readonly profiles: readonly string[];
  /** Of a service-linked role: whose it is, e.g. `ecs.amazonaws.com`. */
  readonly service?: string;
}

export interface InstanceProfileRecord {
  readonly name: string;
  readonly id: string;
  readonly path: string;
  readonly createdAt: number;
  /** Name of the one role. */
  readonly role?: string;
  readonly tags: readonly Tag[];
}

export interface PolicyVersion {
  /** `v1`, `v2` … */
  readonly id: string;
  readonly document: string;
  readonly createdAt: number;
}

/** How many entities a managed policy is attached to, and how many it bounds: what stands in their records, counted with every change of them. */
export interface PolicyUse {
  readonly attachments: number;
  readonly boundaries: number;
}

/** A customer's managed policy. */
export interface PolicyRecord extends PolicyUse {
  readonly name: string;
  readonly id: string;
  readonly path: string;
  readonly description?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly defaultVersion: string;
  /** Number of the version that comes next: a deleted version's is not given again. */
  readonly nextVersion: number;
  readonly versions: readonly PolicyVersion[];
  readonly tags: readonly Tag[];
}

export interface AccessKeyRecord {
  readonly id: string;
  readonly account: string;
  /** Name and id of its user. */
  readonly user: string;
  readonly userId: string;
  readonly active: boolean;
  readonly createdAt: number;
  /** The secret, sealed for `iamSecretScope(id)`. */
  readonly secret: string;
}

/** When a key or a role was last used, within a minute. Written by whoever verifies signatures, never by an operation. */
export interface LastUsedRecord {
  readonly at: number;
  /** e.g. `ecs`. */
  readonly service: string;
  readonly region: string;
}

export interface OidcProviderRecord {
  /** As `https://host/path`, or `http://…`. */
  readonly url: string;
  readonly clientIds: readonly string[];
  readonly thumbprints: readonly string[];
  readonly createdAt: number;
  readonly tags: readonly Tag[];
}

export const iamSecretScope = (accessKeyId: string) => `iam-access-key ${accessKeyId}`;
