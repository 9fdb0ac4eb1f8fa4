import assert from "node:assert/strict";
import { test } from "node:test";
import type { Snapshot } from "./config.ts";
import { problems } from "./problems.ts";
import { servable } from "./servable.ts";

const group = (id: string, path = "/"): Snapshot["targetGroups"][number] => ({
  id,
  protocol: "HTTP",
  healthCheck: { protocol: "HTTP", path, interval: 5, timeout: 2, healthyThreshold: 2, unhealthyThreshold: 2 },
  deregistrationDelay: 1,
  targets: [],
});
const to = (id: string) => ({ type: "forward" as const, targetGroups: [{ id, weight: 1 }] });

test("a listener that cannot be served takes nothing else with it", () => {
  const snapshot: Snapshot = {
    loadBalancers: [
      {
        id: "one",
        name: "app/one/1",
        kind: "application",
        addresses: ["127.1.0.1"],
        listeners: [
          { id: "good", port: 80, protocol: "HTTP", defaultAction: to("g") },
          { id: "no certificate", port: 443, protocol: "HTTPS", defaultAction: to("g") },
          { id: "bad group", port: 81, protocol: "HTTP", defaultAction: to("bad") },
        ],
      },
      { id: "no address", name: "app/two/2", kind: "application", addresses: ["nowhere"], listeners: [] },
      {
        id: "three",
        name: "app/three/3",
        kind: "application",
        addresses: ["127.1.0.3"],
        listeners: [{ id: "fine", port: 80, protocol: "HTTP", defaultAction: to("h") }],
      },
    ],
    targetGroups: [group("g"), group("h"), group("bad", "no path"), group("unused"), group("bad and unused", "no path")],
  };
  const { snapshot: served, dropped } = servable(snapshot);
  assert.deepEqual(
    served.loadBalancers.map(({ id, listeners }) => [id, listeners.map((each) => each.id)]),
    [
      ["one", ["good"]],
      ["three", ["fine"]],
    ],
  );
  assert.deepEqual(
    served.targetGroups.map(({ id }) => id),
    ["g", "h", "unused"],
  );
  assert.deepEqual(problems(served), []);
  assert.match(
    dropped.join("\n"),
    /no certificate: protocol HTTPS needs a certificate\n.*bad: health check path "no path" is none\n.*nowhere is no IPv4/,
  );
});
