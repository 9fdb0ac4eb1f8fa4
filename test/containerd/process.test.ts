/** What somebody talks to inside a container: with a terminal and without, under runc and in a gVisor sandbox. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, afterEach, before, test } from "node:test";
import { createContainerdRuntime } from "#agent/containerd/runtime.ts";
import type { ContainerProcess, ContainerSpec, Image, ProcessOptions } from "#agent/runtime.ts";
import { until } from "../support/until.ts";
import { type Machine, patienceMs } from "./support/machine.ts";
import { nothingLeft, openSandboxMachine, SandboxTask } from "./support/sandbox.ts";

let machine: Machine;
let busybox: Image;
let close: () => Promise<void>;
let opened = 0;

before(async () => {
  ({ machine, busybox, close } = await openSandboxMachine({ config: { Cmd: ["sh"], Env: ["A=image"] } }));
});
afterEach(() => nothingLeft(machine));
after(() => close());

const open = (spec: ContainerSpec, args: readonly string[], more: Partial<ProcessOptions> = {}) =>
  machine.runtime.open(spec.id, { name: `ecs-execute-command-${++opened}`, args, ...more });

/** All that it writes, as text. */
function reading(process: ContainerProcess): { text: string; until(what: RegExp): Promise<void> } {
  const seen = {
    text: "",
    async until(what: RegExp) {
      await until(`${what}`, () => what.test(seen.text), { every: 10 }).catch(() =>
        assert.fail(`no ${what} in ${JSON.stringify(seen.text)}`),
      );
    },
  };
  process.stdout.on("data", (piece: Buffer) => (seen.text += piece.toString("latin1")));
  return seen;
}

for (const runtime of ["runc", "runsc"] as const) {
  const container = async (): Promise<{ spec: ContainerSpec; end(): Promise<void> }> => {
    if (runtime === "runsc") {
      const task = new SandboxTask(machine, {});
      await task.open({});
      const spec = await task.start(busybox, "sleep 60", { user: "app" });
      return { spec, end: () => task.close([spec]) };
    }
    const spec = await machine.spec(busybox, { command: ["sleep", "60"], user: "app", environment: { B: "own" } });
    await machine.runtime.create(spec);
    await machine.runtime.start(spec.id);
    return { spec, end: () => machine.runtime.remove(spec.id) };
  };
  const directory = () => readdirSync(join(machine.home, "state", "opened"));

  test(`${runtime}: a terminal has a size that changes, control-C, root, and an exit code`, async () => {
    const { spec, end } = await container();
    const process = await open(spec, ["sh"], { terminal: { cols: 100, rows: 30 } });
    const output = reading(process);
    process.stdin.write("stty size; id -u; echo A=$A TERM=$TERM\r");
    await output.until(/\n30 100\r\n0\r\nA=image TERM=xterm-256color\r\n/);
    await process.resize({ cols: 132, rows: 50 });
    process.stdin.write("stty size\r");
    await output.until(/\n50 132\r\n/);
    process.stdin.write("sleep 500; echo interrupted=$?\r");
    // Again and again: the first may come before it sleeps.
    const again = async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      process.stdin.write("\x03");
      process.stdin.write("echo goes on\r");
    };
    await Promise.all([
      output.until(/\ngoes on\r\n/),
      (async () => {
        do await again();
        while (!/\ngoes on\r\n/.test(output.text));
      })(),
    ]);
    process.stdin.write("exit 7\r");
    assert.equal(await process.ended, 7);
    assert.deepEqual(directory(), []);
    await end();
  });

  test(`${runtime}: three streams, an end of input, megabytes unharmed at the reader's pace`, async () => {
    const { spec, end } = await container();
    const process = await open(spec, ["sh", "-c", "md5sum; echo wrong >&2; dd if=/dev/zero bs=1024 count=3000 2>/dev/null; exit 3"]);
    const input = Buffer.alloc(700_000, "abc");
    process.stdin.write(input);
    await process.endInput();
    const errors = text(process.stderr!);
    const pieces: Buffer[] = [];
    for await (const piece of process.stdout) {
      pieces.push(piece as Buffer);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const all = Buffer.concat(pieces);
    assert.equal(all.subarray(0, 32).toString(), createHash("md5").update(input).digest("hex"));
    assert.equal(all.length, 36 + 3000 * 1024);
    assert.equal(await errors, "wrong\n");
    assert.equal(await process.ended, 3);
    await end();
  });

  test(`${runtime}: a container that ends takes them along; a command that is not there is said`, async () => {
    const { spec, end } = await container();
    await assert.rejects(open(spec, ["no-such-program"], { terminal: { cols: 80, rows: 24 } }), /no such file|not found/);
    const process = await open(spec, ["cat"], { terminal: { cols: 80, rows: 24 } });
    process.stdout.resume();
    await machine.runtime.kill(spec.id, 9);
    assert.notEqual(await process.ended, 0);
    await assert.rejects(open(spec, ["true"]), /NotFound|not running|not found|stopped/);
    assert.deepEqual(directory(), []);
    await end();
  });

  test(`${runtime}: what an agent that died had opened is ended by the next one, though it writes without end`, async () => {
    const { spec, end } = await container();
    const process = await open(spec, ["sh", "-c", "while :; do echo endless; done"], { terminal: { cols: 80, rows: 24 } });
    process.stdout.pause();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const next = await createContainerdRuntime(machine.options);
    const [name] = await next.endOpened();
    assert.match(name!, /^ecs-execute-command-/);
    assert.deepEqual(directory(), []);
    const left = await machine.runtime.exec(spec.id, {
      args: ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c endles[s]"],
      timeoutMs: patienceMs,
    });
    assert.equal(left.output, "0\n");
    process.stdout.resume();
    await process.ended;
    await next.close();
    await end();
  });
}
