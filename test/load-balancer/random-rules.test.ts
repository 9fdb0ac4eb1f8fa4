/** For random sets of rules, HAProxy decides as the naive matcher does; so does it after each change of the rules. */
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { test } from "node:test";
import fc from "fast-check";
import type { Condition, Rule } from "#load-balancer/config.ts";
import { freePort } from "../support/port.ts";
import { decide, type Asked } from "./naive.ts";
import { bench, single } from "./support.ts";

const piece = fc.constantFrom("a", "b", "/", "/a", "/b", "a/b", "x");
const word = fc.array(piece, { maxLength: 3 }).map((parts) => parts.join(""));
const path = word.map((text) => `/${text}`);
const pattern = fc.oneof(
  path,
  path.map((text) => `${text}*`),
  fc
    .array(fc.oneof({ weight: 3, arbitrary: piece }, { weight: 1, arbitrary: fc.constantFrom("*", "?") }), { minLength: 1, maxLength: 4 })
    .map((parts) => `/${parts.join("")}`),
);
const host = fc.constantFrom("a.test", "b.test", "x.a.test", "A.Test");
const hostPattern = fc.oneof(host, fc.constantFrom("*.test", "?.test", "*.a.test"));
const short = fc.constantFrom("a", "b", "ab", "");
const shortPattern = fc.constantFrom("a", "b", "a*", "?", "*b");
const condition: fc.Arbitrary<Condition> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(pattern, { minLength: 1, maxLength: 3 }).map((values): Condition => ({ field: "path-pattern", values })),
  },
  {
    weight: 3,
    arbitrary: fc.array(hostPattern, { minLength: 1, maxLength: 2 }).map((values): Condition => ({ field: "host-header", values })),
  },
  fc.array(shortPattern, { minLength: 1, maxLength: 2 }).map((values): Condition => ({ field: "http-header", name: "X-H", values })),
  fc
    .uniqueArray(fc.constantFrom("GET", "POST", "PUT"), { minLength: 1, maxLength: 2 })
    .map((values): Condition => ({ field: "http-request-method", values })),
  fc
    .array(fc.record({ key: fc.option(fc.constantFrom("k", "K2"), { nil: undefined }), value: shortPattern }), {
      minLength: 1,
      maxLength: 2,
    })
    .map((values): Condition => ({ field: "query-string", values })),
  fc.constantFrom("127.0.0.0/8", "10.0.0.0/8").map((block): Condition => ({ field: "source-ip", values: [block] })),
);
const rules = fc
  .uniqueArray(fc.record({ priority: fc.integer({ min: 1, max: 60 }), conditions: fc.array(condition, { minLength: 1, maxLength: 3 }) }), {
    selector: ({ priority }) => priority,
    minLength: 1,
    maxLength: 14,
  })
  .map((list) =>
    list.map(({ priority, conditions }): Rule => ({
      id: `r${priority}`,
      priority,
      conditions,
      action: { type: "fixed-response", statusCode: 200, contentType: "text/plain", body: String(priority) },
    })),
  );
const asked: fc.Arbitrary<Asked> = fc.record({
  host: fc.oneof(host, fc.constant("b.test:8080"), fc.constant("other.test")),
  method: fc.constantFrom("GET", "POST", "DELETE"),
  path,
  query: fc.oneof(
    fc.constant(""),
    fc
      .array(fc.tuple(fc.constantFrom("k", "K2", "z"), short), { maxLength: 2 })
      .map((pairs) => pairs.map(([key, value]) => `${key}=${value}`).join("&")),
    short,
  ),
  headers: short.map((value): Asked["headers"] => (value === "" ? {} : { "x-h": value })),
});

test("random rules: HAProxy decides as the naive matcher", async () => {
  await using made = bench();
  const port = await freePort();
  // New connections each time: one that was kept over a reload has its last answer from the process before.
  const agent = new Agent({ keepAlive: false, maxSockets: 8 });
  const ask = ({ host: name, method, path: at, query, headers }: Asked) =>
    new Promise<string>((resolve, reject) => {
      const outgoing = request(
        { host: "127.0.0.1", port, agent, method, path: query === "" ? at : `${at}?${query}`, headers: { ...headers, host: name } },
        (response) => {
          let body = "";
          response.on("data", (part: Buffer) => (body += part.toString()));
          response.once("end", () => resolve(body));
        },
      );
      outgoing.once("error", reject);
      outgoing.end();
    });
  const defaultAction = { type: "fixed-response", statusCode: 200, contentType: "text/plain", body: "default" } as const;
  try {
    await fc.assert(
      fc.asyncProperty(rules, fc.array(asked, { minLength: 30, maxLength: 30 }), async (list, requests) => {
        await made.balancers.apply(single(port, [], { rules: list, defaultAction }));
        const got = await Promise.all(requests.map(ask));
        assert.deepEqual(
          got.map((decision, index) => [decision, requests[index]]),
          requests.map((each) => [String(decide(list, each) ?? "default"), each]),
        );
      }),
      { numRuns: 25, endOnFailure: true },
    );
  } finally {
    agent.destroy();
  }
});
