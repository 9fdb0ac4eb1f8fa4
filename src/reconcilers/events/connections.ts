import type { ConnectionSecrets } from "#model/events/records.ts";
import type { Vault } from "#platform/vault.ts";

/** `at`: the connection's key. Throws when the vault has no key for it. */
export const openSecrets = (vault: Vault, at: string, sealed: string): ConnectionSecrets =>
  JSON.parse(vault.open(at, sealed).toString("utf8")) as ConnectionSecrets;
