/** Amounts that were worked out by hand from the list of 2026-01-19. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAmount, type Amount } from "./amount.ts";
import { fargateSizes, smallestFargateSize } from "./fargate-sizes.ts";
import { forTime, hourPriceOf, machineHour } from "./pricing.ts";
import { awsPrices } from "./prices.ts";
import type { TaskClass } from "./records.ts";
import { billed, hourMs } from "./usage.ts";

const of = (more: Partial<TaskClass>): TaskClass => ({
  cluster: "c",
  group: "service:web",
  launchType: "FARGATE",
  cpu: 1024,
  memory: 2048,
  tags: [],
  ...more,
});
const money = (amount: Amount | undefined, decimals = 9) => amount && formatAmount(amount, decimals);
const hour = (more: Partial<TaskClass>) => {
  const { own, other } = hourPriceOf(of(more), awsPrices);
  return [money(own), money(other)];
};

test("Fargate, an hour", () => {
  // 1 × 0.04048 + 2 × 0.004445; half of a c6a.large (2 vCPU, 4 GiB, 0.0765)
  assert.deepEqual(hour({}), ["0.049370000", "0.038250000"]);
  // 0.25 × 0.04048 + 0.5 × 0.004445; an eighth of a c6a.large
  assert.deepEqual(hour({ cpu: 256, memory: 512 }), ["0.012342500", "0.009562500"]);
  // 1 × 0.03238 + 2 × 0.00356; half of a c6g.large (0.068)
  assert.deepEqual(hour({ architecture: "arm64" }), ["0.039500000", "0.034000000"]);
  // 1 × 0.012144 + 2 × 0.0013335
  assert.equal(hour({ launchType: "FARGATE_SPOT" })[0], "0.014811000");
  // 1 × 0.009714 + 2 × 0.001068
  assert.equal(hour({ launchType: "FARGATE_SPOT", architecture: "arm64" })[0], "0.011850000");
  // + 30 GiB × 0.000111; + 30 GiB of gp3: 30 × 0.08 / 730
  assert.deepEqual(hour({ storageGiB: 50 }), ["0.052700000", "0.041537671"]);
  // Half of an r5a.large (2 vCPU, 16 GiB, 0.113); of an m6a.large it would take all memory (0.0864)
  assert.equal(hour({ memory: 8192 })[1], "0.056500000");
});

test("seconds: one minute at least, and a part of one counts whole", () => {
  const cost = (ms: number, more: Partial<TaskClass> = {}) => {
    const span = billed({ from: 0, to: ms });
    return money(forTime(hourPriceOf(of(more), awsPrices).own, span.to - span.from));
  };
  // 0.0123425 / 60
  assert.equal(cost(10_000, { cpu: 256, memory: 512 }), "0.000205708");
  assert.equal(cost(60_000, { cpu: 256, memory: 512 }), "0.000205708");
  // 0.04937 × 90 / 3600, × 91 / 3600
  assert.equal(cost(90_000), "0.001234250");
  assert.equal(cost(90_001), "0.001247964");
  // 30 days: 720 × 0.04937
  assert.equal(cost(720 * hourMs), "35.546400000");
});

test("EC2: a share of the instance, vCPUs weighing nine GiBs; on Fargate the smallest size that holds it", () => {
  const machine = { type: "m5.large", cpu: 2048, memory: 8192 };
  // 0.096 × (9 × 1 + 2) / (9 × 2 + 8)
  assert.deepEqual(hour({ launchType: "EC2", machine }), ["0.040615385", "0.049370000"]);
  // No CPU asked for: 0.096 × 0.5 / 26; on Fargate 0.25 vCPU and 0.5 GB
  assert.deepEqual(hour({ launchType: "EC2", machine, cpu: 0, memory: 512 }), ["0.001846154", "0.012342500"]);
  // 300 units and 3 GiB: 0.5 vCPU and 3 GB = 0.02024 + 0.013335
  assert.equal(hour({ launchType: "EC2", machine, cpu: 300, memory: 3072 })[1], "0.033575000");
  // arm64 by the machine
  assert.equal(hour({ launchType: "EC2", machine: { ...machine, architecture: "arm64" } })[1], "0.039500000");
  assert.equal(hour({ launchType: "EC2", machine, gpus: 1 })[1], undefined);
  assert.equal(hour({ launchType: "EC2", machine, cpu: 65_536 })[1], undefined);
  assert.equal(hour({ launchType: "EC2" })[0], "0.000000000", "its machine is not known");
});

test("a machine: by its type, else by vCPU and memory, with its volumes", () => {
  const own = { cpu: 4096, memory: 16_384 };
  // 4 × 0.0357 + 16 × 0.0034; 4 × 0.0305 + 16 × 0.0029
  assert.equal(money(machineHour(own, awsPrices)), "0.197200000");
  assert.equal(money(machineHour({ ...own, type: "tower" }, awsPrices)), "0.197200000");
  assert.equal(money(machineHour({ ...own, architecture: "arm64" }, awsPrices)), "0.168400000");
  // 0.192 + 100 × 0.08 / 730; a volume of no known type adds nothing
  const volumes = [
    { type: "gp3", gib: 100 },
    { type: "tape", gib: 9 },
  ];
  assert.equal(money(machineHour({ ...own, type: "m5.xlarge", volumes }, awsPrices)), "0.202958904");
});

test("the smallest size of Fargate holds the task, is one of AWS's, and none with less CPU does", () => {
  const isSize = (cpu: number, memory: number) =>
    (fargateSizes[cpu] ?? []).some(([from, to, step]) => memory >= from && memory <= to && (memory - from) % step === 0);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 33_000 }), fc.integer({ min: 0, max: 250_000 }), (cpu, memory) => {
      const size = smallestFargateSize(cpu, memory);
      const holds = (units: number) => (fargateSizes[units] ?? []).some(([, to]) => to >= memory);
      const fitting = Object.keys(fargateSizes)
        .map(Number)
        .filter((units) => units >= cpu && holds(units));
      assert.equal(size?.cpu, fitting[0]);
      if (!size) return;
      assert.ok(isSize(size.cpu, size.memory) && size.memory >= memory);
      assert.ok(!isSize(size.cpu, size.memory - 1024) || size.memory - 1024 < memory);
    }),
    { numRuns: 2000 },
  );
});
