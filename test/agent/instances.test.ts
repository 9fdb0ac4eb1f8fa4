import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import type { WebSocket } from "ws";
import type { InstanceReport, LocalInstance } from "#agent-protocol/instances.ts";
import type { VpcInterface } from "#agent-protocol/vpc.ts";
import { instanceOf } from "#agent/config.ts";
import { interfaceOf, planOf, vpcOf } from "../network/vpc-support.ts";
import { until } from "./fake-control-plane.ts";
import { startMachine, type Machine } from "./machine.ts";

const run = promisify(execFile);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const list = (directory: string) => (existsSync(directory) ? readdirSync(directory) : []);

/** Local EC2 instances on a real machine: the agent as a process, system containers, a fake control plane above. */
describe("local instances", { skip: process.getuid?.() !== 0 && "needs root", timeout: 120_000 }, () => {
  let machine: Machine;
  let keys: string;
  before(async () => {
    machine = await startMachine();
    keys = mkdtempSync(join(tmpdir(), "gantry-keys-"));
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(keys, "key")]);
    await machine.startAgent();
  });
  after(async () => {
    // A test that failed may have left one running.
    if (machine && list(join(machine.home, "instances")).length > 0) {
      await machine.killAgent();
      await machine.startAgent();
      await machine.endAgent("SIGUSR2");
    }
    await machine?.close();
    rmSync(keys, { recursive: true, force: true });
  });

  const id = "i-0123456789abcdef0";
  const eni = interfaceOf("10.0.1.5");
  const instance = (changes: Partial<LocalInstance> = {}): LocalInstance => ({
    instanceId: id,
    desired: "running",
    boot: 1,
    instanceType: "t3.micro",
    vcpus: 2,
    memoryMiB: 1024,
    imageId: "ami-00000000000000001",
    account: "000000000000",
    region: "us-east-1",
    availabilityZone: "us-east-1a",
    vpcId: "vpc-1",
    subnetId: "subnet-1",
    groups: [],
    networkInterface: planOf(eni).networkInterface!,
    privateDnsName: "ip-10-0-1-5.ec2.internal",
    publicKey: { name: "key", material: readFileSync(join(keys, "key.pub"), "utf8") },
    userData: Buffer.from("#!/bin/bash\necho ECS_CLUSTER=blue >> /etc/ecs/ecs.config\nhostname > /var/user-data\n").toString("base64"),
    metadata: { enabled: true, tokenRequired: false, tags: false },
    tags: [],
    launchedAt: Date.now(),
    ...changes,
  });
  const seen = (): readonly InstanceReport[] => {
    const last = machine.plane.frames.findLast(({ type }) => type === "InstanceReportMessage");
    return last?.type === "InstanceReportMessage" ? last.message.instances : [];
  };
  const is = (state: string, check: (report: InstanceReport) => boolean = () => true) =>
    until(`the instance ${state}`, () => seen().find((report) => report.instanceId === id && report.state === state && check(report)));
  let message = 0;
  const tell = (socket: WebSocket, type: string, body: object) =>
    socket.send(JSON.stringify({ type, message: { messageId: `t${++message}`, ...body } }));
  const vpcs = (socket: WebSocket, ...interfaces: VpcInterface[]) => tell(socket, "VpcStateMessage", { vpcs: [vpcOf("t", interfaces)] });
  const namespace = () => `gantry-${instanceOf(machine.home)}-${vpcOf("t", []).vpcId}`;
  const ssh = (command: string) =>
    run("nsenter", [
      `--net=/run/netns/${namespace()}`,
      "ssh",
      ...["-i", join(keys, "key"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"],
      ...["-o", "ConnectTimeout=3", "-o", "LogLevel=ERROR", "-b", "10.0.1.1", "ec2-user@10.0.1.5", command],
    ]).then(({ stdout }) => stdout.trim());
  const cgroups = () =>
    execFileSync("sh", ["-c", `find /sys/fs/cgroup -type d -path '*gantry-${instanceOf(machine.home)}/instances/*' | wc -l`], {
      encoding: "utf8",
    }).trim();

  it("boots, registers where its user data says, lets its key in, outlives the agent, and leaves nothing", async () => {
    let host = machine.plane.acs!;
    vpcs(host, eni);
    const began = Date.now();
    tell(host, "InstanceStateMessage", { instances: [instance()] });
    await is("running", ({ ready }) => ready);
    const boot = Date.now() - began;
    const registration = await until("its registration", () =>
      machine.plane.calls.find(({ operation, input }) => operation === "RegisterContainerInstance" && input.cluster === "blue"),
    );
    const registered = Date.now() - began;
    const document = JSON.parse(String(registration.input.instanceIdentityDocument)) as Record<string, unknown>;
    assert.equal(document.instanceId, id);
    assert.equal(document.instanceType, "t3.micro");
    const resources = registration.input.totalResources as { name: string; integerValue: number }[];
    assert.deepEqual(
      resources.slice(0, 2).map(({ name, integerValue }) => [name, integerValue]),
      [
        ["CPU", 2048],
        ["MEMORY", 928],
      ],
    );
    const attributes = registration.input.attributes as { name: string; value?: string }[];
    assert.equal(attributes.find(({ name }) => name === "gantry.instances")?.value, "false");
    const held = await memory(machine.home);
    assert.ok(held < 150, `${held} MiB`);
    process.stderr.write(`boot ${boot} ms, registered ${registered} ms, ${held} MiB\n`);

    assert.equal(
      await ssh(`hostname; cat /var/user-data; id -un; ls ${machine.home} 2>/dev/null || true`),
      "ip-10-0-1-5\nip-10-0-1-5\nec2-user",
    );

    await machine.killAgent();
    assert.equal(await ssh("hostname"), "ip-10-0-1-5");
    await machine.startAgent();
    host = machine.plane.acs!;
    vpcs(host, eni);
    tell(host, "InstanceStateMessage", { instances: [instance()] });
    await is("running", ({ ready }) => ready);
    assert.equal(await ssh("cat /var/user-data"), "ip-10-0-1-5");

    tell(host, "InstanceStateMessage", { instances: [instance({ desired: "stopped" })] });
    await is("stopped");
    assert.equal(cgroups(), "0");
    tell(host, "InstanceStateMessage", { instances: [instance({ boot: 2 })] });
    await is("running", ({ ready, boot: number }) => ready && number === 2);
    assert.equal(await ssh("cat /var/user-data; cat /etc/ecs/ecs.config"), "ip-10-0-1-5\nECS_CLUSTER=blue");

    tell(host, "InstanceStateMessage", { instances: [] });
    await until("it is gone", () => (seen().length === 0 ? true : undefined));
    assert.equal(cgroups(), "0");
    assert.deepEqual(readdirSync(join(machine.home, "instances")), []);
    assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), new RegExp(`${machine.home}/instances`));
  });

  it("an agent that is killed at any moment of a start or an end takes up what it finds", async () => {
    // Instances connect to the same fake: the machine registered first.
    const host = () =>
      until("the machine's connection", () =>
        machine.plane.sockets.get("arn:aws:ecs:us-east-1:000000000000:container-instance/default/i1"),
      );
    const restart = async () => {
      await machine.killAgent();
      while (machine.plane.sockets.size > 0) await sleep(10);
      machine.plane.frames.length = 0;
      await machine.startAgent();
      return host();
    };
    let socket = await host();
    for (const [at, ms] of [20, 120, 300, 700].entries()) {
      const boot = 10 + at;
      vpcs(socket, eni);
      tell(socket, "InstanceStateMessage", { instances: [instance({ boot })] });
      await sleep(ms);
      socket = await restart();
      vpcs(socket, eni);
      tell(socket, "InstanceStateMessage", { instances: [instance({ boot })] });
      await is("running", (report) => report.ready && report.boot === boot);
      tell(socket, "InstanceStateMessage", { instances: [] });
      await sleep(ms / 4);
      socket = await restart();
      tell(socket, "InstanceStateMessage", { instances: [] });
      const reported = () => machine.plane.frames.some(({ type }) => type === "InstanceReportMessage");
      await until("it is gone", () => (reported() && seen().length === 0 && cgroups() === "0" ? true : undefined));
      assert.deepEqual(list(join(machine.home, "instances")), []);
    }
    // Taken down: nothing of it stays.
    assert.equal(await machine.endAgent("SIGUSR2"), 0);
  });
});

/** What the instance's processes hold for themselves. */
async function memory(home: string): Promise<number> {
  const { stdout } = await run("sh", [
    "-c",
    `cat $(find /sys/fs/cgroup/memory/gantry-${instanceOf(home)}/instances -maxdepth 1 -name 'i-*' 2>/dev/null)/memory.stat | sed -n 's/^total_rss //p'`,
  ]);
  return Math.round(Number(stdout.trim()) / 1048576);
}
