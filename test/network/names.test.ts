/** From an API call to the answer inside a task's namespace: the store, the reconciler that tells agents, the agent's network. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import * as Sdk from "@aws-sdk/client-servicediscovery";
import { CreateSubnetCommand, EC2Client } from "@aws-sdk/client-ec2";
import type { VpcState } from "#agent-protocol/vpc.ts";
import type { Attachment } from "#agent/task/state.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { type Link, Links } from "#reconcilers/links.ts";
import { takeTaskInterface } from "#reconcilers/vpc/interfaces.ts";
import { createVpcReconciler, type VpcReconciler } from "#reconcilers/vpc/reconciler.ts";
import { createWriter } from "#store/unit.ts";
import { until } from "../support/until.ts";
import { Machine, needsRoot } from "./vpc-support.ts";
import { type CloudMap, startCloudMap } from "../servicediscovery/support.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const node = "/ecs/000000000000/us-east-1/container-instance/default/one";

/** Asks within a task's namespace, as programs in it do: by datagram, its VPC's resolver. */
const asker = (resolver: string) => `
  const { Resolver } = require("node:dns").promises;
  const resolver = new Resolver({ timeout: 5000, tries: 2 });
  resolver.setServers(["${resolver}"]);
  require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
    const [type, name] = line.split(" ");
    const answer = await resolver.resolve(name, type).catch((error) => error.code);
    console.log(JSON.stringify(answer));
  });
  console.log("ready");`;

describe("names inside tasks", { skip: needsRoot, timeout: 300_000 }, () => {
  const machine = new Machine();
  const links = new Links();
  let map: CloudMap;
  let vpcs: VpcReconciler;
  let sent: { vpcs: readonly VpcState[]; bytes: number }[] = [];
  let attachment: Attachment;
  let child: ChildProcess;
  let lines: Interface;
  let namespace: string;

  before(async () => {
    map = await startCloudMap();
    const { store } = map.server.deps;
    const ec2 = new EC2Client(map.server.sdk());
    const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId: map.vpc, CidrBlock: "172.31.200.0/24" }));
    ec2.destroy();
    await machine.network.reconcile();
    const link: Link = {
      id: 1,
      endpoint: "",
      send(frame) {
        if (frame.type !== "VpcStateMessage") return;
        sent.push({ vpcs: frame.message.vpcs, bytes: JSON.stringify(frame).length });
        // As it comes over the wire.
        void machine.network.updateVpcs(JSON.parse(JSON.stringify(frame.message.vpcs)) as VpcState[]);
      },
      close() {},
    };
    links.open(node, link);
    vpcs = createVpcReconciler({ store, clock: systemClock, random: systemRandom, log: silentLogger, links });
    vpcs.start();
    vpcs.connectionChanged(node);
    const taken = await createWriter(store).run("test", (unit) =>
      takeTaskInterface(
        unit,
        scope,
        { subnetId: Subnet?.SubnetId ?? "", groups: [], assignPublicIp: false, task: { arn: "arn:task", node } },
        { random: systemRandom, now: Date.now(), publicPool: "198.18.0.0/24" },
      ),
    );
    const said = () => sent.flatMap(({ vpcs }) => vpcs.flatMap(({ interfaces }) => interfaces));
    const own = await until("the agent was told its interface", () =>
      said().find(({ networkInterfaceId }) => networkInterfaceId === taken.networkInterfaceId),
    );
    attachment = await machine.attach(own);
    child = spawn("nsenter", [`--net=${machine.network.path(attachment.namespace ?? "")}`, process.execPath, "-e", asker(taken.resolver)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    lines = createInterface({ input: child.stdout! });
    await once(lines, "line");
    namespace = await map.namespace({ Name: "corp", Vpc: map.vpc });
  });
  after(async () => {
    child?.kill("SIGKILL");
    await vpcs?.stop();
    if (attachment) await machine.network.detach(attachment);
    await machine.end();
    await map?.close();
  });

  const ask = async (name: string, type = "A") => {
    const answer = once(lines, "line");
    child.stdin?.write(`${type} ${name}\n`);
    return JSON.parse((await answer)[0] as string) as unknown;
  };
  /** How long it took until the answer was this. */
  const answered = async (name: string, wanted: unknown, type = "A") => {
    const started = performance.now();
    await until(`${name} is ${JSON.stringify(wanted)}`, async () => JSON.stringify(await ask(name, type)) === JSON.stringify(wanted), {
      ms: 1_000,
      every: 5,
    });
    return performance.now() - started;
  };

  it("a registration, its health and its end are answered soon", async (t) => {
    const ServiceId = await map.service({
      Name: "web",
      NamespaceId: namespace,
      DnsConfig: {
        DnsRecords: [
          { Type: "A", TTL: 10 },
          { Type: "SRV", TTL: 10 },
        ],
      },
      HealthCheckCustomConfig: {},
    });
    await map.register(ServiceId, "i1", { AWS_INSTANCE_IPV4: "172.31.200.77", AWS_INSTANCE_PORT: "8080" });
    const times = [await answered("web.corp", ["172.31.200.77"])];
    const [srv] = (await ask("web.corp", "SRV")) as { name: string; port: number }[];
    assert.deepEqual([srv?.name, srv?.port], ["i1.web.corp", 8080]);
    assert.deepEqual(await ask("i1.web.corp"), ["172.31.200.77"]);
    assert.deepEqual([await ask("none.corp"), await ask("web.corp", "AAAA")], ["ENOTFOUND", "ENODATA"]);
    await map.register(ServiceId, "i2", { AWS_INSTANCE_IPV4: "172.31.200.78", AWS_INSTANCE_PORT: "8080" });
    await map.client.send(new Sdk.UpdateInstanceCustomHealthStatusCommand({ ServiceId, InstanceId: "i1", Status: "UNHEALTHY" }));
    times.push(await answered("web.corp", ["172.31.200.78"]));
    for (const InstanceId of ["i1", "i2"]) await map.client.send(new Sdk.DeregisterInstanceCommand({ ServiceId, InstanceId }));
    times.push(await answered("web.corp", "ENOTFOUND"));
    t.diagnostic(`answered after ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  });

  it("another VPC's zone of the same name is not heard of, and costs the agent no message", async () => {
    const other = await map.namespace({ Name: "corp", Vpc: await map.otherVpc() });
    const service = (NamespaceId: string, Name: string) =>
      map.service({ Name, NamespaceId, DnsConfig: { DnsRecords: [{ Type: "A", TTL: 10 }] } });
    const secret = await service(other, "secret");
    const own = await service(namespace, "own");
    // What came before this one is told.
    await map.register(own, "i1", { AWS_INSTANCE_IPV4: "172.31.200.81" });
    await answered("own.corp", ["172.31.200.81"]);
    sent = [];
    await map.register(secret, "i1", { AWS_INSTANCE_IPV4: "172.31.200.79" });
    await map.register(own, "i1", { AWS_INSTANCE_IPV4: "172.31.200.82" });
    await answered("own.corp", ["172.31.200.82"]);
    assert.equal(await ask("secret.corp"), "ENOTFOUND");
    assert.equal(sent.length, 1, "of what came after it alone");
    assert.ok(!JSON.stringify(sent).includes("172.31.200.79"));
  });

  it("names are answered by an agent that came back without its control plane", async () => {
    const id = await map.service({ Name: "kept", NamespaceId: namespace, DnsConfig: { DnsRecords: [{ Type: "A", TTL: 10 }] } });
    await map.register(id, "i1", { AWS_INSTANCE_IPV4: "172.31.200.80" });
    await answered("kept.corp", ["172.31.200.80"]);
    await machine.restart([attachment]);
    await answered("kept.corp", ["172.31.200.80"]);
  });

  it("200 instances make a message of a few kilobytes", async () => {
    const id = await map.service({ Name: "many", NamespaceId: namespace, DnsConfig: { DnsRecords: [{ Type: "A", TTL: 10 }] } });
    await Promise.all(Array.from({ length: 200 }, (_, at) => map.register(id, `i${at}`, { AWS_INSTANCE_IPV4: `172.31.201.${at}` })));
    // The last one goes again: when that is answered all of them have been told.
    await map.register(id, "last", { AWS_INSTANCE_IPV4: "172.31.202.1" });
    await until("all are told", () => JSON.stringify(sent.at(-1)?.vpcs).includes("172.31.202.1"));
    await until("eight are answered", async () => new Set((await ask("many.corp")) as string[]).size === 8);
    assert.ok((sent.at(-1)?.bytes ?? Infinity) < 8_000, `${sent.at(-1)?.bytes} bytes`);
  });
});
