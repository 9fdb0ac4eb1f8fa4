import assert from "node:assert/strict";
import { test } from "node:test";
import { hopsOf } from "./metadata.ts";

const own = [
  { address: "127.0.0.1", netmask: "255.0.0.0" },
  { address: "169.254.169.254", netmask: "255.255.255.255" },
  { address: "10.0.1.5", netmask: "255.255.255.0" },
  { address: "172.20.0.1", netmask: "255.255.0.0" },
];
const hops = (source: string, addresses = own) => hopsOf(source, addresses, ["10.0.1.5"]);

test("the instance itself is one hop away, containers on its bridges two, and nobody else is answered", () => {
  for (const source of ["127.0.0.1", "127.3.2.1", "169.254.169.254", "10.0.1.5", "172.20.0.1"]) assert.equal(hops(source), 1, source);
  for (const source of ["172.20.0.2", "172.20.255.7"]) assert.equal(hops(source), 2, source);
  // Another instance of the subnet, another subnet, whoever else; and what is no address.
  for (const source of ["10.0.1.6", "10.0.2.5", "8.8.8.8", "169.254.1.1", "::1", ""]) assert.equal(hops(source), undefined, source);
  // A bridge that overlaps with the subnet makes nobody near.
  const overlapping = [...own, { address: "10.0.0.1", netmask: "255.255.0.0" }];
  assert.equal(hops("10.0.1.6", overlapping), undefined);
  assert.equal(hops("10.0.7.6", overlapping), 2);
});
