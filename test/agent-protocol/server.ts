import { createServer, type Server } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createEcsTasks, type EcsTasks } from "#services/ecs/tasks/index.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";
import { clusterRecord, definitionWrites, hex, instanceRecord, scope } from "#test/simulation/records.ts";

export const instanceId = hex(1);

/** The task part alone behind a plain HTTP server: websockets are real, operations are called directly, the store is on disk. */
export interface TaskServer {
  readonly part: EcsTasks;
  readonly store: Store;
  readonly endpoint: string;
  call<T>(operation: string, input: object): Promise<T>;
  /** Ends this server, gracefully or (`kill`) without a word; the store stays. */
  stop(kill?: boolean): Promise<void>;
}

export interface Disk {
  readonly folder: string;
  remove(): Promise<void>;
}

export async function newDisk(): Promise<Disk> {
  const folder = await mkdtemp(join(tmpdir(), "ecstasks-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A cluster `default` with one instance, and the task definition `app`. */
export async function fillStore(store: Store): Promise<void> {
  const container = (name: string, more: object) => ({ name, image: "busybox", essential: true, ...more });
  const definition = {
    containerDefinitions: [
      container("app", { cpu: 64, memory: 128, healthCheck: { command: ["CMD-SHELL", "true"], interval: 5 } }),
      container("side", { cpu: 0, memory: 16, essential: false }),
    ],
  };
  await store.transaction({
    writes: [
      { put: ecsKeys.cluster(scope, "default"), value: clusterRecord("default") },
      {
        put: ecsKeys.containerInstance(scope, "default", instanceId),
        value: instanceRecord("default", instanceId, { cpu: 102_400, memory: 1_024_000 }),
      },
      ...definitionWrites("app", definition),
    ],
  });
}

export async function startTaskServer(disk: Disk, port = 0): Promise<TaskServer> {
  const store = await openSqliteStore({ path: join(disk.folder, "store.db"), clock: systemClock, freeze: true });
  if ((await store.get(ecsKeys.cluster(scope, "default"))) === undefined) await fillStore(store);
  const part = createEcsTasks({
    store,
    clock: systemClock,
    random: systemRandom,
    vault: createVault([new Uint8Array(32)]),
    sealer: createSealer(new Uint8Array(32)),
    config: readConfig({}),
    log: silentLogger,
  });
  const server = createServer((_request, response) => response.writeHead(404).end());
  const principal = { account: scope.account, arn: `arn:aws:iam::${scope.account}:root`, userId: scope.account, accessKeyId: "test" };
  const sockets = new Set<Duplex>();
  server.on("connection", (socket: Duplex) => sockets.add(socket));
  server.on("upgrade", (request, socket, head) => {
    const url = new URL(request.url!, "http://localhost");
    const route = part.upgrades!.find(({ prefix }) => url.pathname.startsWith(prefix));
    const info = {
      requestId: "r",
      path: url.pathname,
      query: url.searchParams,
      principal,
      region: scope.region,
      log: silentLogger,
      refused() {},
    };
    route?.upgrade(request, socket, head, { ...info, endpoint: `http://${request.headers.host}` } as never);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  await part.start!();
  return {
    part,
    store,
    endpoint,
    async call<T>(operation: string, input: object): Promise<T> {
      const context: RequestContext = {
        requestId: "r",
        ...scope,
        principal,
        now: Date.now(),
        endpoint,
        sourceIp: "127.0.0.1",
        userAgent: "test",
        signal: new AbortController().signal,
        log: silentLogger,
      };
      return (await part.registrations![0]!.handlers[operation]!(input as never, context)) as T;
    },
    async stop(kill = false) {
      if (kill) {
        // As far as a process can die within another: first the store, so that nothing more is written.
        await store.close();
        await endServer(server, sockets);
        await part.stop!().catch(() => {});
        return;
      }
      await part.stop!();
      // The last words are read before the connections break.
      const end = performance.now() + 2_000;
      while ([...sockets].some(({ destroyed }) => !destroyed) && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 10));
      await endServer(server, sockets);
      await store.close();
    },
  };
}

async function endServer(server: Server, sockets: ReadonlySet<Duplex>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets) socket.destroy();
  await closed;
}
