import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { release } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { RuntimeError, type Image } from "#agent/runtime.ts";
import { until } from "../support/until.ts";
import { execUntil } from "./support/exec.ts";
import { type Machine, patienceMs } from "./support/machine.ts";
import { nothingLeft, openSandboxMachine, SandboxTask } from "./support/sandbox.ts";

/** Containers in gVisor sandboxes, as under runc (runtime.test.ts), and what a sandbox adds. */
let machine: Machine;
let busybox: Image;
let close: () => Promise<void>;

before(async () => {
  ({ machine, busybox, close } = await openSandboxMachine({ config: { Cmd: ["sh"], Env: ["A=image", "B=image"] } }));
});

afterEach(() => nothingLeft(machine));

after(() => close());

const task = async (limits: ConstructorParameters<typeof SandboxTask>[1] = {}, options = {}) => {
  const made = new SandboxTask(machine, limits);
  await made.open(options);
  return made;
};

test("two containers share localhost and a volume, and neither file systems nor processes", async () => {
  const pair = await task();
  const shared = join(machine.home, "shared");
  mkdirSync(shared);
  const mounts = [{ source: shared, target: "/shared", readOnly: false }];
  const server = await pair.start(busybox, "echo secret >/mine; echo from server >/shared/file; nc -l -p 8080 -e echo hello; : server", {
    mounts,
  });
  const client = await pair.start(
    busybox,
    "i=0; until nc 127.0.0.1 8080 </dev/null || [ $i = 600 ]; do i=$((i+1)); sleep 0.05; done; cat /shared/file; cat /mine; cat /proc/[0-9]*/cmdline | grep -c serv[e]r",
    { mounts },
  );
  const exit = await machine.runtime.wait(client.id, AbortSignal.timeout(patienceMs));
  assert.equal(readFileSync(client.stdout, "utf8"), "hello\nfrom server\n0\n");
  assert.match(readFileSync(client.stderr, "utf8"), /\/mine'?: No such file/);
  assert.equal(exit.exitCode, 1);
  assert.equal((await machine.runtime.wait(server.id, AbortSignal.timeout(patienceMs))).exitCode, 0);
  await pair.close([server, client]);
});

/** In a sandbox that others share, and as the only one of its task. */
for (const alone of [false, true]) {
  const where = alone ? "alone: " : "";

  test(`${where}a kernel of its own; exit code, environment, user, each stream in its own file`, async () => {
    const one = await task({}, { alone });
    const result = await one.run(
      busybox,
      'cat /proc/version; dmesg | head -1; id; env; hostname; echo to-stdout >/dev/stdout; echo err >&2; ls /proc | grep -c "^[0-9]"; exit 3',
      { environment: { B: "own" }, user: "app" },
    );
    assert.equal(result.exitCode, 3);
    assert.equal(result.stderr, "err\n");
    assert.doesNotMatch(result.stdout, new RegExp(release().replaceAll(".", "\\.")));
    for (const line of ["uid=1000(app) gid=1001(app)", "A=image", "B=own", "to-stdout"])
      assert.ok(result.stdout.includes(line), result.stdout);
    await one.close();
  });

  test(`${where}the task's address answers from outside, and the task reaches out`, async () => {
    const one = await task({}, { veth: true, alone });
    const listener = createServer((socket) => socket.end("from outside\n")).listen(0, one.addresses.host);
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const server = await one.start(
      busybox,
      `nc ${one.addresses.host} ${port} </dev/null; cat /proc/net/dev | grep -c eth0; echo up; while true; do nc -l -p 80 -e echo from inside; done`,
    );
    await until("it is up", () => readFileSync(server.stdout, "utf8").includes("up\n"));
    listener.close();
    assert.equal(readFileSync(server.stdout, "utf8"), "from outside\n1\nup\n");
    const ask = () =>
      new Promise<string>((resolve, reject) => {
        let text = "";
        const socket = connect(80, one.addresses.task);
        socket.setTimeout(3000, () => socket.destroy(new Error("no answer")));
        socket
          .on("data", (data) => (text += data.toString()))
          .on("end", () => resolve(text))
          .on("error", reject);
      });
    let answer = "";
    await until("an answer", async () => (answer = await ask().catch(() => "")) !== "");
    assert.equal(answer, "from inside\n");
    await one.close([server]);
  });

  test(`${where}signals: one that is caught, one that is not, one to a process that has ended, one to what never ran`, async () => {
    const one = await task({}, { alone });
    const caught = await one.start(busybox, 'trap "echo bye; exit 7" TERM; echo up; while true; do sleep 0.05; done');
    await until("the trap stands", () => readFileSync(caught.stdout, "utf8").includes("up"));
    await machine.runtime.kill(caught.id, 15);
    assert.equal((await machine.runtime.wait(caught.id)).exitCode, 7);
    await machine.runtime.kill(caught.id, 15);
    assert.equal(readFileSync(caught.stdout, "utf8"), "up\nbye\n");
    const hard = await one.start(busybox, "sleep 100");
    await machine.runtime.kill(hard.id, 9, true);
    assert.equal((await machine.runtime.wait(hard.id)).exitCode, 137);
    const never = await one.spec(busybox, "sleep 100");
    await machine.runtime.create(never);
    const removing = performance.now();
    await machine.runtime.remove(never.id);
    assert.ok(performance.now() - removing < 3000);
    await machine.runtime.remove(never.id);
    // The others live on.
    assert.equal((await one.run(busybox, "exit 4")).exitCode, 4);
    await one.close([caught, hard]);
  });

  test(`${where}exec: output, exit code, user and environment; a time limit ends it inside`, async () => {
    const one = await task({}, { alone });
    const spec = await one.start(busybox, "sleep 100", { user: "app", environment: { X: "1" } });
    const exec = (script: string, timeoutMs = patienceMs) => machine.runtime.exec(spec.id, { args: ["sh", "-c", script], timeoutMs });
    assert.deepEqual(await exec("echo $X; id -u; exit 4"), { exitCode: 4, output: "1\n1000\n", timedOut: false });
    assert.deepEqual(await exec("echo err >&2"), { exitCode: 0, output: "err\n", timedOut: false });
    const late = await execUntil((timeoutMs) => exec("echo begun; exec sleep 4711", timeoutMs));
    assert.deepEqual([late.exitCode, late.output, late.timedOut], [137, "begun\n", true]);
    assert.equal((await exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 471[1]'")).output, "0\n");
    const missing = await machine.runtime.exec(spec.id, { args: ["no-such-program"], timeoutMs: patienceMs });
    assert.equal(missing.exitCode, 127, missing.output);
    const many = await Promise.all(Array.from({ length: 5 }, (_, at) => exec(`echo ${at}`)));
    assert.deepEqual(
      many.map((result) => result.output),
      ["0\n", "1\n", "2\n", "3\n", "4\n"],
    );
    await machine.runtime.remove(spec.id);
    await assert.rejects(exec("true"), { code: "NotFound" });
    await one.close();
  });

  test(`${where}what cannot be started says so, and leaves the sandbox to the others`, async () => {
    const one = await task({}, { alone });
    const attempt = async (changes: Parameters<SandboxTask["spec"]>[2]) => {
      const spec = await one.spec(busybox, "", changes);
      try {
        await machine.runtime.create(spec);
        await machine.runtime.start(spec.id);
      } finally {
        await machine.runtime.remove(spec.id);
      }
    };
    await assert.rejects(attempt({ command: ["no-such-program"] }), (error: Error) => {
      assert.ok(error instanceof RuntimeError && error.code === "CannotStart");
      assert.match(error.message, /no-such-program.*(not found|no such file)/);
      return true;
    });
    await assert.rejects(attempt({ user: "nobody-here" }), /unable to find user nobody-here/);
    await assert.rejects(attempt({ mounts: [{ source: "/no/such/path", target: "/x", readOnly: false }] }), /no such file/);
    assert.equal((await one.run(busybox, "exit 4")).exitCode, 4);
    await one.close();
  });

  test(`${where}read-only root, tmpfs, shared memory, ulimits, init, working directory`, async () => {
    const one = await task({}, { alone });
    const shared = join(machine.home, "both");
    mkdirSync(shared, { recursive: true });
    const { stdout, stderr } = await one.run(
      busybox,
      "touch /no; touch /tmp/no; touch /ro/no; echo w >/rw/written; echo t >/scratch/t; grep -c ' /scratch tmpfs' /proc/mounts; grep -c ' /dev/shm tmpfs' /proc/mounts; ulimit -n; pwd; tr '\\0' ' ' </proc/1/cmdline; id -u",
      {
        readonlyRootFilesystem: true,
        initProcess: true,
        workingDirectory: "/home",
        tmpfs: [{ path: "/scratch", sizeMiB: 8, options: [] }],
        ulimits: [{ name: "nofile", soft: 100, hard: 200 }],
        mounts: [
          { source: shared, target: "/ro", readOnly: true },
          { source: shared, target: "/rw", readOnly: false },
        ],
      },
    );
    assert.match(stdout, /^1\n1\n100\n\/home\n\/sbin\/docker-init -- sh -c .*0\n$/s);
    assert.match(stderr, /\/no: Read-only file system[^]*\/tmp\/no: Read-only file system[^]*\/ro\/no: Read-only file system/);
    assert.equal(readFileSync(join(shared, "written"), "utf8"), "w\n");
    await one.close();
  });
}
