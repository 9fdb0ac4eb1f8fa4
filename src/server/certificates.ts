import { stat } from "node:fs/promises";
import type { Clock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { prepareTls, readTls, tlsFiles, type TlsMaterial } from "#platform/tls.ts";

const lookEveryMs = 10_000;
const prepareEveryMs = 12 * 3_600_000;

export interface Certificates {
  readonly current: TlsMaterial;
  /** Calls back with each new certificate; what cannot be read or does not fit its key is told to the log and changes nothing. */
  watch(changed: (next: TlsMaterial) => void): void;
  /** Looks now. */
  refresh(): Promise<void>;
}

/** The port's certificates, made where they are ours to make, and looked at every ten seconds. Undefined: plain HTTP. Throws when they are no good. */
export async function openTls(
  config: Config,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Promise<Certificates | undefined> {
  const files = tlsFiles(config);
  if (!files) return undefined;
  await prepareTls(config, random, clock.now());
  const current = await readTls(files);
  let shown = current;
  let prepared = clock.now();
  let seen = "";
  let changed: (next: TlsMaterial) => void = () => {};
  const stamp = async () =>
    (await Promise.all([files.certificate, files.key].map((path) => stat(path)))).map(({ mtimeMs, ino }) => `${mtimeMs} ${ino}`).join();

  async function refresh(always = true): Promise<void> {
    try {
      if (clock.now() - prepared >= prepareEveryMs) {
        prepared = clock.now();
        await prepareTls(config, random, prepared);
      }
      const now = await stamp();
      if (!always && now === seen) return;
      seen = now;
      const next = await readTls(files!);
      if (next.cert === shown.cert && next.key === shown.key) return;
      shown = next;
      changed(next);
      log.info({ certificate: files!.certificate }, "the certificate was read anew");
    } catch (error) {
      log.error({ err: error }, "the certificate could not be read anew, the one of before is shown");
    }
  }

  return {
    current,
    watch(listener) {
      changed = listener;
      const again = () => void clock.after(lookEveryMs, () => void refresh(false).finally(again));
      again();
    },
    refresh: () => refresh(),
  };
}
