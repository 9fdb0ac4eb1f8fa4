import { createHash } from "node:crypto";
import type { Failure, RunTaskRequest } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import { clientTokenRetentionMs } from "#reconcilers/limits.ts";
import type { Unit } from "#store/unit.ts";

/** What a clientToken stands for: the request and the tasks that it started. */
export interface ClientTokenRecord {
  readonly request: string;
  readonly cluster: string;
  readonly tasks: readonly { readonly id: string; readonly arn: string }[];
  readonly failures: readonly Failure[];
}

/** The same for requests that ask for the same, whatever the order of their members. */
export function fingerprint(input: { readonly clientToken?: string }): string {
  const { clientToken: _, ...rest } = input;
  return createHash("sha256")
    .update(JSON.stringify(sorted(rest)))
    .digest("hex");
}

/** The earlier answer to the same request. Throws ConflictException when the token was used for another one. */
export async function earlierRun(unit: Unit, scope: Scope, input: RunTaskRequest, token: string): Promise<ClientTokenRecord | undefined> {
  const record = await unit.get<ClientTokenRecord>(ecsKeys.clientToken(scope, "RunTask", token));
  if (record && record.request !== fingerprint(input))
    throw new ApiError("ConflictException", "The request with this clientToken had different parameters.", 400, {
      resourceIds: record.tasks.map(({ arn }) => arn),
    });
  return record;
}

export function rememberRun(unit: Unit, scope: Scope, token: string, record: ClientTokenRecord, now: number, id: string): void {
  const key = ecsKeys.clientToken(scope, "RunTask", token);
  unit.put(key, record);
  unit.put(ecsKeys.expiry("client-token", now + clientTokenRetentionMs, id), { keys: [key] });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, sorted(member)]));
}
