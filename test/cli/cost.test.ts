/** `gantry cost` as a shell sees it, against a server with a real store and a real front door. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { rootCredentials } from "#api/credentials.ts";
import { createFrontDoor, type FrontDoor } from "#api/front-door.ts";
import type { CostAnswer } from "#cli/cost-format.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createEcs } from "#services/ecs/index.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";
import { createWriter } from "#store/unit.ts";
import { cluster, start, stop } from "../meter/support.ts";
import { hex, instanceRecord, scope } from "../simulation/records.ts";
import { freePort } from "../support/gantry.ts";

const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const hour = 3_600_000;
/** Full hours long past, so that nothing depends on when the test runs. */
const epoch = Date.UTC(2026, 0, 31, 23);
let home: string;
let port: number;
let store: Store;
let door: FrontDoor;
let part: ReturnType<typeof createEcs>;

before(async () => {
  home = await mkdtemp(join(tmpdir(), "gantry-cost-"));
  port = await freePort();
  const config = readConfig({ GANTRY_HOME: home, GANTRY_PORT: String(port) });
  const identity = await loadIdentity(home, systemRandom);
  store = await openSqliteStore({ path: join(home, "store.sqlite"), clock: systemClock });
  const deps = {
    store,
    clock: systemClock,
    random: systemRandom,
    vault: createVault([new Uint8Array(32)]),
    sealer: createSealer(identity.sealerKey),
    config,
    log: silentLogger,
  };
  part = createEcs(deps);
  const credentials = rootCredentials(config.account, identity.rootAccessKeyId, identity.rootSecretAccessKey);
  door = createFrontDoor({ deps, credentials, parts: [part], reset: async () => {} });
  await door.listen();
  const writer = createWriter(store);
  const machine = { ...instanceRecord(cluster, hex(999), { attributes: { "ecs.instance-type": "m5.large" } }), registeredAt: epoch };
  await store.transaction({ writes: [{ put: ecsKeys.containerInstance(scope, cluster, hex(999)), value: machine }] });
  for (const life of [
    { number: 1, launchType: "FARGATE", group: "service:web", tag: "red, or pink", pullAt: 0, stopAt: 2 * hour },
    { number: 2, launchType: "EC2", group: "family:job", tag: "red, or pink", pullAt: 0, stopAt: 2 * hour },
  ] as const) {
    await start(writer, life, epoch);
    await stop(writer, life, epoch);
  }
});
after(async () => {
  await door.close(10);
  await part.stop?.();
  await store.close();
  await rm(home, { recursive: true, force: true });
});

function cost(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  const period = args.includes("--since") ? [] : ["--since", "2026-01-31", "--until", "2026-02-01T01:00"];
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", main, "cost", ...args, ...period],
      { env: { ...process.env, GANTRY_HOME: home, GANTRY_PORT: String(port), ...env }, timeout: 180_000 },
      (_error, out, err) => resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}

test("table, JSON and CSV say the same", async () => {
  const [table, json, csv] = await Promise.all(["table", "json", "csv"].map((format) => cost(["--format", format])));
  assert.equal(table!.err, "");
  assert.match(table!.out, /^2026-01-31 00:00 to 2026-02-01 01:00 UTC, in USD; prices: AWS on-demand, us-east-1 \(/);
  // 2 h of m5.large: 0.192, of which the job has (9 × 0.25 + 0.5) / (9 × 2 + 4) = 1/8
  assert.match(table!.out, /\nsim +\(unused\) +EC2 unused +0\.168000 +-\n/);
  assert.match(table!.out, /\nsim +service:web +FARGATE +2\.00 +0\.50 +1\.00 +0\.024685 +0\.019125\n/);
  assert.match(table!.out, /\nsim +family:job +EC2 +2\.00 +0\.50 +1\.00 +0\.024000 +0\.024685\n/);
  assert.match(table!.out, /\n +TOTAL +0\.216685 +0\.043810\n/);
  const answer = JSON.parse(json!.out) as CostAnswer;
  assert.deepEqual(answer.total, { cost: "0.216685", elsewhere: "0.043810", elsewhereLacks: false });
  assert.deepEqual(answer.instances, [
    { cluster: "sim", id: hex(999), ec2InstanceId: "i-000003e7", type: "m5.large", hours: "2.000000", cost: "0.192000" },
  ]);
  assert.deepEqual([answer.since, answer.until, answer.by], [Date.UTC(2026, 0, 31), Date.UTC(2026, 1, 1, 1), "service"]);
  const lines = csv!.out.split("\r\n");
  assert.equal(lines.length, 5);
  assert.equal(lines[2], "sim,service:web,FARGATE,false,1,2.000000,0.500000,1.000000,0.000000,0.024685,0.019125,false,USD");
});

test("groupings, clusters, a period's end in the middle", async () => {
  const keys = async (...args: string[]) =>
    (JSON.parse((await cost([...args, "--format", "json"])).out) as CostAnswer).rows.map(({ key }) => key);
  assert.deepEqual(await keys("--by", "cluster"), ["sim", "sim", "sim"]);
  assert.deepEqual(await keys("--by", "launch-type"), ["EC2", "FARGATE", "EC2"]);
  assert.deepEqual(await keys("--by", "task"), ["(unused)", hex(1), hex(2)]);
  assert.deepEqual(await keys("--by", "tag:team"), ["(unused)", "red, or pink", "red, or pink"]);
  assert.deepEqual(await keys("--by", "tag:no/such key&"), ["(unused)", "(none)", "(none)"]);
  assert.deepEqual(await keys("--cluster", "other"), []);
  assert.match((await cost(["--cluster", "other"])).out, /nothing ran in this period/);
  assert.match((await cost(["--by", "tag:team", "--format", "csv"])).out, /\n,"red, or pink",FARGATE,/);
  // 23:30 is 23:00: periods are of whole hours.
  const half = await cost(["--since", "2026-01-31T23:30", "--until", "2026-02-01"]);
  assert.match(half.out, /^2026-01-31 23:00 to 2026-02-01 00:00 UTC[\s\S]*TOTAL +0\.108343 +0\.021905\n/);
});

test("prices of one's own", async () => {
  const list = join(home, "mine.json");
  const mine = { extends: "us-east-1", name: "mine", date: "2026-11-01", ec2: { types: { "m5.large": { hour: "1", vcpu: 2, gb: 4 } } } };
  await writeFile(list, JSON.stringify(mine));
  const own = await cost([], { GANTRY_PRICES: list });
  assert.match(own.out, /prices: mine \(2026-11-01\)[\s\S]*TOTAL +2\.024685/);
  await writeFile(list, JSON.stringify({ ...mine, ec2: { types: { "m5.large": { hour: "cheap" } } } }));
  const bad = await cost([], { GANTRY_PRICES: list });
  assert.equal(bad.code, 1);
  assert.equal(bad.err, 'gantry: the given price list: ec2.types.m5.large.hour: "cheap", where a price such as "0.04048" belongs\n');
  await writeFile(list, "{");
  assert.match((await cost([], { GANTRY_PRICES: list })).err, /^gantry: GANTRY_PRICES=.*mine\.json can't be read: .*JSON/);
  assert.match((await cost([], { GANTRY_PRICES: "/no/such" })).err, /^gantry: GANTRY_PRICES=\/no\/such can't be read: ENOENT/);
});

test("what is wrong is said in one line", async () => {
  const said = async (args: readonly string[], env?: Record<string, string>) => {
    const { code, err } = await cost(args, env);
    assert.notEqual(code, 0);
    return err;
  };
  assert.match(await said(["--by", "mood"]), /^gantry: by: mood is none of cluster, service, launch-type, task and tag:<key>\.\n$/);
  assert.match(await said(["--since", "soon"]), /^gantry: --since soon: give a day/);
  assert.match(await said(["--since", "2026-02-01", "--until", "2026-01-01"]), /^gantry: until: the period ends before it begins\.\n$/);
  assert.match(await said(["--format", "xml"]), /Allowed choices are table, json, csv/);
  assert.match(await said([], { GANTRY_PORT: String(await freePort()) }), /^gantry: no Gantry answers at .*status says why\n$/);
});
