import { pageOf } from "#api/pagination.ts";
import { constraint, errors, type Question } from "./context.ts";

export function page<T>(
  { scope, deps }: Question,
  operation: string,
  items: readonly T[],
  position: (item: T) => string,
  input: { readonly MaxResults?: number | undefined; readonly NextToken?: string | undefined },
  usual: number,
): { readonly items: readonly T[]; readonly NextToken: string | undefined } {
  const limit = input.MaxResults ?? usual;
  if (limit < 1) throw constraint("maxResults", limit, "have value greater than or equal to 1");
  if (limit > 50) throw constraint("maxResults", limit, "have value less than or equal to 50");
  const sorted = items.toSorted((a, b) => (position(a) < position(b) ? -1 : position(a) > position(b) ? 1 : 0));
  const { items: found, nextToken } = pageOf(deps.sealer, sorted, position, {
    scope: JSON.stringify([operation, scope.account, scope.region]),
    limit,
    token: input.NextToken,
    badToken: errors.badToken,
  });
  return { items: found, NextToken: nextToken };
}
