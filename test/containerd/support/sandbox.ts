import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createTaskCgroup, removeTaskCgroup } from "#agent/cgroups/cgroups.ts";
import { loopsOf } from "#agent/storage/mounts.ts";
import { sandboxOf, type ContainerSpec, type Image } from "#agent/runtime.ts";
import { busyboxLayer, image } from "./image.ts";
import { Machine, patienceMs } from "./machine.ts";
import { startRegistry } from "./registry.ts";

/** A machine of a test's own, and its image. */
export interface SandboxMachine {
  readonly machine: Machine;
  readonly busybox: Image;
  close(): Promise<void>;
}

export async function openSandboxMachine(config: Parameters<typeof image>[1] = { config: { Cmd: ["sh"] } }): Promise<SandboxMachine> {
  const machine = await Machine.start();
  const registry = await startRegistry(join(machine.home, "registry"));
  await registry.push("busybox", "1", image([await busyboxLayer()], config));
  const busybox = await machine.runtime.images.ensure({ image: `${registry.host}/busybox:1`, policy: "prefer-cached" });
  return {
    machine,
    busybox,
    async close() {
      await machine.stop();
      await registry.stop();
    },
  };
}

/** After each test. */
export const nothingLeft = (machine: Machine) => machine.nothingLeft(() => sandboxLeftovers(machine));

let counter = 0;

/** A task as the agent would make it: a namespace with an address, a cgroup with limits, a sandbox. */
export class SandboxTask {
  readonly machine: Machine;
  readonly name: string;
  readonly sandbox: string;
  readonly cgroupParent: string;
  readonly namespace: string;
  #alone = false;
  readonly #limits: { readonly memoryMiB?: number; readonly pids?: number; readonly cpuLimit?: number };
  /** The machine's end and the task's, where `veth` was asked for. */
  readonly addresses: { readonly host: string; readonly task: string };

  constructor(machine: Machine, limits: { readonly memoryMiB?: number; readonly pids?: number; readonly cpuLimit?: number } = {}) {
    const at = ++counter;
    this.machine = machine;
    this.#limits = limits;
    this.name = `t${at}`;
    this.sandbox = sandboxOf(this.name);
    this.cgroupParent = `${machine.instance}/${this.name}`;
    this.namespace = `gv-${machine.instance.slice(-8)}-${at}`;
    const block = `169.254.${(process.pid % 60) + 100}`;
    this.addresses = { host: `${block}.${at * 4 + 1}`, task: `${block}.${at * 4 + 2}` };
  }

  /** `alone`: each container is to be a sandbox of its own. */
  async open({ veth = false, alone = false } = {}): Promise<void> {
    this.#alone = alone;
    const { namespace, addresses } = this;
    await createTaskCgroup({ parent: this.cgroupParent, ...this.#limits });
    const link = `gv${namespace.slice(-9).replace("-", "")}`;
    ip("netns", "add", namespace);
    ip("-n", namespace, "link", "set", "lo", "up");
    if (veth) {
      ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace);
      ip("addr", "add", `${addresses.host}/30`, "dev", link);
      ip("link", "set", link, "up");
      ip("-n", namespace, "addr", "add", `${addresses.task}/30`, "dev", "eth0");
      ip("-n", namespace, "link", "set", "eth0", "up");
      ip("-n", namespace, "route", "add", "default", "via", addresses.host);
    }
    if (!alone) await this.openSandbox();
  }

  openSandbox(): Promise<void> {
    return this.machine.runtime.openSandbox({
      id: this.sandbox,
      labels: {},
      hostname: "task",
      memoryMiB: this.#limits.memoryMiB,
      cgroupParent: this.cgroupParent,
      network: { namespace: `/run/netns/${this.namespace}` },
      group: this.name,
      runtime: { name: "runsc" },
    });
  }

  spec(image: Image, script: string, changes: Partial<ContainerSpec> = {}): Promise<ContainerSpec> {
    return this.machine.spec(image, {
      command: ["sh", "-c", script],
      cgroupParent: this.cgroupParent,
      runtime: { name: "runsc" },
      ...(this.#alone ? {} : { group: this.name, sandbox: this.sandbox }),
      network: { namespace: `/run/netns/${this.namespace}` },
      ...changes,
    });
  }

  async start(image: Image, script: string, changes: Partial<ContainerSpec> = {}): Promise<ContainerSpec> {
    const spec = await this.spec(image, script, changes);
    await this.machine.runtime.create(spec);
    await this.machine.runtime.start(spec.id);
    return spec;
  }

  /** To its end. */
  async run(image: Image, script: string, changes: Partial<ContainerSpec> = {}) {
    const { id, stdout, stderr } = await this.start(image, script, changes);
    const exit = await this.machine.runtime.wait(id, AbortSignal.timeout(patienceMs));
    await this.machine.runtime.remove(id);
    return { ...exit, stdout: readFileSync(stdout, "utf8"), stderr: readFileSync(stderr, "utf8") };
  }

  async close(containers: readonly { readonly id: string }[] = []): Promise<void> {
    for (const { id } of containers) await this.machine.runtime.remove(id);
    await this.machine.runtime.remove(this.sandbox);
    await removeTaskCgroup(this.cgroupParent);
    ip("netns", "del", this.namespace);
  }
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8", timeout: patienceMs });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

/** What a sandbox leaves behind beyond what any container does: gVisor's processes, its records, loop devices. */
export async function sandboxLeftovers(machine: Machine): Promise<string[]> {
  const left = await machine.leftovers();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ");
      if (command.includes(machine.home) && /runsc|gantry-(sandbox|container)/.test(command)) left.push(`process ${entry} ${command}`);
    } catch {
      // It has ended.
    }
  }
  const records = `${machine.home}/state/runc/gantry-test`;
  left.push(...(await readdir(records).catch(() => [])).filter((name) => !name.endsWith(".lock")).map((name) => `record ${name}`));
  left.push(...(await loopsOf(`${machine.home}/`)));
  return left;
}
