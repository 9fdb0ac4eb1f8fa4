/** A front door in this process, with a store in a temporary directory, for tests of parts through HTTP. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ServerPart } from "#api/contract.ts";
import { type CredentialSource, rootCredentials } from "#api/credentials.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createFrontDoor } from "#api/front-door.ts";
import { type Clock, systemClock } from "#platform/clock.ts";
import { type Config, readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { resetServer } from "#server/reset.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { freePort } from "./port.ts";

export const accessKeyId = "AKIATESTTESTTESTTEST";
export const secretAccessKey = "secret/secret/secret/secret/secret/secret";

export interface TestServer {
  readonly port: number;
  readonly endpoint: string;
  readonly deps: ServerDeps;
  readonly home: string;
  /** Options for any SDK client: `new ECSClient(server.sdk())`. */
  sdk(): { endpoint: string; region: string; credentials: { accessKeyId: string; secretAccessKey: string }; maxAttempts: number };
  /** Runs `aws …`; both Debian's old CLI and newer ones take the flag. Resolves with standard output, rejects with what it printed. */
  aws(...args: string[]): Promise<string>;
  /** The same with one of `awsBinaries`. */
  awsWith(binary: string, ...args: string[]): Promise<string>;
  close(): Promise<void>;
}

export interface TestServerOptions {
  /** Makes the parts under test. */
  readonly parts: (deps: ServerDeps) => readonly ServerPart[] | Promise<readonly ServerPart[]>;
  readonly open?: boolean;
  readonly config?: Partial<Config>;
  readonly clock?: Clock;
  /** Instead of one root user who has `accessKeyId` and `secretAccessKey`. */
  readonly credentials?: CredentialSource | ((deps: ServerDeps) => CredentialSource);
}

/** The CLIs of this machine: the one on the path, and Debian's, which is older. */
export const awsBinaries = ["aws", "/usr/bin/aws"].filter((binary) => binary === "aws" || existsSync(binary));

export async function startServer({ parts, open = false, config, clock = systemClock, ...given }: TestServerOptions): Promise<TestServer> {
  const home = await mkdtemp(join(tmpdir(), "gantry-http-"));
  const store = await openSqliteStore({ path: join(home, "store.sqlite"), clock });
  // Parts name their port in URIs, so it must be known before they are made.
  const port = await freePort();
  const full: Config = {
    ...readConfig({ GANTRY_HOME: home, GANTRY_PORT: String(port), ...(open ? { GANTRY_OPEN: "1" } : {}) }),
    ...config,
  };
  const deps: ServerDeps = {
    store,
    clock,
    random: systemRandom,
    vault: createVault([new Uint8Array(32)]),
    sealer: createSealer(Buffer.alloc(32, 1)),
    config: full,
    log: silentLogger,
  };
  const made = await parts(deps);
  const credentials =
    typeof given.credentials === "function"
      ? given.credentials(deps)
      : (given.credentials ?? rootCredentials(full.account, accessKeyId, secretAccessKey));
  const door = createFrontDoor({ deps, credentials, parts: made, reset: () => resetServer(store, made) });
  await door.listen();
  for (const part of made) await part.start?.();
  const endpoint = `http://127.0.0.1:${port}`;
  const awsWith = async (binary: string, ...args: string[]) => {
    const env = {
      ...process.env,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: "us-east-1",
      AWS_DEFAULT_REGION: "us-east-1",
      AWS_PAGER: "",
      AWS_MAX_ATTEMPTS: "1",
      AWS_EC2_METADATA_DISABLED: "true",
    };
    return (await promisify(execFile)(binary, ["--endpoint-url", endpoint, ...args], { env, timeout: 180_000 })).stdout;
  };
  return {
    port,
    endpoint,
    deps,
    home,
    sdk: () => ({ endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 }),
    aws: (...args) => awsWith("aws", ...args),
    awsWith,
    async close() {
      await door.close(200);
      for (const part of made) await part.stop?.();
      await store.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
