import assert from "node:assert/strict";
import { test } from "node:test";
import { tableText } from "./rules.ts";

const rules = { table: "t", bridge: "br", subnet: "10.0.0.0/24", metadataPort: 1 };

test("the bridge is kept from the machine's instance metadata, or given the agent's", () => {
  const kept = /chain guard \{[^}]*iifname "br" ip daddr 169\.254\.169\.254 tcp dport 80 drop/;
  const given = /chain prerouting \{[^}]*iifname "br" ip daddr 169\.254\.169\.254 tcp dport 80 redirect to :2/;
  assert.match(tableText(rules, []), kept);
  assert.doesNotMatch(tableText(rules, []), given);
  assert.match(tableText({ ...rules, instanceMetadataPort: 2 }, []), given);
  assert.doesNotMatch(tableText({ ...rules, instanceMetadataPort: 2 }, []), kept);
});

test("in an instance the metadata service answers the bridge itself, and no published port 80 comes before it", () => {
  const text = tableText({ ...rules, isInstance: true }, []);
  assert.doesNotMatch(text, /ip daddr 169\.254\.169\.254 tcp dport 80 (drop|redirect)/);
  for (const chain of ["prerouting", "output"])
    assert.match(text, new RegExp(`chain ${chain} \\{ type nat[^}]*ip daddr 169\\.254\\.169\\.254 accept[^}]*fib daddr type local dnat`));
});
