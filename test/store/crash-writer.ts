// The child of crash.test.ts: writes without end and says on standard output what was acknowledged. It is killed while it does.
import { systemClock } from "#platform/clock.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { say } from "../support/say.ts";

const [path, round, writers] = process.argv.slice(2);
const store = await openSqliteStore({ path: path!, clock: systemClock });
say("open");

/** Each writer counts up in two keys at once, so that a torn transaction shows, and leaves a key behind for each step. */
async function write(writer: string): Promise<void> {
  for (let n = 1; ; n++) {
    const result = await store.transaction({
      writes: [
        { put: `left/${writer}`, value: { round, n } },
        { put: `right/${writer}`, value: { round, n, pad: "x".repeat((n * 37) % 3000) } },
        { put: `step/${round}/${writer}/${n}`, value: n },
        ...(n % 10 === 0 ? [{ deletePrefix: `step/${round}/${writer}/${n / 10 - 1}` }] : []),
      ],
    });
    say(`${writer} ${n} ${result.revision}`);
  }
}

await Promise.all(Array.from({ length: Number(writers) }, (_, i) => write(`${round}-${i}`)));
