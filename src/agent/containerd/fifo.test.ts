import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { streamOf, written } from "./fifo.ts";

/** More than a pipe holds, by less than a stream buffers before it asks to wait: then no `drain` comes. */
for (const beyond of [0, 1, 8 * 1024, 100 * 1024])
  test(`what a full pipe has not taken yet (${beyond} bytes) is written before an end of input`, { timeout: 120_000 }, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "gantry-fifo-"));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, "stdin");
    execFileSync("mkfifo", [path]);
    const input = streamOf(path, constants.O_RDWR, { writable: true, readable: false });
    const reader = streamOf(path, constants.O_RDONLY, { writable: false, readable: true });
    t.after(() => [input, reader].map((stream) => stream.destroy()));
    const size = 64 * 1024 + beyond;
    for (let at = 0; at < size; at += 8 * 1024) input.write(Buffer.alloc(Math.min(8 * 1024, size - at), "x"));
    const done = written(input).then(() => {
      assert.equal(input.writableLength, 0);
      input.destroy();
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    let got = 0;
    for await (const piece of reader) got += (piece as Buffer).length;
    await done;
    assert.equal(got, size);
  });

test("of a stream that is gone nothing is waited for", { timeout: 120_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "gantry-fifo-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "stdin");
  execFileSync("mkfifo", [path]);
  const input = streamOf(path, constants.O_RDWR, { writable: true, readable: false });
  input.write(Buffer.alloc(200 * 1024));
  const done = written(input);
  input.destroy();
  await done;
  await written(input);
});
