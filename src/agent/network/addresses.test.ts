import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chooseSubnet, overlaps, parseSubnet } from "./addresses.ts";

const blocks = fc.array(
  fc
    .record({ base: fc.constantFrom("172.16.0.0/12", "172.30.0.0/16", "172.30.32.0/20", "172.29.0.0/16", "172.17.0.0/16", "10.0.0.0/16") })
    .map(({ base }) => parseSubnet(base)),
  { maxLength: 3 },
);

test("a bridge's subnet meets no route of the machine, and an instance's never a machine's", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), blocks, blocks, (machineSeed, instanceSeed, taken, takenInside) => {
      const machine = chooseSubnet(machineSeed, taken);
      assert.ok(taken.every((other) => !overlaps(machine, other)));
      if (takenInside.some(({ prefix }) => prefix === 12)) return;
      const inside = chooseSubnet(instanceSeed, takenInside, true);
      assert.ok(takenInside.every((other) => !overlaps(inside, other)));
      assert.ok(!overlaps(machine, inside));
    }),
  );
});
