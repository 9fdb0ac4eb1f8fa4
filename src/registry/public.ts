import type { RegistryId } from "./records.ts";

/**
 * Each account's public registry stands beside its private ones, in a region of its own that no request can be signed for. Its alias says whose it is:
 * `g` and the account in eight digits of base 36.
 */
export const publicRegion = "public";

export const publicRegistry = (account: string): RegistryId => ({ account, region: publicRegion });

export const aliasOf = (account: string) => `g${Number(account).toString(36).padStart(8, "0")}`;

/** The registry of an alias; undefined: no alias of ours. */
export function registryOfAlias(alias: string): RegistryId | undefined {
  if (!/^g[0-9a-z]{8}$/.test(alias)) return undefined;
  const account = Number.parseInt(alias.slice(1), 36);
  return account < 1e12 ? publicRegistry(String(account).padStart(12, "0")) : undefined;
}

/** Hosts that speak of public repositories only, and as Docker's own registry: `public.ecr.localhost`, `public.ecr.<domain>`. */
export const isPublicHost = (host: string | undefined) => /^public\.ecr\.[a-z0-9]/i.test(host ?? "");

/** On every other host public repositories have this before their alias. */
export const publicPath = "public/";

/** The public repository that a name in a path means: `<alias>/<name>` on the public host, elsewhere `public/<alias>/<name>`. */
export function publicTarget(host: string | undefined, name: string): { readonly registry: RegistryId; readonly name: string } | undefined {
  const own = isPublicHost(host) ? name : name.startsWith(publicPath) ? name.slice(publicPath.length) : undefined;
  const slash = own?.indexOf("/") ?? -1;
  if (own === undefined || slash < 0) return undefined;
  const registry = registryOfAlias(own.slice(0, slash));
  return registry && { registry, name: own.slice(slash + 1) };
}
