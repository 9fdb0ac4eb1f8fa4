import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { addressAt, contains, formatAddress, formatBlock, holdsAddress, overlap, parseAddress, parseBlock, sizeOf } from "./cidr.ts";

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6();

test("any address is read as Node reads it, and what is written is read as the same", () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6, fc.string({ unit: fc.constantFrom(..."0123456789abcdef:.%/"), maxLength: 45 })), (text) => {
      const address = parseAddress(text);
      // IPv6 with an IPv4 end is nothing that EC2 takes or shows.
      if (text.includes(":") && text.includes(".")) return;
      assert.equal(address?.family ?? 0, isIP(text.includes("%") ? "" : text), text);
      if (address) assert.deepEqual(parseAddress(formatAddress(address.family, address.value)), address);
    }),
  );
});

test("addresses are written as RFC 5952 wants them", () => {
  for (const [given, written] of [
    ["FD00:0:0:1:0:0:0:1", "fd00:0:0:1::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"],
    ["::1", "::1"],
    ["fd00::", "fd00::"],
  ] as const) {
    const { family, value } = parseAddress(given)!;
    assert.equal(formatAddress(family, value), written);
  }
});

test("a block holds what Node's own list of blocks holds; two overlap when one holds the other", () => {
  const block = fc.tuple(ipv4, fc.integer({ min: 1, max: 32 })).map(([address, bits]) => parseBlock(`${address}/${bits}`)!);
  fc.assert(
    fc.property(block, block, ipv4, (one, other, address) => {
      const list = new BlockList();
      list.addSubnet(addressAt(one, 0), one.bits);
      assert.equal(holdsAddress(one, address), list.check(address));
      const meet = holdsAddress(one, addressAt(other, 0)) || holdsAddress(other, addressAt(one, 0));
      assert.equal(overlap(one, other), meet);
      assert.equal(contains(one, other), one.bits <= other.bits && meet);
      assert.deepEqual(parseBlock(formatBlock(one)), one);
      assert.ok(holdsAddress(one, addressAt(one, sizeOf(one) - 1n)));
    }),
  );
});

test("what is no block", () => {
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/08", "::/129", "010.0.0.0/8", "10.0.0.0/-1", "", "::1::/64"])
    assert.equal(parseBlock(text), undefined, text);
});
