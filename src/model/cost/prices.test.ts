import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAmount } from "./amount.ts";
import { awsPrices, parsePrices, PricesError } from "./prices.ts";

const rate = { vcpuHour: "0.01", gbHour: 0.002 };
const whole = {
  name: "our cellar",
  date: "2026-11-01",
  currency: "EUR",
  fargate: { x86_64: rate, arm64: rate, storageGbHour: "0.0001" },
  fargateSpot: { x86_64: rate, arm64: rate },
  ec2: { machine: { x86_64: rate, arm64: rate }, types: { tower: { hour: "0.3", vcpu: 16, gb: 64 } } },
};

test("AWS's list is whole and dated, and its prices are AWS's", () => {
  assert.match(awsPrices.date, /^20\d\d-\d\d-\d\d$/);
  assert.equal(awsPrices.currency, "USD");
  const hour = (type: string) => formatAmount(awsPrices.types.get(type)!.hour, 5);
  const known = {
    "t3.medium": "0.04160",
    "m5.large": "0.09600",
    "m7i.4xlarge": "0.80640",
    "c7g.medium": "0.03630",
    "r6i.24xlarge": "6.04800",
  };
  for (const [type, price] of Object.entries(known)) assert.equal(hour(type), price, type);
  for (const [name, { vcpu, gb, hour: price, burstable }] of awsPrices.types) {
    assert.ok(vcpu >= 1 && gb >= 0.5 && price.numerator > 0n, name);
    assert.equal(burstable, name.startsWith("t"), name);
  }
});

test("a list of one's own, whole", () => {
  const prices = parsePrices(whole);
  assert.equal(prices.currency, "EUR");
  assert.equal(formatAmount(prices.machine.x86_64.gbHour, 3), "0.002");
  assert.deepEqual([...prices.types.keys()], ["tower"]);
});

test("one that extends AWS's: what it names is new, the rest stays", () => {
  const prices = parsePrices({
    extends: "us-east-1",
    name: "mine",
    date: "2026-11-01",
    fargate: { arm64: rate },
    ec2: { machine: { x86_64: rate }, types: { "m5.large": { hour: "0.05", vcpu: 2, gb: 8 } } },
  });
  assert.equal(formatAmount(prices.types.get("m5.large")!.hour, 2), "0.05");
  assert.equal(prices.types.get("m5.xlarge"), awsPrices.types.get("m5.xlarge"));
  assert.equal(prices.fargate.x86_64, awsPrices.fargate.x86_64);
  assert.equal(formatAmount(prices.fargate.arm64.vcpuHour, 2), "0.01");
  assert.equal(prices.machine.arm64, awsPrices.machine.arm64);
  assert.equal(prices.storageGbHour, awsPrices.storageGbHour);
});

test("what is wrong is named, and what belongs there", () => {
  const types = (type: object) => ({ ...whole, ec2: { ...whole.ec2, types: { tower: type } } });
  const wrong: readonly [unknown, RegExp][] = [
    [[], /^a price list is a JSON object$/],
    [{}, /^currency: nothing, where a currency of three capital letters belongs$/],
    [{ ...whole, currency: "$" }, /^currency: "\$", where/],
    [{ ...whole, date: "today" }, /^date: "today", where the day of the prices/],
    [{ ...whole, fargat: {} }, /^fargat: is not known; known are name, date/],
    [{ ...whole, fargate: undefined }, /^fargate: is missing$/],
    [{ ...whole, fargate: { x86_64: rate, storageGbHour: "1" } }, /^fargate\.arm64: is missing$/],
    [
      { ...whole, fargateSpot: { x86_64: rate, arm64: { vcpuHour: "0.01" } } },
      /^fargateSpot\.arm64\.gbHour: nothing, where a price such as "0.04048" belongs$/,
    ],
    [{ ...whole, fargateSpot: { x86_64: rate, arm64: { ...rate, gbHour: -1 } } }, /^fargateSpot\.arm64\.gbHour: -1, where/],
    [{ ...whole, fargateSpot: { x86_64: rate, arm64: { ...rate, gbHour: 1e-7 } } }, /^fargateSpot\.arm64\.gbHour: 1e-7, where/],
    [types({ vcpu: 1, gb: 1 }), /^ec2\.types\.tower\.hour: nothing, where/],
    [types({ hour: "1", vcpu: 0, gb: 1 }), /^ec2\.types\.tower\.vcpu: 0, where a size such as 2 or 0\.5 belongs$/],
    [types({ hour: "1", vcpu: 1, gb: 1, architecture: "mips" }), /^ec2\.types\.tower\.architecture: is neither/],
    [{ ...whole, extends: "mars" }, /^extends: the only list to extend is "us-east-1"$/],
    [{ ...whole, extends: "us-east-1" }, /^currency: EUR can't be mixed with the USD/],
  ];
  for (const [list, message] of wrong)
    assert.throws(
      () => parsePrices(list),
      (error: Error) => error instanceof PricesError && message.test(error.message),
      String(message),
    );
});
