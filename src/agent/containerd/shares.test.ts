import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Shares } from "./shares.ts";

const whole = (cpuNanoseconds: number, memoryBytes = 0) => ({
  readAt: 0,
  cpuNanoseconds,
  memoryBytes,
  memoryLimitBytes: 1000,
  memoryCacheBytes: 0,
  pids: 1,
  readBytes: 0,
  writtenBytes: 0,
});

test("a container that shares with nobody has all", () => {
  assert.deepEqual(new Shares().partOf("a", whole(7, 9)), whole(7, 9));
});

test("parts never shrink while their container is there, and sum up to what the sandbox used", () => {
  const step = fc.record({ used: fc.nat(1000), join: fc.option(fc.nat(5)), leave: fc.option(fc.nat(5)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const shares = new Shares();
      const before = new Map<string, number>();
      shares.join("s", "always");
      before.set("always", 0);
      let total = 0;
      let gone = 0;
      for (const { used, join, leave } of steps) {
        if (join !== null && !before.has(`c${join}`)) {
          shares.join("s", `c${join}`);
          before.set(`c${join}`, 0);
        }
        total += used;
        for (const [id, last] of before) {
          const { cpuNanoseconds } = shares.partOf(id, whole(total));
          assert.ok(cpuNanoseconds >= last);
          before.set(id, cpuNanoseconds);
        }
        const sum = [...before.values()].reduce((a, b) => a + b, gone);
        assert.ok(Math.abs(sum - total) <= before.size * (steps.length + 1), `${sum} of ${total}`);
        if (leave !== null && before.has(`c${leave}`)) {
          shares.leave(`c${leave}`);
          gone += before.get(`c${leave}`)!;
          before.delete(`c${leave}`);
        }
      }
    }),
  );
});
