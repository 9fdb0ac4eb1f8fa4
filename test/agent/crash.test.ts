import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { container, task } from "./payloads.ts";
import { Harness } from "./harness.ts";

class Death extends Error {}

/** Runs a task of two containers to its end; the agent dies at the n-th write of its journal and is started again. Returns false when there are fewer writes. */
async function dieAt(n: number, when: "before" | "after"): Promise<boolean> {
  const harness = new Harness({ app: { pullMs: 5, createMs: 3, runMs: 50, exitCode: 3 }, side: { createMs: 2 } });
  const payload = task("t1", [
    container("app", { portMappings: [{ containerPort: 80, protocol: "tcp" }] }),
    container("side", { dependsOn: [{ containerName: "app", condition: "START" }] }),
  ]);
  let writes = 0;
  let dead = false;
  let acknowledged = false;
  harness.onWrite = (moment) => {
    if (!dead && moment === when && ++writes === n) {
      dead = true;
      harness.engine.close();
    }
    if (dead) throw new Death();
  };
  const apply = () => {
    try {
      harness.engine.apply([payload]);
      acknowledged = !dead;
    } catch (error) {
      assert.ok(error instanceof Death);
    }
  };
  try {
    apply();
    for (let i = 0; i < 5 && !dead; i++) await harness.advance(30).catch((error: unknown) => assert.ok(error instanceof Death));
    if (!dead) await harness.advance(61_000).catch((error: unknown) => assert.ok(error instanceof Death));
    const died = dead;
    if (died) {
      harness.onWrite = () => {};
      await harness.crash();
      // What was not acknowledged is sent again.
      dead = false;
      if (!acknowledged) apply();
    }
    // The task's files are real, so under load its steps may take longer than the clock that we move.
    const over = () => harness.reports.at(-1)?.status === "STOPPED" && harness.network.attached.size + harness.runtime.lives.size === 0;
    for (let i = 0; i < 20 && !over(); i++) await harness.advance(200);
    assert.ok(harness.fatal.every((error) => error instanceof Death));
    const where = `${when} write ${n}`;
    const last = harness.reports.at(-1);
    assert.equal(last?.status, "STOPPED", where);
    assert.equal(last?.containers.find(({ containerName }) => containerName === "app")?.exitCode, 3, where);
    const texts = harness.reports.map((report) => JSON.stringify(report));
    const repeated = texts.length - new Set(texts).size;
    assert.ok(repeated <= 1, `${where}: only what was being sent at the death is said again`);
    const ranks = harness.reports.map(({ status }) => ["PENDING", "RUNNING", "STOPPED"].indexOf(status));
    assert.deepEqual(
      ranks,
      ranks.toSorted((a, b) => a - b),
      `${where}: statuses only rise`,
    );
    assert.equal(harness.runtime.log.filter((line) => line === "start app").length, 1, `${where}: started once`);
    assert.equal(harness.network.attached.size, 0, `${where}: no namespace is left`);
    assert.equal(harness.runtime.lives.size, 0, `${where}: no container is left`);
    for (let i = 0; i < 5 && harness.engine.tasks().length > 0; i++) await harness.advance(61_000);
    assert.equal(harness.engine.tasks().length, 0, `${where}: the task is cleaned up`);
    return died;
  } finally {
    harness.close();
  }
}

describe("the agent's death at any write of its journal", () => {
  for (const when of ["before", "after"] as const) {
    it(`loses nothing and does nothing twice: ${when} each write`, async () => {
      let n = 1;
      while (await dieAt(n, when)) n++;
      assert.ok(n > 12, `${n} writes were tried`);
    });
  }
});
