import { createHash } from "node:crypto";
import { base32, iamArn } from "#model/iam-keys.ts";
import listed from "./data/aws-managed-policies.json" with { type: "json" };

/**
 * AWS's own managed policies as far as the container world uses them: there from the start, in every account, not changeable. The documents are AWS's
 * (AWS Managed Policy Reference; read by way of moto 5.2.1's list, Apache-2.0), but for ReadOnlyAccess, whose 85,000 characters are cut down to the services that Gantry has.
 */
export interface AwsPolicy {
  readonly name: string;
  readonly arn: string;
  readonly path: string;
  /** AWS does not tell its policies' ids: ours is made of the name and never changes. */
  readonly id: string;
  readonly description?: string;
  /** The default version; earlier ones are not kept. */
  readonly version: string;
  /** Milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly document: string;
}

interface Listed {
  readonly name: string;
  readonly path: string;
  readonly description?: string;
  readonly version: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly document: unknown;
}

const all = (listed as readonly Listed[]).map((each): AwsPolicy => {
  const { name, path, version, description } = each;
  return {
    name,
    path,
    version,
    arn: iamArn("aws", `policy${path}${name}`),
    id: `ANPA${base32(createHash("sha256").update(name).digest("hex").slice(0, 22), 17)}`,
    ...(description === undefined ? {} : { description }),
    createdAt: Date.parse(each.createdAt),
    updatedAt: Date.parse(each.updatedAt),
    document: JSON.stringify(each.document, undefined, 2),
  };
});

/** By ARN, sorted by name. */
export const awsPolicies: ReadonlyMap<string, AwsPolicy> = new Map(all.map((policy) => [policy.arn, policy]));
