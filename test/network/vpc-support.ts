import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { ElasticNetworkInterface, SecurityGroupState, VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import { instanceOf } from "#agent/config.ts";
import { command } from "#agent/network/commands.ts";
import { createNetwork, type Network } from "#agent/network/network.ts";
import type { ContainerPlan, TaskPlan } from "#agent/task/plan.ts";
import type { Attachment } from "#agent/task/state.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { container } from "../agent/payloads.ts";
import { links, namespaces } from "../support/machine-state.ts";

export const needsRoot = process.getuid?.() === 0 ? false : "needs root";
let gantries = 0;

/** For questions that nobody is to answer. Milliseconds. */
export const shortly = 400;

/** A Gantry's network of its own on this machine, and the processes in its tasks' namespaces. */
export class Machine {
  readonly instance = instanceOf(`/tmp/vpcnet-${process.pid}-${gantries++}`);
  readonly memory = new Map<string, string>();
  network: Network;
  metadataPort: number;
  readonly #children = new Set<ChildProcess>();

  constructor(metadataPort = 1) {
    this.metadataPort = metadataPort;
    this.network = this.#open();
  }

  #open(): Network {
    const { memory } = this;
    return createNetwork({
      instance: this.instance,
      dynamicPorts: { first: 50_400, last: 50_500 },
      metadataPort: () => this.metadataPort,
      memory: {
        get: (key) => memory.get(key),
        set: (key, value) => void (value === undefined ? memory.delete(key) : memory.set(key, value)),
      },
      random: systemRandom,
      clock: systemClock,
      log: silentLogger,
    });
  }

  /** The agent's process ends and begins again with what it journaled. */
  async restart(attachments: readonly Attachment[]): Promise<void> {
    await this.network.close();
    this.network = this.#open();
    for (const attachment of attachments) this.network.adopt(attachment);
    await this.network.reconcile();
  }

  async attach(each: VpcInterface, name = "main"): Promise<Attachment> {
    const attachment = this.network.allocate(planOf(each), { name, definition: container(name), config: {} } as ContainerPlan);
    await this.network.attach(attachment);
    return attachment;
  }

  /** Runs a script of Node's in the attachment's namespace; `ready` when it has printed something. */
  async run(attachment: Attachment, script: string): Promise<ChildProcess> {
    const child = spawn("nsenter", [`--net=${this.network.path(attachment.namespace ?? "")}`, process.execPath, "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.add(child);
    await once(child.stdout, "data");
    return child;
  }

  /** Answers each TCP connection with the address that it sees, and each datagram too. */
  serve(attachment: Attachment, port: number): Promise<ChildProcess> {
    return this.run(
      attachment,
      `require("net").createServer((s) => { s.write("from " + s.remoteAddress + "\\n"); s.on("data", (d) => s.write(d)); s.on("error", () => {}); }).listen(${port}, "::", () => {
         const u = require("dgram").createSocket("udp4"); u.on("message", (m, r) => u.send("from " + r.address, r.port, r.address)); u.bind(${port}, () => console.log("ready")); })`,
    );
  }

  /** What a server answers to a connection from within the namespace, or "" when none comes about in `ms`: `shortly` where that is expected. */
  async ask(attachment: Attachment, address: string, port: number, options: { udp?: boolean; ms?: number } = {}): Promise<string> {
    const ms = options.ms ?? 8_000;
    const tcp = `const s = require("net").connect({ host: "${address}", port: ${port} }); s.on("data", (d) => { process.stdout.write(String(d).trim()); process.exit(0); }); s.on("error", () => process.exit(0)); setTimeout(() => process.exit(0), ${ms});`;
    const udp = `const u = require("dgram").createSocket("udp4"); u.on("message", (d) => { process.stdout.write(String(d)); process.exit(0); }); u.on("error", () => process.exit(0)); u.send("x", ${port}, "${address}"); setTimeout(() => process.exit(0), ${ms});`;
    return command("nsenter", [`--net=${this.network.path(attachment.namespace ?? "")}`, process.execPath, "-e", options.udp ? udp : tcp]);
  }

  async inside(attachment: Attachment, ...args: string[]): Promise<string> {
    return command("nsenter", [`--net=${this.network.path(attachment.namespace ?? "")}`, ...args]);
  }

  /** Everything of this Gantry that is left on the machine. */
  async remains(): Promise<string[]> {
    const [tables, routes, forward] = await Promise.all([
      command("nft", ["list", "tables"]),
      command("ip", ["route", "show", "table", "all"]),
      command("iptables", ["-w", "60", "-S", "FORWARD"]).catch(() => ""),
    ]);
    return [...links(), ...namespaces(), ...[tables, routes, forward].flatMap((text) => text.split("\n"))].filter((line) =>
      line.includes(this.instance.slice(0, 6)),
    );
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await this.network.tearDown();
    assert.deepEqual(await this.remains(), [], "nothing of this Gantry is left on the machine");
  }
}

export function planOf(each: VpcInterface): TaskPlan {
  const network: ElasticNetworkInterface = {
    attachmentArn: `arn:aws:ecs:us-east-1:000000000000:attachment/${each.networkInterfaceId}`,
    ec2Id: each.networkInterfaceId,
    index: 0,
    macAddress: each.mac,
    ipv4Addresses: [{ primary: true, privateAddress: each.address }],
    ipv6Addresses: each.ipv6 ? [{ address: each.ipv6 }] : [],
    subnetGatewayIpv4Address: `${each.gateway}/24`,
    domainName: ["ec2.internal"],
    domainNameServers: ["10.0.0.2"],
    privateDnsName: `ip-${each.address.replaceAll(".", "-")}.ec2.internal`,
    interfaceAssociationProtocol: "default",
  };
  return { arn: `arn:task/${each.networkInterfaceId}`, networkMode: "awsvpc", networkInterface: network } as TaskPlan;
}

let interfaces = 0;

export function interfaceOf(address: string, more: Partial<VpcInterface> = {}): VpcInterface {
  const number = (++interfaces).toString(16).padStart(4, "0");
  const subnet = address.split(".").slice(0, 3).join(".");
  return {
    networkInterfaceId: `eni-0000000000000${number}`,
    mac: `0a:00:00:00:${number.slice(0, 2)}:${number.slice(2)}`,
    address,
    subnet: `${subnet}.0/24`,
    gateway: `${subnet}.1`,
    groups: ["sg-all"],
    reaches: [],
    ...more,
  };
}

export const anything = [
  { protocol: "-1", cidr: "0.0.0.0/0" },
  { protocol: "-1", cidr: "::/0" },
] as const;
export const open: SecurityGroupState = { groupId: "sg-all", ingress: anything, egress: anything };

export function vpcOf(name: string, list: readonly VpcInterface[], more: Partial<VpcState> = {}): VpcState {
  return {
    vpcId: `vpc-${name.padStart(17, "0")}`,
    ipv4Cidrs: ["10.0.0.0/16"],
    ipv6Cidrs: [],
    resolver: "10.0.0.2",
    dnsSupport: true,
    interfaces: list,
    groups: [open],
    members: {},
    ...more,
  };
}
