import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createAccessLogs, type LogPlace } from "./access-logs.ts";

const app = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef";
const net = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/tcp/0123456789abcdef";

test("lines become a file every five minutes, named as AWS names it, and outlive the agent", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "gantry-access-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const clock = new FakeClock(Date.parse("2026-01-02T03:04:05Z"));
  const places = new Map<string, LogPlace>([
    [app, { bucket: "logs", prefix: "team/a", address: "127.80.0.1" }],
    [net, { bucket: "logs", prefix: "", address: "127.80.0.2" }],
  ]);
  const open = () =>
    createAccessLogs({
      buckets: join(directory, "buckets"),
      directory: join(directory, "waiting"),
      placeOf: (arn) => places.get(arn),
      clock,
      random: systemRandom,
      log: silentLogger,
    });
  const found = () => globSync("**/*.log*", { cwd: join(directory, "buckets") }).toSorted();
  const first = open();
  first.take({ loadBalancerId: app, line: "one" });
  await first.close();
  assert.deepEqual(found(), []);

  const second = open();
  second.take({ loadBalancerId: app, line: "two" });
  second.take({ loadBalancerId: net, line: "tls" });
  second.take({ loadBalancerId: `${net}x`, line: "of no one that wants logs" });
  await clock.advance(5 * 60_000);
  await second.publish();
  const files = found();
  assert.equal(files.length, 2);
  const at = (name: string) => readFileSync(join(directory, "buckets", name));
  assert.match(
    files[0]!,
    /^logs\/AWSLogs\/000000000000\/elasticloadbalancing\/us-east-1\/2026\/01\/02\/000000000000_elasticloadbalancing_us-east-1_net\.tcp\.0123456789abcdef_20260102T030\dZ_127\.80\.0\.2_\w{8}\.log$/,
  );
  assert.match(files[1]!, /^logs\/team\/a\/AWSLogs\/.*_app\.web\.0123456789abcdef_20260102T030\dZ_127\.80\.0\.1_\w{8}\.log\.gz$/);
  assert.equal(at(files[0]!).toString(), "tls\n");
  assert.equal(gunzipSync(at(files[1]!)).toString(), "one\ntwo\n");
  assert.deepEqual(globSync("*", { cwd: join(directory, "waiting") }), []);
  await second.close();
});
