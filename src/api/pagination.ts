import type { Sealer } from "#platform/sealer.ts";

export interface PageRequest {
  /** Name of operation, account, region and filters: a token is good for the same question only. */
  readonly scope: string;
  readonly limit: number;
  readonly token: string | undefined;
  /** The service's own error for a token that we did not make, e.g. `InvalidParameterException: Invalid token`. */
  readonly badToken: () => Error;
}

/**
 * One page of `items`, which are sorted by `position` (a text that stays with an item). A token says behind which position to go
 * on, so items that come or go between two requests neither repeat nor hide others.
 */
export function pageOf<T>(
  sealer: Sealer,
  items: readonly T[],
  position: (item: T) => string,
  request: PageRequest,
): { items: readonly T[]; nextToken: string | undefined } {
  let start = 0;
  if (request.token !== undefined) {
    const behind = sealer.open(request.scope, request.token);
    if (typeof behind !== "string") throw request.badToken();
    start = items.findIndex((item) => position(item) > behind);
    if (start < 0) start = items.length;
  }
  const page = items.slice(start, start + request.limit);
  const last = page.at(-1);
  const more = start + request.limit < items.length && last !== undefined;
  return { items: page, nextToken: more ? sealer.seal(request.scope, position(last)) : undefined };
}
