/**
 * What a rule does, as a route: the name of a backend, or of a table of shares among several. Redirects and fixed responses are backends that answer by
 * themselves, so that choosing an action costs one look-up however many there are. Pure.
 */
import type { Action } from "./config.ts";
import { actionName, groupName } from "./names.ts";
import { literal, quoted } from "./text.ts";

/** Shares are drawn out of this many. */
export const shareTotal = 1_000_000;
/** AWS's limit of groups in one action. */
export const shareGroups = 5;

export interface Routed {
  readonly route: string;
  /** Lines of a backend of its own. */
  readonly backend?: readonly string[];
  /** Entries of the maps of shares: which groups, and their limits and times. */
  readonly shares?: readonly (readonly [string, string])[];
  readonly limits?: readonly (readonly [string, string])[];
}

/** A snapshot's actions are asked for several times. */
const routes = new WeakMap<Action, Routed>();

/** `keep` stores a body and says in which file HAProxy finds it: a configuration line holds no line ends. */
export function routeOf(action: Action, secure: boolean, keep: (body: string) => string): Routed {
  switch (action.type) {
    case "forward": {
      const [only] = action.targetGroups;
      if (only && action.targetGroups.length === 1 && action.stickinessSeconds === undefined)
        return { route: (only.weight ?? 1) > 0 ? groupName(only.id) : "none" };
      const known = routes.get(action);
      if (known) return known;
      const made = shared(action);
      routes.set(action, made);
      return made;
    }
    case "redirect":
      return own([
        "http-request set-var(txn.query) query",
        "http-request set-var(txn.asked) str(?),concat(,txn.query) if { query -m len gt 0 }",
        `http-request redirect code ${action.statusCode} location ${quoted(location(action, secure))}`,
      ]);
    case "fixed-response": {
      const type = action.contentType ?? "text/plain";
      const body = action.body ? ` content-type ${quoted(type)} file ${quoted(keep(action.body))}` : "";
      return own([`http-request return status ${action.statusCode}${body} hdr Server awselb/2.0`]);
    }
  }
}

function own(backend: readonly string[]): Routed {
  return { route: actionName("a", backend.join("\n")), backend };
}

/** The k-th group has the numbers below its limit that no group before it has. Other weights are another route: one entry decides which is in force. */
function shared(action: Action & { readonly type: "forward" }): Routed {
  const groups = action.targetGroups.map(({ id, weight = 1 }) => ({ backend: groupName(id), weight }));
  const total = groups.reduce((sum, { weight }) => sum + weight, 0);
  const sticky = action.stickinessSeconds;
  const route = actionName("w", JSON.stringify([groups, sticky]));
  const shares: [string, string][] = [];
  const limits: [string, string][] = [];
  let sum = 0;
  for (const [index, { backend, weight }] of groups.entries()) {
    sum += weight;
    shares.push([`${route}.${index + 1}`, backend]);
    limits.push([`${route}.${index + 1}`, String(total === 0 ? 0 : Math.round((sum / total) * shareTotal))]);
    if (sticky !== undefined && weight > 0) shares.push([`${route}.${backend}`, backend]);
  }
  if (sticky !== undefined) limits.push([`${route}.s`, String(sticky)]);
  return { route, shares, limits };
}

/** AWS's placeholders as HAProxy's; `#{path}` is without the leading slash, `#{query}` without the question mark. */
function location(action: Action & { readonly type: "redirect" }, secure: boolean): string {
  const protocol = action.protocol ?? "#{protocol}";
  const fill = (text: string) =>
    literal(text)
      .replaceAll("#{protocol}", secure ? "https" : "http")
      .replaceAll("#{host}", "%[req.hdr(host),host_only,lower]")
      .replaceAll("#{port}", "%[dst_port]")
      .replaceAll("#{path}", "%[path,regsub(^/,)]")
      .replaceAll("#{query}", "%[query]");
  const scheme = fill(protocol).toLowerCase();
  const port = action.port ?? "#{port}";
  // AWS leaves the port out nowhere: `https://host:443/…` is what its redirects say.
  const head = `${scheme}://${fill(action.host ?? "#{host}")}:${fill(port)}${fill(action.path ?? "/#{path}")}`;
  const query = action.query ?? "#{query}";
  if (query === "") return head;
  return query === "#{query}" ? `${head}%[var(txn.asked)]` : `${head}?${fill(query)}`;
}
