import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { command } from "#agent/network/commands.ts";
import { createNetwork, type Network } from "#agent/network/network.ts";
import type { ContainerPlan, TaskPlan } from "#agent/task/plan.ts";
import type { Attachment } from "#agent/task/state.ts";
import { instanceOf } from "#agent/config.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { freePort } from "../support/port.ts";
import { links, namespaces } from "../support/machine-state.ts";
import { container } from "./payloads.ts";

const root = process.getuid?.() === 0;
const instance = instanceOf(`/tmp/network-test-${process.pid}`);
const other = instanceOf(`/tmp/network-test-other-${process.pid}`);

function open(name: string, metadataPort: number, memory = new Map<string, string>()): Network {
  return createNetwork({
    instance: name,
    dynamicPorts: { first: 50_000, last: 50_100 },
    metadataPort: () => metadataPort,
    memory: {
      get: (key) => memory.get(key),
      set: (key, value) => void (value === undefined ? memory.delete(key) : memory.set(key, value)),
    },
    random: systemRandom,
    clock: systemClock,
    log: silentLogger,
  });
}

const bridged = { networkMode: "bridge" } as TaskPlan;
const plan = (ports: NonNullable<Parameters<typeof container>[1]>["portMappings"]) =>
  ({ definition: container("web", { portMappings: ports }), config: {} }) as ContainerPlan;

/** A process in the namespace that answers each TCP connection with the address it sees. */
function serve(network: Network, { namespace }: Attachment, port: number): ChildProcess {
  const script = `require("net").createServer((s) => { s.end("from " + s.remoteAddress); s.on("error", () => {}); }).listen(${port}, "0.0.0.0", () => console.log("ready"))`;
  return spawn("nsenter", [`--net=${network.path(namespace ?? "")}`, process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

const ready = (child: ChildProcess) => new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));

function ask(address: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, timeout: 30_000 });
    let text = "";
    socket.on("data", (data) => (text += data.toString()));
    socket.on("end", () => resolve(text));
    socket.on("timeout", () => socket.destroy(new Error("timeout")));
    socket.on("error", reject);
  });
}

describe("the bridge network", { skip: !root && "needs root" }, () => {
  const memory = new Map<string, string>();
  const children: ChildProcess[] = [];
  const metadata = createServer((request, response) => response.end(`metadata for ${request.socket.remoteAddress}`));
  let metadataPort = 0;
  let network: Network;

  before(async () => {
    await new Promise<void>((resolve) => metadata.listen(0, "0.0.0.0", () => resolve()));
    metadataPort = (metadata.address() as { port: number }).port;
    network = open(instance, metadataPort, memory);
    await network.reconcile();
  });

  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await network.tearDown();
    metadata.close();
    const remains = (names: readonly string[], name: string) => names.some((each) => each.includes(name));
    assert.ok(!remains(links(), instance.slice(0, 6)), "no link remains");
    assert.ok(!remains(namespaces(), instance), "no namespace remains");
    assert.ok(!(await command("nft", ["list", "tables"])).includes(instance), "no table remains");
    assert.ok(!(await command("iptables", ["-w", "60", "-S", "FORWARD"])).includes(instance), "no iptables rule remains");
  });

  it("reaches a container by its host port over loopback and the machine's address, each other by address, and metadata", async () => {
    const web = network.allocate(
      bridged,
      plan([
        { containerPort: 80, protocol: "tcp" },
        { containerPort: 81, hostPort: await freePort(), protocol: "tcp" },
      ]),
    );
    const client = network.allocate(bridged, plan([]));
    const started = performance.now();
    await network.attach(web);
    const took = performance.now() - started;
    await network.attach(client);
    await network.published(web);
    const child = serve(network, web, 80);
    children.push(child);
    await ready(child);
    const port = web.bindings[0]?.hostPort ?? 0;
    assert.ok(port >= 50_000 && port <= 50_100);
    assert.equal(await ask("127.0.0.1", port), `from ${network.gateway}`, "loopback is masqueraded");
    const outside = Object.entries(networkInterfaces()).flatMap(([name, list]) => (name.startsWith("eth") ? (list ?? []) : []));
    const address = outside.find(({ family }) => family === "IPv4")?.address;
    if (address) assert.match(await ask(address, port), /^from /);
    const inside = await command("nsenter", [
      `--net=${network.path(client.namespace ?? "")}`,
      "busybox",
      "nc",
      "-w",
      "30",
      web.address ?? "",
      "80",
    ]);
    assert.equal(inside, `from ${client.address}`);
    const hairpin = await command("nsenter", [
      `--net=${network.path(client.namespace ?? "")}`,
      "busybox",
      "nc",
      "-w",
      "30",
      network.gateway ?? "",
      String(port),
    ]);
    assert.match(hairpin, /^from /);
    const told = await command(
      "nsenter",
      [`--net=${network.path(client.namespace ?? "")}`, "busybox", "nc", "-w", "30", "169.254.170.2", "80"],
      "GET / HTTP/1.0\r\n\r\n",
    );
    assert.match(told, new RegExp(`metadata for ${client.address}$`));
    const counters = await network.counters(client);
    assert.ok(counters && counters.txBytes > 0 && counters.rxBytes > 0);
    assert.ok(took < 500, `attach took ${took} ms`);
    await network.detach(client);
    await network.detach(web);
    await network.detach(web);
    await assert.rejects(ask("127.0.0.1", port));
  });

  it("stands again after a crash of the agent, without what nobody knows", async () => {
    const web = network.allocate(bridged, plan([{ containerPort: 80, protocol: "tcp" }]));
    await network.attach(web);
    const lost = network.allocate(bridged, plan([]));
    await network.attach(lost);
    await network.published(web);
    const child = serve(network, web, 80);
    children.push(child);
    await ready(child);
    await network.close();
    network = open(instance, metadataPort, memory);
    network.adopt(web);
    await network.reconcile();
    assert.equal(await ask("127.0.0.1", web.bindings[0]?.hostPort ?? 0), `from ${network.gateway}`);
    assert.ok(!namespaces().includes(lost.namespace ?? "?"));
    const next = network.allocate(bridged, plan([{ containerPort: 80, protocol: "tcp" }]));
    assert.notEqual(next.address, web.address);
    assert.notEqual(next.bindings[0]?.hostPort, web.bindings[0]?.hostPort);
    await network.detach(web);
  });

  it("refuses a host port that is taken, by us or by anybody", async () => {
    const first = network.allocate(bridged, plan([{ containerPort: 80, hostPort: 50_301, protocol: "tcp" }]));
    assert.throws(
      () => network.allocate(bridged, plan([{ containerPort: 80, hostPort: 50_301, protocol: "tcp" }])),
      /50301 failed: port is already allocated/,
    );
    await network.detach(first);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.address() as { port: number };
    const second = network.allocate(bridged, plan([{ containerPort: 80, hostPort: port, protocol: "tcp" }]));
    await network.attach(second);
    await assert.rejects(network.published(second), /already allocated/);
    await network.detach(second);
    server.close();
  });

  it("two Gantrys stand side by side", async () => {
    const second = open(other, metadataPort);
    await second.reconcile();
    try {
      assert.notEqual(second.gateway, network.gateway);
      const web = second.allocate(bridged, plan([{ containerPort: 80, protocol: "tcp" }]));
      await second.attach(web);
      await second.detach(web);
    } finally {
      await second.tearDown();
    }
  });

  it("two Gantrys that begin at the same moment take different subnets", async () => {
    const names = Array.from({ length: 300 }, (_, at) => instanceOf(`/tmp/network-test-${process.pid}-${at}`));
    // They look for one at the same place first.
    const same = names.filter((name) => Number.parseInt(name, 16) % 16 === Number.parseInt(names[0]!, 16) % 16).slice(0, 3);
    const both = same.map((name) => open(name, metadataPort));
    try {
      await Promise.all(both.map((each) => each.reconcile()));
      assert.equal(new Set(both.map(({ gateway }) => gateway)).size, 3);
    } finally {
      for (const each of both) await each.tearDown();
    }
  });
});
