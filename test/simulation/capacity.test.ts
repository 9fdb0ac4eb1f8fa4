/** Issue 7: a capacity provider brings instances from none to as many as a service needs and takes them away again, draining first, in AWS's own pace: in the simulation's time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#platform/random.ts";
import { CapacityWorld, most } from "./capacity-support.ts";
import { fates } from "./world.ts";

const minute = 60_000;
const running = (w: CapacityWorld) =>
  w.world.picture.liveOf("web").filter(({ id }) => w.world.picture.observed.get(id)?.lastStatus === "RUNNING").length;
const state = (w: CapacityWorld) => () =>
  `${w.instances().length} instances, ${running(w)} running, ${w.world.picture.liveOf("web").length} live`;

test("0 to 4 instances and back to 0: drained before they go, fewer only after fifteen minutes of too many", async () => {
  const w = new CapacityWorld(1);
  await w.prepare();
  // One for each instance: it takes port 9090 of the host.
  await w.call("CreateService", { cluster: "sim", serviceName: "web", taskDefinition: "ported:1", desiredCount: 4 });
  const up = await w.until(() => running(w) === 4, 5 * minute, state(w));
  assert.equal(w.instances().length, 4);
  await w.pass(30 * minute);
  assert.equal(w.instances().length, 4, "as many as are needed stay");
  assert.ok((await w.group()).Instances.every(({ LifecycleState }) => LifecycleState === "InService"));

  await w.call("UpdateService", { cluster: "sim", service: "web", desiredCount: 1 });
  await w.until(() => running(w) === 1, minute, state(w));
  const [kept] = w.world.picture.liveOf("web");
  await w.pass(14 * minute);
  assert.equal(w.instances().length, 4);
  await w.until(() => w.instances().length === 1, 20 * minute, state(w));
  assert.deepEqual(
    w.world.picture.liveOf("web").map(({ id }) => id),
    [kept!.id],
    "who runs is not moved for it",
  );
  await w.call("UpdateService", { cluster: "sim", service: "web", desiredCount: 0 });
  const down = await w.until(() => w.instances().length === 0, 40 * minute, state(w));
  assert.ok(up < minute && down >= 15 * minute, `${up} ${down}`);
  assert.deepEqual(
    [...w.world.picture.instances.values()].filter(({ cluster, status }) => cluster === "sim" && status !== "INACTIVE"),
    [],
  );
  const { revision } = w.world.disk;
  await w.pass(5 * minute);
  assert.equal(w.world.disk.revision, revision, "the system does not come to rest");
});

test("what waits is seen at once, also while fewer instances are being waited for", async () => {
  const w = new CapacityWorld(2);
  await w.prepare();
  await w.call("CreateService", { cluster: "sim", serviceName: "web", taskDefinition: "ported:1", desiredCount: 2 });
  await w.until(() => running(w) === 2, 5 * minute, state(w));
  await w.call("UpdateService", { cluster: "sim", service: "web", desiredCount: 1 });
  await w.until(() => running(w) === 1, minute, state(w));
  // The group is looked at every ten seconds then: somewhere between two looks.
  await w.pass(2 * minute + 3_333);
  await w.call("UpdateService", { cluster: "sim", service: "web", desiredCount: 4 });
  await w.until(() => w.instances().length === 4, 3_000, state(w));
});

test("random lives: services grow and shrink, the server dies; nothing goes with tasks on it, and in the end all is as wanted", async () => {
  const first = Number(process.env.SEED ?? 1);
  for (let seed = first; seed < first + Number(process.env.SEEDS ?? (process.env.SEED ? 1 : 6)); seed++) {
    try {
      await life(seed);
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

async function life(seed: number): Promise<void> {
  const random = seededRandom(seed * 77);
  const w = new CapacityWorld(seed);
  await w.prepare();
  await w.call("CreateService", { cluster: "sim", serviceName: "web", taskDefinition: "ported:1", desiredCount: 1 });
  let wanted = 1;
  for (let step = 0; step < 12; step++) {
    const what = random.next();
    if (what < 0.55) {
      wanted = Math.floor(random.next() * (most + 3));
      await w.call("UpdateService", { cluster: "sim", service: "web", desiredCount: wanted });
    } else if (what < 0.85) {
      w.world.happen(fates[Math.floor(random.next() * fates.length)]!, Math.floor(random.next() * 12));
    } else w.world.killServer();
    await w.pass(random.next() < 0.6 ? random.next() * 20_000 : random.next() * 25 * minute);
    if (!w.world.serverAlive) await w.world.startServer();
    await w.pass(3_000);
    if (!w.world.serverAlive) await w.world.startServer();
  }
  w.world.disarm();
  if (!w.world.serverAlive) await w.world.startServer();
  await w.until(() => w.instances().length === Math.min(wanted, most) && running(w) === Math.min(wanted, most), 60 * minute, state(w));
  await w.call("UpdateService", { cluster: "sim", service: "web", desiredCount: 0 });
  await w.until(() => w.instances().length === 0, 60 * minute, state(w));
  for (const agent of w.host.agents.values()) for (const [arn, count] of agent.starts) assert.equal(count, 1, arn);
}
