import type { Tag } from "./ecs-records.ts";

/**
 * The records of KMS, Secrets Manager and Parameter Store (keys: secrets-keys.ts). Writer of each: its service's operations, and the sweep in
 * src/reconcilers/secrets for what falls due. Members named `sealed` are texts of the vault (#platform/vault.ts): nothing that is secret is ever in
 * the store otherwise. Times are milliseconds since the epoch.
 */

export interface KeyRecord {
  /** A UUID. */
  readonly id: string;
  readonly arn: string;
  readonly description: string;
  readonly state: "Enabled" | "Disabled" | "PendingDeletion";
  /** `AWS` for aws/secretsmanager and its kin, which are made when they are first used. */
  readonly manager: "CUSTOMER" | "AWS";
  readonly createdAt: number;
  /** Of a key that is PendingDeletion. */
  readonly deletionAt?: number;
  /** Oldest first; the last one encrypts, all decrypt. */
  readonly material: readonly KeyMaterial[];
  readonly rotation?: { readonly periodDays: number; readonly nextAt: number };
  /** JSON. */
  readonly policy: string;
  readonly tags: readonly Tag[];
}

export interface KeyMaterial {
  /** 32 bytes. */
  readonly sealed: string;
  readonly at: number;
  readonly how: "FIRST" | "AUTOMATIC" | "ON_DEMAND";
}

export interface AliasRecord {
  /** `alias/app`. */
  readonly name: string;
  readonly keyId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface SecretRecord {
  readonly name: string;
  /** Ends in `-` and six random letters and digits. */
  readonly arn: string;
  readonly description?: string;
  /** As given: a key's id or ARN, or an alias; absent: alias/aws/secretsmanager. */
  readonly kmsKeyId?: string;
  readonly createdAt: number;
  readonly changedAt: number;
  /** Of the day: AWS keeps no more. */
  readonly accessedAt?: number;
  /** When DeleteSecret was called, and when the secret goes. */
  readonly deleted?: { readonly at: number; readonly goesAt: number };
  readonly rotation?: SecretRotation;
  /** Newest first. */
  readonly versions: readonly SecretVersion[];
  /** JSON. */
  readonly policy?: string;
  readonly tags: readonly Tag[];
}

export interface SecretRotation {
  readonly enabled: boolean;
  readonly lambdaArn?: string;
  readonly rules?: { readonly automaticallyAfterDays?: number; readonly duration?: string; readonly scheduleExpression?: string };
  readonly lastAt?: number;
}

export interface SecretVersion {
  readonly id: string;
  /** Absent: a version that waits for its value. */
  readonly sealed?: string;
  readonly binary?: true;
  readonly stages: readonly string[];
  readonly createdAt: number;
  readonly accessedAt?: number;
  readonly kmsKeyId?: string;
}

export type ParameterType = "String" | "StringList" | "SecureString";

export interface ParameterRecord {
  readonly name: string;
  readonly arn: string;
  readonly type: ParameterType;
  /** Oldest first, 100 at most; the last one is the current one. */
  readonly versions: readonly ParameterVersion[];
  readonly tags: readonly Tag[];
}

/** Every version remembers all that GetParameterHistory shows. */
export interface ParameterVersion {
  readonly version: number;
  readonly type: ParameterType;
  /** Of a SecureString. */
  readonly sealed?: string;
  /** Of any other. */
  readonly value?: string;
  readonly kmsKeyId?: string;
  readonly description?: string;
  readonly allowedPattern?: string;
  readonly tier: "Standard" | "Advanced";
  readonly dataType: string;
  readonly policies?: string;
  readonly labels: readonly string[];
  readonly modifiedAt: number;
  /** ARN. */
  readonly modifiedBy: string;
}
