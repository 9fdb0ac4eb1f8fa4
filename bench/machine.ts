/**
 * A second machine out of namespaces of this one's kernel: its own network (one link to a bridge), its own processes, mounts and /run, its own Gantry home. All its processes can be ended at
 * once, its network cut, and it comes back with what is on its disk.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { removeRemains } from "#cli/remains.ts";
import { repository } from "./support.ts";

const execute = promisify(execFile);
const ip = (...args: string[]) => execute("ip", args);

/** A bridge on this machine; `address` is this machine's on it. */
export interface Wire {
  readonly bridge: string;
  readonly address: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Machine {
  readonly home: string;
  /** Its first process, as this machine counts. */
  readonly first: () => number;
  readonly address: string;
  /** Runs a command on it; rejects with what it printed. */
  run(command: readonly string[], options?: { readonly input?: string; readonly env?: Record<string, string> }): Promise<string>;
  gantry(...args: string[]): Promise<string>;
  /** SIGKILL to all its processes at once. Its /run and its mounts are gone. */
  kill(): Promise<void>;
  /** After `kill`: on again, with nothing started yet. */
  boot(): Promise<void>;
  cut(): Promise<void>;
  mend(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

let count = 0;
const label = () => `${(process.pid % 100_000).toString(36)}${(count++).toString(36)}`;

/** Addresses are TEST-NET-2's (RFC 5737), eight for each wire. */
export async function layWire(): Promise<Wire> {
  const bridge = `jb${label()}`;
  const taken = (await execute("ip", ["-4", "-o", "addr"])).stdout;
  const block = Array.from({ length: 32 }, (_, index) => index * 8).find((each) => !taken.includes(`198.51.100.${each + 1}/29`));
  if (block === undefined) throw new Error("no addresses are left in 198.51.100.0/24");
  const address = `198.51.100.${block + 1}`;
  await ip("link", "add", bridge, "type", "bridge");
  await ip("addr", "add", `${address}/29`, "dev", bridge);
  await ip("link", "set", bridge, "up");
  return { bridge, address, [Symbol.asyncDispose]: async () => void (await ip("link", "del", bridge)) };
}

const boot = `
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock
mount --rbind /sys/fs/cgroup "$1"
mount -t sysfs sysfs /sys
mount --rbind "$1" /sys/fs/cgroup
umount -l "$1"
ip link set lo up
echo up
exec sleep infinity`;

/** `index`: 2 to 6, the last part of its address on the wire. `outward`: a default route, by this machine. */
export async function startMachine(wire: Wire, index: number, outward = true): Promise<Machine> {
  const home = await mkdtemp(join(tmpdir(), "gantry-machine-"));
  const scratch = await mkdtemp(join(tmpdir(), "gantry-cgroups-"));
  const namespace = `jn${label()}`;
  const [outside, inside] = [`jo${label()}`, "eth0"];
  const [a, b, c, d] = wire.address.split(".").map(Number);
  const address = `${a}.${b}.${c}.${d! - 1 + index}`;
  await ip("netns", "add", namespace);
  await ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", namespace);
  await ip("link", "set", outside, "master", wire.bridge, "up");
  await ip("-n", namespace, "addr", "add", `${address}/29`, "dev", inside);
  await ip("-n", namespace, "link", "set", inside, "up");
  if (outward) await ip("-n", namespace, "route", "add", "default", "via", wire.address);

  let holder: ChildProcess | undefined;
  let first = 0;
  const turnOn = async () => {
    const args = [`--net=/run/netns/${namespace}`, "unshare", "--mount", "--propagation", "private", "--uts", "--ipc", "--pid", "--fork"];
    holder = spawn("nsenter", [...args, "--kill-child", "--mount-proc", "bash", "-euc", boot, "boot", scratch], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await new Promise<void>((resolve, reject) => {
      holder!.stdout!.once("data", () => resolve());
      holder!.once("exit", (code) => reject(new Error(`the machine did not start: ${code}`)));
    });
    const children = await readFile(`/proc/${holder.pid}/task/${holder.pid}/children`, "utf8");
    first = Number(children.trim());
  };
  await turnOn();

  const environment: Record<string, string> = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined || /^(GANTRY|AWS|ECS)_/.test(name) ? [] : [[name, value]])),
  );
  const run: Machine["run"] = async (command, { input, env } = {}) => {
    const child = execute("nsenter", ["-t", String(first), "--mount", "--pid", "--net", "--uts", "--ipc", ...command], {
      env: { ...environment, GANTRY_HOME: home, ...env },
      timeout: 120_000,
      maxBuffer: 1 << 26,
    });
    child.child.stdin?.end(input ?? "");
    try {
      return (await child).stdout;
    } catch (error) {
      const { stdout = "", stderr = "", message } = error as { stdout?: string; stderr?: string; message: string };
      throw new Error(`${message}\n${stdout}\n${stderr}`, { cause: error });
    }
  };
  const kill = async () => {
    if (!holder || holder.exitCode !== null || holder.signalCode !== null) return;
    const gone = new Promise((resolve) => holder!.once("exit", resolve));
    process.kill(first, "SIGKILL");
    await gone;
  };
  return {
    home,
    first: () => first,
    address,
    run,
    gantry: (...args) => run([join(repository, "gantry"), ...args]),
    kill,
    boot: turnOn,
    cut: async () => void (await ip("link", "set", outside, "down")),
    mend: async () => void (await ip("link", "set", outside, "up")),
    async [Symbol.asyncDispose]() {
      await kill();
      await removeRemains(home);
      await ip("link", "del", outside).catch(() => {});
      await ip("netns", "del", namespace).catch(() => {});
      await rm(home, { recursive: true, force: true });
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
