import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { instanceOf } from "#agent/config.ts";
import type { Report } from "#agent/task/report.ts";
import { interfaceOf, planOf, vpcOf } from "../network/vpc-support.ts";
import { links, namespaces } from "../support/machine-state.ts";
import { until } from "../support/until.ts";
import { startMachine, type Machine } from "./machine.ts";
import { container, task } from "./payloads.ts";

/** Tasks of network mode awsvpc: the agent as a process, real containers, a fake control plane above. */
describe("awsvpc on a real machine", { skip: process.getuid?.() !== 0 && "needs root", timeout: 400_000 }, () => {
  let machine: Machine;
  before(async () => {
    machine = await startMachine();
    machine.plane.groups.add("/g");
    await machine.startAgent();
  });
  after(() => machine?.close());

  const arn = (id: string) => `arn:aws:ecs:us-east-1:000000000000:task/default/${id}`;
  const reported = (id: string, status: Report["status"]) =>
    until(`${id} ${status}`, () => machine.plane.reports.find((report) => report.task === arn(id) && report.status === status));
  const host = {
    NetworkMode: "awsvpc",
    LogConfig: { Type: "awslogs", Config: { "awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p" } },
  };
  const sh = (name: string, script: string, options: Parameters<typeof container>[1] = {}) =>
    container(name, { image: machine.image, command: ["sh", "-c", script], stopTimeout: 2, host, ...options });
  const lines = (id: string, name: string) =>
    machine.plane.puts
      .filter(({ logStreamName }) => logStreamName === `p/${name}/${id}`)
      .flatMap(({ logEvents }) => logEvents.map(({ message }) => message));
  /** Busybox's wget, linked statically, falls over. */
  const get = (address: string, path = "/") => `printf "GET ${path} HTTP/1.0\\r\\n\\r\\n" | nc ${address} 80`;

  it("containers share an interface, files and names; tasks reach each other; it all stands through a restart of the agent", async () => {
    const [one, two] = [interfaceOf("10.0.1.5"), interfaceOf("10.0.2.6")];
    const mode = (each: typeof one) => ({ networkMode: "awsvpc", elasticNetworkInterfaces: [planOf(each).networkInterface!] });
    const state = (...list: (typeof one)[]) =>
      machine.plane.send("VpcStateMessage", { messageId: `m${list.length}`, vpcs: [vpcOf("t", list)] });
    const web = sh(
      "web",
      // Who is served finds the line in the file that the containers share.
      'echo "10.9.9.9 added" >> /etc/hosts; mkdir /tmp/w; echo served > /tmp/w/index.html; httpd -p 80 -h /tmp/w; sleep 300',
      {
        portMappings: [{ containerPort: 80, protocol: "tcp" }],
      },
    );
    const side = sh(
      "side",
      `i=0; until ${get("127.0.0.1")} | grep served || [ $i = 300 ]; do i=$((i+1)); sleep 0.2; done; hostname; grep -c -e 10.0.1.5 -e added /etc/hosts; cat /etc/resolv.conf; U=\${ECS_CONTAINER_METADATA_URI_V4#http://169.254.170.2}; ${get("169.254.170.2", "$U")} | grep Networks; sleep 300`,
      { essential: false },
    );
    machine.plane.payload(task("one", [web, side], mode(one)));
    // The word of the interface comes later than the task.
    await new Promise((resolve) => setTimeout(resolve, 100));
    state(one);
    const running = await reported("one", "RUNNING");
    assert.deepEqual(running.containers.find(({ containerName }) => containerName === "web")?.networkBindings, [
      { bindIP: "0.0.0.0", containerPort: 80, hostPort: 80, protocol: "tcp" },
    ]);
    await until("the side's lines", () => lines("one", "side").some((line) => line.includes("Networks")));
    const said = lines("one", "side").filter((line) => !line.startsWith("nc: "));
    assert.deepEqual(said.slice(0, 3), ["served", "ip-10-0-1-5.ec2.internal", "2"]);
    assert.ok(said.includes("nameserver 10.0.0.2") && said.includes("search ec2.internal"));
    const shown = JSON.parse(said.find((line) => line.includes("Networks")) ?? "{}") as { Networks: Record<string, unknown>[] };
    assert.deepEqual(shown.Networks, [
      {
        NetworkMode: "awsvpc",
        IPv4Addresses: ["10.0.1.5"],
        AttachmentIndex: 0,
        MACAddress: one.mac,
        IPv4SubnetCIDRBlock: "10.0.1.0/24",
        DomainNameServers: ["10.0.0.2"],
        DomainNameSearchList: ["ec2.internal"],
        PrivateDNSName: "ip-10-0-1-5.ec2.internal",
        SubnetGatewayIpv4Address: "10.0.1.1/24",
      },
    ]);

    await machine.killAgent();
    await machine.startAgent();
    machine.plane.payload(
      task(
        "two",
        [sh("ask", `${get("10.0.1.5")} | grep served; nslookup ip-10-0-1-5.ec2.internal 10.0.0.2 | tail -n +3 | grep -Fo 10.0.1.5`)],
        mode(two),
      ),
    );
    state(one, two);
    const done = await reported("two", "STOPPED");
    assert.deepEqual([done.containers[0]?.exitCode, lines("two", "ask")], [0, ["served", "10.0.1.5"]]);

    machine.plane.payload(task("one", [], { desiredStatus: "STOPPED" }));
    await reported("one", "STOPPED");
    machine.plane.send("VpcStateMessage", { messageId: "none", vpcs: [] });
    const instance = instanceOf(machine.home);
    await until("the VPC is gone", () => !namespaces().some((name) => /-(vpc|eni)-/.test(name) && name.includes(instance)));
  });

  it("a task whose interface nobody describes can be stopped while it waits", async () => {
    const each = interfaceOf("10.0.1.9");
    machine.plane.payload(
      task("waits", [sh("web", "sleep 300")], { networkMode: "awsvpc", elasticNetworkInterfaces: [planOf(each).networkInterface!] }),
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    const started = performance.now();
    machine.plane.payload(task("waits", [], { desiredStatus: "STOPPED" }));
    await reported("waits", "STOPPED");
    assert.ok(performance.now() - started < 5_000);
    machine.plane.payload(task("none", [sh("web", "true")], { networkMode: "awsvpc" }));
    assert.match((await reported("none", "STOPPED")).reason ?? "", /^ResourceInitializationError: .*no network interface/);
  });

  it("leaves nothing after tear-down", async () => {
    assert.equal(await machine.endAgent("SIGUSR2"), 0, machine.agentOutput());
    const instance = instanceOf(machine.home);
    assert.deepEqual(
      [...namespaces(), ...links()].filter((name) => name.includes(instance.slice(0, 6))),
      [],
    );
  });
});
