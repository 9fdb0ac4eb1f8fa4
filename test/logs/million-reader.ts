// The child of million.test.ts: reads and filters what stands in a home, and says how much memory that took.
import assert from "node:assert/strict";
import { startLogs } from "./harness.ts";

const logs = await startLogs(process.argv[2]);
const idle = process.resourceUsage().maxRSS;

async function all(filterPattern?: string): Promise<{ count: number; ms: number }> {
  const started = performance.now();
  let count = 0;
  let last = 0;
  let nextToken: string | undefined;
  do {
    const page = await logs.call("FilterLogEvents", { logGroupName: "g", filterPattern, nextToken });
    for (const { timestamp } of page.events!) {
      assert.ok(timestamp! >= last);
      last = timestamp!;
      count++;
    }
    nextToken = page.nextToken;
  } while (nextToken);
  return { count, ms: Math.round(performance.now() - started) };
}

const megabytes = () => Math.round((process.resourceUsage().maxRSS - idle) / 1024);
const filtered = { ...(await all("NEEDLE")), megabytes: megabytes() };
const read = await all();
const started = performance.now();
const tail = await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "b", limit: 10 });
console.log(
  JSON.stringify({
    filtered,
    read,
    tail: { message: tail.events!.at(-1)!.message, ms: Math.round(performance.now() - started) },
    megabytes: megabytes(),
  }),
);
await logs.stop();
