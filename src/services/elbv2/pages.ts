import { pageOf } from "#api/pagination.ts";
import type { Question } from "./context.ts";
import { elbErrors } from "./errors.ts";

export interface Paging {
  readonly Marker?: string;
  readonly PageSize?: number;
}

const most = 400;

/** One page of what an operation describes. `items` are sorted by `position`, which is a text that stays with an item; `question` makes markers good for it only. */
export function page<T>(
  { deps, scope }: Pick<Question, "deps" | "scope">,
  operation: string,
  items: readonly T[],
  position: (item: T) => string,
  { Marker, PageSize = most }: Paging,
  question: unknown = "",
): { readonly items: T[]; readonly NextMarker?: string } {
  if (PageSize < 1 || PageSize > most)
    throw elbErrors.invalid(
      `1 validation error detected: Value '${PageSize}' at 'pageSize' failed to satisfy constraint: Member must have value ${PageSize < 1 ? "greater than or equal to 1" : `less than or equal to ${most}`}`,
    );
  const { items: shown, nextToken } = pageOf(deps.sealer, items, position, {
    scope: JSON.stringify([operation, scope.account, scope.region, question]),
    limit: PageSize,
    token: Marker,
    badToken: () => elbErrors.invalid("Invalid marker"),
  });
  return { items: [...shown], ...(nextToken === undefined ? {} : { NextMarker: nextToken }) };
}
