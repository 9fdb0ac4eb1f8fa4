/** "ECR Image Scan": told when a scan comes to its end, once, whenever the server dies. Source: Amazon ECR User Guide, "Amazon ECR events and EventBridge". */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Caller, createCaller } from "#api/caller.ts";
import { rootPrincipal } from "#api/credentials.ts";
import { eventKeys } from "#model/events/records.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createEventsEngine } from "#reconcilers/events/engine.ts";
import { scansPrefix } from "#registry/keys.ts";
import type { RepositoryRecord, ScanRecord } from "#registry/records.ts";
import { createRegistry } from "#registry/registry.ts";
import { ecrEvents } from "#services/ecr/events.ts";
import { createScanner } from "#services/ecr/scanning/reconciler.ts";
import { createEvents } from "#services/events/index.ts";
import { createIam } from "#services/iam/index.ts";
import type { Store } from "#store/store.ts";
import { debian, fixed, importRecords, layer, osv, sha256, status } from "../ecr/scan-support.ts";
import { MemoryDisk, openSession } from "../simulation/memory-store.ts";
import { until } from "../support/until.ts";
import { openHook, scope } from "./support.ts";

const home = await mkdtemp(join(tmpdir(), "gantry-scans-"));
const hook = await openHook();
await importRecords(home, osv("DEBIAN-CVE-2026-0001", "Debian:12", "openssl", fixed("3")));
after(async () => {
  await hook.close();
  await rm(home, { recursive: true });
});

/** A server's parts that have to do with scans. */
function serve(store: Store) {
  const config = readConfig({ GANTRY_HOME: home });
  const vault = createVault([new Uint8Array(32)]);
  const given = {
    store,
    clock: systemClock,
    random: systemRandom,
    sealer: createSealer(Buffer.alloc(32, 1)),
    vault,
    config,
    log: silentLogger,
  };
  const engine = createEventsEngine(given, [ecrEvents]);
  const deps = { ...given, store: engine.store };
  const registry = createRegistry(deps);
  const parts = [createIam(deps), createEvents(deps, engine)];
  const caller: Caller = createCaller({ ...given, parts });
  engine.connect({ caller });
  const scanner = createScanner({ ...deps, registry });
  const principal = rootPrincipal(scope.account, "AKIA");
  return {
    registry,
    ask: (service: string, operation: string, input: object) =>
      caller.call({ principal, region: scope.region, service, operation, input: input as Record<string, unknown>, by: "test" }),
    async start() {
      await registry.blobs.start();
      await engine.start();
      scanner.start();
    },
    async stop() {
      await scanner.stop();
      await engine.stop();
    },
  };
}

/** A rule that waits for scans, and an image that was pushed to a repository with scan on push: nobody has scanned it yet. */
async function prepare(disk: MemoryDisk): Promise<{ readonly repository: RepositoryRecord; readonly digest: string }> {
  const { ask, registry } = serve(openSession(disk).store);
  await registry.blobs.start();
  const trust = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sts:AssumeRole" }],
  };
  const { Role } = await ask("iam", "CreateRole", { RoleName: "r", AssumeRolePolicyDocument: JSON.stringify(trust) });
  const RoleArn = (Role as { Arn: string }).Arn;
  const Statement = [{ Effect: "Allow", Action: "events:InvokeApiDestination", Resource: "*" }];
  await ask("iam", "PutRolePolicy", {
    RoleName: "r",
    PolicyName: "p",
    PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
  });
  const AuthParameters = { ApiKeyAuthParameters: { ApiKeyName: "k", ApiKeyValue: "v" } };
  const { ConnectionArn } = await ask("events", "CreateConnection", { Name: "c", AuthorizationType: "API_KEY", AuthParameters });
  const destination = { Name: "d", ConnectionArn, InvocationEndpoint: hook.url, HttpMethod: "POST" };
  const { ApiDestinationArn } = await ask("events", "CreateApiDestination", destination);
  await ask("events", "PutRule", {
    Name: "scans",
    EventPattern: JSON.stringify({ source: ["aws.ecr"], "detail-type": ["ECR Image Scan"] }),
  });
  await ask("events", "PutTargets", { Rule: "scans", Targets: [{ Id: "hook", Arn: ApiDestinationArn, RoleArn }] });
  const repository = await registry.repositories.create(scope, "team/app", { scanOnPush: true });
  const config = Buffer.from("{}");
  const bytes = await layer(debian(), status(["openssl", "2"]));
  for (const blob of [config, bytes]) {
    await registry.layers.store(repository, sha256(blob), blob.length, async () => {
      if (await registry.blobs.stat(sha256(blob))) return;
      const upload = await registry.blobs.begin(systemRandom.uuid(), {});
      await upload.append(
        (async function* () {
          yield blob;
        })(),
      );
      await upload.commit(sha256(blob));
    });
  }
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const of = (blob: Buffer, type: string) => ({ mediaType: type, digest: sha256(blob), size: blob.length });
  const layers = [of(bytes, "application/vnd.oci.image.layer.v1.tar")];
  const manifest = { schemaVersion: 2, mediaType, config: of(config, "application/vnd.oci.image.config.v1+json"), layers };
  const { image } = await registry.images.put(repository, { bytes: Buffer.from(JSON.stringify(manifest)), mediaType, tag: "v1" });
  return { repository, digest: image.digest };
}

/** The server lives for so many writes, the next one starts with what it left. False: it did not die. */
async function live(writes: number, how: "before" | "after"): Promise<boolean> {
  const disk = new MemoryDisk();
  const { repository, digest } = await prepare(disk);
  hook.calls.length = 0;
  let left = writes;
  let dead = false;
  const death = Promise.withResolvers<void>();
  const mortal = openSession(disk, () => {
    if (left-- > 0) return "go";
    dead = true;
    death.resolve();
    return how;
  });
  const scan = () => disk.list(scansPrefix(repository))[0]!.value as ScanRecord;
  const settled = () => scan().state === "COMPLETE" && disk.list(eventKeys.deliveries).length === 0;
  const first = serve(mortal.store);
  await Promise.race([first.start(), death.promise]);
  await Promise.race([until("it settles or dies", () => dead || settled()), death.promise]);
  mortal.kill();
  const second = serve(openSession(disk).store);
  await second.start();
  await until("the scan is told", () => settled() && hook.calls.length > 0);
  await second.stop();
  const events = new Map(hook.calls.map(({ body }) => JSON.parse(body) as Record<string, unknown>).map((event) => [event.id, event]));
  assert.equal(events.size, 1, "one event, told once or again");
  const [event] = events.values();
  assert.deepEqual(
    [event!.source, event!["detail-type"], event!.resources],
    ["aws.ecr", "ECR Image Scan", ["arn:aws:ecr:us-east-1:000000000000:repository/team/app"]],
  );
  assert.deepEqual(event!.detail, {
    "scan-status": "COMPLETE",
    "repository-name": "team/app",
    "finding-severity-counts": { UNDEFINED: 1 },
    "image-digest": digest,
    "image-tags": ["v1"],
  });
  return dead;
}

for (const how of ["before", "after"] as const)
  test(`dying ${how} each write of a scan`, { timeout: 600_000 }, async () => {
    let deaths = 0;
    while (deaths < 20 && (await live(deaths, how))) deaths++;
    assert.ok(deaths >= 3 && deaths < 20, `it died ${deaths} times`);
  });
