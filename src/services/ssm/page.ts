import { pageOf } from "#api/pagination.ts";
import type { Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";

/** A page of sorted records. Throws InvalidNextToken. */
export function page<T>(
  { deps, scope }: Records,
  items: readonly T[],
  position: (item: T) => string,
  request: { readonly operation: string; readonly asked: unknown; readonly limit: number; readonly NextToken?: string },
): { readonly items: readonly T[]; readonly NextToken?: string } {
  const found = pageOf(deps.sealer, items, position, {
    scope: JSON.stringify(["ssm", request.operation, scope.account, scope.region, request.asked]),
    limit: request.limit,
    token: request.NextToken,
    badToken: errors.badToken,
  });
  return { items: found.items, ...(found.nextToken === undefined ? {} : { NextToken: found.nextToken }) };
}
