import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { pageOf } from "#api/pagination.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { Writer } from "#store/unit.ts";
import { ecsErrors } from "./errors.ts";

/** What the operations on clusters, definitions and instances share. */
export interface EcsDeps extends ServerDeps {
  readonly writer: Writer;
}

export const scopeOf = ({ account, region }: Pick<RequestContext, "account" | "region">): Scope => ({ account, region });

/** A page of sorted texts, at most 100 unless `most` says otherwise. Throws InvalidParameterException for a bad token or maxResults. */
export function textPage(
  deps: EcsDeps,
  scope: string,
  all: readonly string[],
  input: { maxResults?: number; nextToken?: string },
  most = 100,
): { readonly items: readonly string[]; readonly nextToken?: string } {
  const limit = checkLimit(input.maxResults, most);
  return pageOf(deps.sealer, all, (text) => text, { scope, limit, token: input.nextToken, badToken: ecsErrors.badToken });
}

/** Throws InvalidParameterException for a maxResults that is not between 1 and `most`. */
export function checkLimit(maxResults: number | undefined, most: number): number {
  const limit = maxResults ?? most;
  if (!Number.isInteger(limit) || limit < 1 || limit > most) throw ecsErrors.invalid(`maxResults should be between 1 and ${most}`);
  return limit;
}
