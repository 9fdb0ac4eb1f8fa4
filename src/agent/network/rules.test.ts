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
