/** The server's process: reads the configuration, opens the store, listens. Leaves in order on SIGTERM; after SIGKILL, starting again is the recovery. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { firstOf, rootCredentials } from "#api/credentials.ts";
import { createFrontDoor } from "#api/front-door.ts";
import { identityCredentials } from "#identity/credentials.ts";
import { systemClock } from "#platform/clock.ts";
import { ConfigError, isLoopback, readConfig } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { createLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { loadKeys } from "#platform/key-file.ts";
import { createVault } from "#platform/vault.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { openTls } from "./certificates.ts";
import { createParts } from "./parts.ts";
import { resetServer } from "./reset.ts";
import { createVaultKeys } from "./vault-keys.ts";

const log = createLogger("server");

async function serve(): Promise<void> {
  const config = readConfig(process.env);
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  const identity = await loadIdentity(config.home, systemRandom);
  const store = await openSqliteStore({ path: join(config.home, "store.sqlite"), clock: systemClock });
  const keyFile = { path: config.secretsKey ?? join(config.home, "secrets.key"), make: config.secretsKey === undefined };
  const vault = createVault(await loadKeys(keyFile, systemRandom));
  const deps = { store, vault, clock: systemClock, random: systemRandom, sealer: createSealer(identity.sealerKey), config, log };
  const parts = [createVaultKeys({ ...deps, file: keyFile }), ...createParts(deps)];
  const root = rootCredentials(config.account, identity.rootAccessKeyId, identity.rootSecretAccessKey);
  const credentials = firstOf(root, identityCredentials(deps));
  const tls = await openTls(config, { clock: systemClock, random: systemRandom, log });
  const door = createFrontDoor({ deps, credentials, parts, reset: () => resetServer(store, parts), ...(tls ? { tls: tls.current } : {}) });
  tls?.watch((next) => door.renew(next));
  process.on("SIGHUP", () => void tls?.refresh());

  let leaving = false;
  const leave = async () => {
    if (leaving) return;
    leaving = true;
    // Doors first, so that no part is asked while it ends; the store last, because all of them write to it.
    const closed = door.close();
    for (const part of parts.toReversed()) await part.stop?.();
    await closed;
    await store.close();
    process.exit(0);
  };
  process.once("SIGTERM", () => void leave());
  process.once("SIGINT", () => void leave());

  for (const part of parts) await part.start?.();
  const { port } = await door.listen();
  log.info({ port, bind: config.bind, open: config.open, tls: config.tls?.kind ?? "none", home: config.home }, "listening");
  if (!config.tls && !isLoopback(config.bind))
    log.warn({ bind: config.bind }, "listening beyond loopback without TLS: anybody on the way can read and replay");
}

try {
  await serve();
} catch (error) {
  if (error instanceof ConfigError) log.fatal(error.message);
  else if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") log.fatal(`the port is taken: ${(error as Error).message}`);
  else log.fatal({ err: error }, "the server could not start");
  process.exit(1);
}
