import type { ServerDeps } from "#api/deps.ts";
import { kmsKeys, secretKeys } from "#model/secrets-keys.ts";
import type { AliasRecord, KeyRecord, SecretRecord } from "#model/secrets-records.ts";
import { sealIn } from "#store/sealed.ts";
import type { Writer } from "#store/unit.ts";

/** What falls due by the clock: deletions whose window is over, keys' own rotations. Each pass is safe to repeat. */

type Deps = Pick<ServerDeps, "store" | "vault" | "random" | "clock" | "log"> & { readonly writer: Writer };

const passMs = 600_000;
const day = 24 * 60 * 60 * 1000;

/** Looks at once and then from time to time. Returns what ends it. */
export function startSweep(deps: Deps, what: string, pass: (deps: Deps, now: number) => Promise<void>): () => void {
  let stopped = false;
  let cancel = () => {};
  const again = () => {
    pass(deps, deps.clock.now())
      .catch((error: unknown) => {
        if (!stopped) deps.log.warn({ err: error, what }, "what is due was not done, it is tried again");
      })
      .finally(() => {
        if (!stopped) cancel = deps.clock.after(passMs, again);
      });
  };
  again();
  return () => {
    stopped = true;
    cancel();
  };
}

/** A secret goes when its recovery window is over. */
export async function sweepSecrets({ store, writer }: Deps, now: number): Promise<void> {
  const { entries } = await store.list<SecretRecord>(secretKeys.everything);
  for (const { key, value } of entries) {
    if (value.deleted === undefined || value.deleted.goesAt > now) continue;
    await writer.run("secrets/sweep", async (unit) => {
      // It may have been restored meanwhile.
      const secret = await unit.get<SecretRecord>(key);
      if (secret?.deleted && secret.deleted.goesAt <= now) unit.delete(key);
    });
  }
}

/** A key goes with its aliases when its waiting period is over; one with rotation gets new material when its time has come. */
export async function sweepKeys(deps: Deps, now: number): Promise<void> {
  const { entries } = await deps.store.list<KeyRecord | AliasRecord>(kmsKeys.everything);
  for (const { key, value } of entries) {
    if (!("material" in value) || !isDue(value, now)) continue;
    await deps.writer.run("secrets/sweep", async (unit) => {
      const record = await unit.get<KeyRecord>(key);
      if (!record || !isDue(record, now)) return;
      if (record.state === "PendingDeletion") {
        const [, , account = "", region = ""] = key.split("/");
        for (const [alias, { keyId }] of await unit.list<AliasRecord>(kmsKeys.aliases({ account, region })))
          if (keyId === record.id) unit.delete(alias);
        unit.delete(key);
        return;
      }
      const { periodDays } = record.rotation!;
      const sealed = await sealIn(deps.vault, unit, key, Buffer.from(deps.random.hex(32), "hex"));
      unit.put(key, {
        ...record,
        material: [...record.material, { sealed, at: now, how: "AUTOMATIC" }],
        rotation: { periodDays, nextAt: now + periodDays * day },
      } satisfies KeyRecord);
    });
  }
}

const isDue = ({ state, deletionAt, rotation }: KeyRecord, now: number): boolean =>
  state === "PendingDeletion" ? (deletionAt ?? now) <= now : state === "Enabled" && rotation !== undefined && rotation.nextAt <= now;
