import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "#api/contract.ts";
import type { JoinTokenRecord, MachineRecord } from "#model/machine-records.ts";

/** Who may join: pure. */

export const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");

/** Two hashes in hex. */
export const sameHash = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

export const machineIdOf = (keyHash: string): string => `m-${keyHash.slice(0, 17)}`;

export interface JoinRequest {
  readonly token: string;
  readonly secret: string;
  /** The machine's own: 64 hex digits that nobody else knows. */
  readonly key: string;
  readonly hostname: string;
}

/** Undefined: not a request to join. */
export function parseJoin(value: unknown): JoinRequest | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { token, secret, key, hostname } = value as Record<string, unknown>;
  if (typeof token !== "string" || typeof secret !== "string" || typeof hostname !== "string") return undefined;
  if (typeof key !== "string" || !/^[0-9a-f]{64}$/.test(key) || token.length > 64 || secret.length > 256) return undefined;
  return { token, secret, key, hostname: hostname.replaceAll(/[^\w.-]/g, "").slice(0, 64) };
}

export const refusals = {
  unknown: () =>
    new ApiError(
      "AccessDeniedException",
      "This token lets nobody in: it was revoked, or belongs to another Gantry. Make a new one there: ./gantry token",
      403,
    ),
  expired: (at: number) =>
    new ApiError("ExpiredTokenException", `This token has expired (${new Date(at).toISOString()}). Make a new one: ./gantry token`, 403),
  used: (uses: number) =>
    new ApiError(
      "AccessDeniedException",
      `This token has been used: it lets in ${uses === 1 ? "one machine" : `${uses} machines`}. Make a new one: ./gantry token`,
      403,
    ),
  elsewhere: (cluster: string) =>
    new ApiError("InvalidParameterException", `This machine is in the cluster ${cluster} already. First there: ./gantry leave`),
  gone: () =>
    new ApiError(
      "AccessDeniedException",
      "This machine has left, or was removed. To join again: ./gantry leave, then ./gantry join with a new token",
      403,
    ),
  plain: () =>
    new ApiError("AccessDeniedException", "Machines join by TLS only: start Gantry with GANTRY_TLS=self or certificates of yours", 403),
};

/**
 * Pure. What joining changes: the machine's record and the token's, or why not (thrown). A machine that asks once more, because the answer was lost, is let in with
 * the token that it used, and counts once.
 */
export function admit(
  request: JoinRequest,
  token: JoinTokenRecord | undefined,
  known: MachineRecord | undefined,
  now: number,
): { readonly machine: MachineRecord; readonly token: JoinTokenRecord } {
  if (!token || !sameHash(hashOf(request.secret), token.secretHash)) throw refusals.unknown();
  const keyHash = hashOf(request.key);
  const id = machineIdOf(keyHash);
  if (known && !sameHash(known.keyHash, keyHash)) throw refusals.unknown();
  if (now >= token.expiresAt) throw refusals.expired(token.expiresAt);
  if (known && known.cluster !== token.cluster) throw refusals.elsewhere(known.cluster);
  const counted = known !== undefined || token.machines.includes(id);
  if (!counted && token.machines.length >= token.uses) throw refusals.used(token.uses);
  const { account, region, cluster } = token;
  return {
    machine: known ?? { id, keyHash, account, region, cluster, hostname: request.hostname, token: token.id, joinedAt: now },
    token: counted ? token : { ...token, machines: [...token.machines, id] },
  };
}
