import assert from "node:assert/strict";
import { test } from "node:test";
import { cbor } from "@smithy/core/cbor";
import fc from "fast-check";
import { formatCbor, parseCbor, Tagged } from "./cbor.ts";

const tree = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);

test("what the SDK's encoder writes is read, and so is ours", () => {
  fc.assert(
    fc.property(tree, (value) => {
      assert.deepEqual(parseCbor(cbor.serialize(value) as Uint8Array), value);
      assert.deepEqual(parseCbor(formatCbor(value)), value);
    }),
  );
});

test("the SDK's decoder reads what ours writes", () => {
  // Its decoder takes a key `__proto__` for the prototype; ours keeps it as a key (the test above).
  const readable = tree.filter((value) => !JSON.stringify(value).includes('"__proto__":'));
  fc.assert(
    fc.property(readable, (value) => {
      const read: unknown = cbor.deserialize(formatCbor(value));
      assert.deepEqual(JSON.parse(JSON.stringify(read, (_key, each: unknown) => (typeof each === "bigint" ? Number(each) : each))), value);
    }),
  );
});

test("a key `__proto__` is a key", () => {
  const map = parseCbor(Buffer.from("a1695f5f70726f746f5f5fa0", "hex")) as object;
  assert.deepEqual([Object.keys(map), Object.getPrototypeOf(map)], [["__proto__"], Object.prototype]);
});

test("RFC 8949's examples", () => {
  const examples: [string, unknown][] = [
    ["1bffffffffffffffff", 2 ** 64],
    ["3903e7", -1000],
    ["f93c00", 1],
    ["f90001", 5.960464477539063e-8],
    ["fa47c35000", 100000],
    ["5f42010243030405ff", Buffer.from([1, 2, 3, 4, 5])],
    ["7f657374726561646d696e67ff", "streaming"],
    ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
    ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
    ["c11a514b67b0", new Tagged(1, 1363896240)],
  ];
  for (const [hex, value] of examples) assert.deepEqual(parseCbor(Buffer.from(hex, "hex")), value, hex);
});

test("lengths that the bytes do not hold, breaks out of place, reserved codes", () => {
  for (const hex of [
    "",
    "1b00",
    "7b7fffffffffffffff61",
    "9b00000000ffffffff01",
    "ff",
    "81ff",
    "a1ff",
    "a10101",
    "1c",
    "f8",
    "5f6161ff",
    "0000",
    "c1",
  ])
    assert.throws(() => parseCbor(Buffer.from(hex, "hex")), Error, hex);
  assert.throws(() => parseCbor(Buffer.alloc(100_000, 0x81)), /too deep/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        parseCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }),
    { numRuns: 2000 },
  );
});
