// The child of crash.test.ts: puts log events without end and says on standard output what was acknowledged, until it is killed.
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { LogFiles } from "#services/logs/storage/log-files.ts";
import { say } from "../support/say.ts";

const [root, round] = process.argv.slice(2);
const files = new LogFiles(root!, systemClock, silentLogger);
say("open");

async function write(writer: string, stream: string): Promise<void> {
  for (let n = 1; ; n++) {
    const timestamp = Date.now() - ((n * 37) % 5000);
    const pad = "x".repeat((n * 911) % 40_000);
    const events = [0, 1, 2].map((i) => ({ timestamp: timestamp + i, message: Buffer.from(`${writer} ${n}.${i} ${pad}`) }));
    await files.append({ group: "g", stream }, events, Date.now());
    say(`${writer} ${n}`);
  }
}

await Promise.all(Array.from({ length: 6 }, (_, i) => write(`${round}-${i}`, `s${i % 3}`)));
