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
import { until } from "../support/until.ts";
import { startMachine, type Machine } from "./machine.ts";

const run = promisify(execFile);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const list = (directory: string) => (existsSync(directory) ? readdirSync(directory) : []);

/** Local EC2 instances on a real machine: the agent as a process, system containers, a fake control plane above. */
describe("local instances", { skip: process.getuid?.() !== 0 && "needs root", timeout: 400_000 }, () => {
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
    metadata: { enabled: true, tokenRequired: false, tags: false, hopLimit: 1 },
    tags: [],
    launchedAt: Date.now(),
    ...changes,
  });
  const seen = (): readonly InstanceReport[] => {
    const last = machine.plane.frames.findLast(({ type }) => type === "InstanceReportMessage");
    return last?.type === "InstanceReportMessage" ? last.message.instances : [];
  };
  const is = (state: string, check: (report: InstanceReport) => boolean = () => true) =>
    until(`the instance ${state}`, () => seen().find((report) => report.instanceId === id && report.state === state && check(report)), {
      ms: 120_000,
    }).catch((error: Error) => assert.fail(`${error.message}, but ${JSON.stringify(seen())}\n${machine.agentOutput().slice(-4000)}`));
  let message = 0;
  const tell = (socket: WebSocket, type: string, body: object) =>
    socket.send(JSON.stringify({ type, message: { messageId: `t${++message}`, ...body } }));
  const keysOf = (name: string) => ({
    accessKeyId: `ASIA${name}`,
    secretAccessKey: `secret-of-${name}`,
    sessionToken: `token-of-${name}`,
    issued: "2026-01-01T00:00:00Z",
    expiration: "2999-01-01T00:00:00Z",
  });
  const profile = {
    arn: "arn:aws:iam::000000000000:instance-profile/nodes",
    id: "AIPAX",
    found: true,
    role: { name: "worker", credentials: keysOf("ROLE") },
  };
  const identify = (socket: WebSocket, profiled?: typeof profile) =>
    tell(socket, "InstanceCredentialsMessage", {
      instances: [{ instanceId: id, agent: keysOf("AGENT"), ...(profiled ? { profile: profiled } : {}) }],
    });
  const instances = (socket: WebSocket, list: readonly LocalInstance[]) => {
    identify(socket, profile);
    tell(socket, "InstanceStateMessage", { instances: list });
  };
  const vpcs = (socket: WebSocket, ...interfaces: VpcInterface[]) => tell(socket, "VpcStateMessage", { vpcs: [vpcOf("t", interfaces)] });
  /** The machine's own: its instances connect to the same fake. It registered first. */
  const connection = () =>
    until("the machine's connection", () => machine.plane.sockets.get("arn:aws:ecs:us-east-1:000000000000:container-instance/default/i1"));
  const namespace = () => `gantry-${instanceOf(machine.home)}-${vpcOf("t", []).vpcId}`;
  const ssh = (command: string) =>
    run("nsenter", [
      `--net=/run/netns/${namespace()}`,
      "ssh",
      ...["-i", join(keys, "key"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"],
      ...["-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR", "-b", "10.0.1.1", "ec2-user@10.0.1.5", command],
    ]).then(({ stdout }) => stdout.trim());
  const cgroups = () =>
    execFileSync("sh", ["-c", `find /sys/fs/cgroup -type d -path '*gantry-${instanceOf(machine.home)}/instances/*' | wc -l`], {
      encoding: "utf8",
    }).trim();

  it("boots, registers where its user data says, lets its key in, outlives the agent, and leaves nothing", async () => {
    let host = await connection();
    vpcs(host, eni);
    const began = Date.now();
    instances(host, [instance()]);
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

    // Its agent signs as itself, not as the machine's.
    assert.match(registration.authorization, /Credential=ASIAAGENT\//);
    const imds = (path: string, curl = "") =>
      ssh(`curl -sS -o /tmp/answer -w '%{http_code} ' ${curl} http://169.254.169.254/latest/${path}; cat /tmp/answer`);
    assert.equal(await imds("meta-data/instance-id"), `200 ${id}`);
    const token = `-H "X-aws-ec2-metadata-token: $(curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)"`;
    const credentials = JSON.parse((await imds("meta-data/iam/security-credentials/worker", token)).replace(/^200 /, "")) as object;
    assert.deepEqual(credentials, {
      Code: "Success",
      LastUpdated: "2026-01-01T00:00:00Z",
      Type: "AWS-HMAC",
      AccessKeyId: "ASIAROLE",
      SecretAccessKey: "secret-of-ROLE",
      Token: "token-of-ROLE",
      Expiration: "2999-01-01T00:00:00Z",
    });
    assert.equal(await ssh("cat /run/gantry/agent-credentials /run/gantry/profile.json 2>&1 | grep -c 'Permission denied'"), "2");
    // Changed while it runs: other credentials, other options, no profile.
    identify(host, { ...profile, role: { name: "worker", credentials: keysOf("LATER") } });
    await until("the next credentials", async () =>
      (await imds("meta-data/iam/security-credentials/worker", token)).includes('"ASIALATER"'),
    );
    identify(host);
    await until("no profile", async () => (await imds("meta-data/iam/info", token)).startsWith("404 "));
    const strict = { enabled: true, tokenRequired: true, tags: true, hopLimit: 1 };
    tell(host, "InstanceStateMessage", { instances: [instance({ metadata: strict, tags: [{ key: "Name", value: "one" }] })] });
    await until("version 1 is refused", async () => (await imds("meta-data/instance-id")).startsWith("401 "));
    assert.equal(await imds("meta-data/tags/instance/Name", token), "200 one");
    tell(host, "InstanceStateMessage", { instances: [instance({ metadata: { ...strict, enabled: false } })] });
    await until("it is turned off", async () => (await imds("meta-data/instance-id", token)).startsWith("403 "));

    await machine.killAgent();
    assert.equal(await ssh("hostname"), "ip-10-0-1-5");
    await until("its connections have ended", () => machine.plane.sockets.size === 0);
    // What is said from here on is the next agent's.
    machine.plane.frames.length = 0;
    await machine.startAgent();
    host = await connection();
    vpcs(host, eni);
    instances(host, [instance()]);
    await is("running", ({ ready }) => ready);
    assert.equal(await ssh("cat /var/user-data"), "ip-10-0-1-5");

    instances(host, [instance({ desired: "stopped" })]);
    await is("stopped");
    assert.equal(cgroups(), "0");
    instances(host, [instance({ boot: 2 })]);
    await is("running", ({ ready, boot: number }) => ready && number === 2);
    assert.equal(await ssh("cat /var/user-data; cat /etc/ecs/ecs.config"), "ip-10-0-1-5\nECS_CLUSTER=blue");

    instances(host, []);
    await until("it is gone", () => (seen().length === 0 ? true : undefined));
    assert.equal(cgroups(), "0");
    assert.deepEqual(readdirSync(join(machine.home, "instances")), []);
    assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), new RegExp(`${machine.home}/instances`));
  });

  it("an agent that is killed at any moment of a start or an end takes up what it finds", async () => {
    const restart = async () => {
      await machine.killAgent();
      await until("its connections have ended", () => machine.plane.sockets.size === 0);
      machine.plane.frames.length = 0;
      await machine.startAgent();
      return connection();
    };
    let socket = await connection();
    for (const [at, ms] of [20, 120, 300, 700].entries()) {
      const boot = 10 + at;
      vpcs(socket, eni);
      instances(socket, [instance({ boot })]);
      await sleep(ms);
      socket = await restart();
      vpcs(socket, eni);
      instances(socket, [instance({ boot })]);
      await is("running", (report) => report.ready && report.boot === boot);
      instances(socket, []);
      await sleep(ms / 4);
      socket = await restart();
      instances(socket, []);
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
