import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { ask } from "./ask.ts";

/** As the server answers. */
interface Answer {
  readonly path: string;
  readonly keyId: string;
  readonly sealed: number;
  readonly resealed?: number;
}

/** A store of a million records takes a while. */
const rotationLimitMs = 600_000;

/** `gantry keys`, `gantry keys rotate`: only the server touches the key file and the store. */
export async function keys(config: Config, action: "show" | "rotate"): Promise<string> {
  const identity = await loadIdentity(config.home, systemRandom);
  const answer = (await (action === "rotate"
    ? ask(config, identity, "/_gantry/keys/rotate", { method: "POST", timeoutMs: rotationLimitMs })
    : ask(config, identity, "/_gantry/keys"))) as Answer;
  const { path, keyId, sealed, resealed } = answer;
  if (resealed === undefined) return `${sealed} secrets are encrypted with the key ${keyId} in ${path}`;
  return `${resealed} records are encrypted with the new key ${keyId} in ${path}; the old key is gone. Backups of before need the old one.`;
}
