/** Issue 5, Service Connect on real tasks: a name inside the tasks of a namespace, and no request lost when what is behind it dies or changes. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readdir, readFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CloudWatchClient, GetMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ListServicesCommand,
  ListTasksCommand,
  type RegisterTaskDefinitionCommandInput,
  type ServiceConnectService,
  StopTaskCommand,
  type Task,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CreateHttpNamespaceCommand, DiscoverInstancesCommand, ServiceDiscoveryClient } from "@aws-sdk/client-servicediscovery";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { fargateSize, logGroup, openClient, openTasks, sh, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let names: ServiceDiscoveryClient;
let watch: CloudWatchClient;
let subnets: string[];

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-connect-"));
  gantry = await startGantry({ open: true, env: { GANTRY_CPU_OVERCOMMIT: "8" } });
  t = await openTasks(gantry, work);
  const options = openClient(gantry);
  const { Subnets } = await new EC2Client(options).send(new DescribeSubnetsCommand({}));
  subnets = Subnets!.map(({ SubnetId }) => SubnetId!);
  names = new ServiceDiscoveryClient({ ...options, disableHostPrefix: true });
  watch = new CloudWatchClient(options);
  for (const Name of ["shop", "other"]) await names.send(new CreateHttpNamespaceCommand({ Name }));
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const kinds: readonly { name: string; launchType: "EC2" | "FARGATE"; fields: Partial<RegisterTaskDefinitionCommandInput> }[] = [
  { name: "awsvpc", launchType: "EC2", fields: { networkMode: "awsvpc" } },
  { name: "bridge", launchType: "EC2", fields: { networkMode: "bridge" } },
  { name: "Fargate", launchType: "FARGATE", fields: fargateSize },
];

const sees = <T>(what: string, look: () => Promise<T | undefined | false>) => until(what, look, { ms: 120_000, every: 100, seen: events });
/** What the services say of themselves. */
async function events(): Promise<string> {
  const { serviceArns } = await t.ecs.send(new ListServicesCommand({}));
  if (!serviceArns?.length) return "";
  const { services } = await t.ecs.send(new DescribeServicesCommand({ services: serviceArns }));
  return services!.flatMap((each) => each.events!.slice(0, 4).map(({ message }) => message)).join("\n");
}
const serving = (answer: string, place = randomUUID()) =>
  `mkdir -p /www/${place} && echo ${answer} >/www/${place}/index.html && exec httpd -f -p 8080 -h /www/${place}`;
/** A request: prints the last line of what was answered. (Debian's static wget can't resolve names.) */
const request = (name: string) =>
  `printf 'GET / HTTP/1.1\\r\\nHost: ${name}\\r\\nConnection: close\\r\\n\\r\\n' | nc -w 20 ${name} 8080 | tail -n 1`;
/** One after the other, and a line for each: what it answered, or that it failed. `after`: once this has been the answer ten times running, for tasks that are RUNNING may not listen yet. */
const asking = (name: string, after = "") => {
  const first = `n=0; while [ $n -lt 10 ]; do a=$(${request(name)}); if [ "$a" = ${after} ]; then n=$((n+1)); else n=0; fi; sleep 0.03; done`;
  return `${after === "" ? ":" : first}; while :; do a=$(${request(name)}); echo \${a:-failed}; sleep 0.03; done`;
};

async function service(
  serviceName: string,
  kind: (typeof kinds)[number],
  definition: string,
  count: number,
  connect: { namespace: string; services?: ServiceConnectService[] },
): Promise<void> {
  await t.ecs.send(
    new CreateServiceCommand({
      serviceName,
      taskDefinition: definition,
      desiredCount: count,
      launchType: kind.launchType,
      serviceConnectConfiguration: { enabled: true, ...connect },
      ...(kind.fields.networkMode === "awsvpc" ? { networkConfiguration: { awsvpcConfiguration: { subnets } } } : {}),
    }),
  );
}
async function tasksOf(serviceName: string, count: number): Promise<Task[]> {
  return sees(`${count} tasks of ${serviceName}`, async () => {
    const { taskArns } = await t.ecs.send(new ListTasksCommand({ serviceName }));
    if (!taskArns?.length) return undefined;
    const { tasks } = await t.ecs.send(new DescribeTasksCommand({ tasks: taskArns }));
    const running = tasks!.filter(({ lastStatus }) => lastStatus === "RUNNING");
    return running.length === count ? running : undefined;
  });
}
async function lines(task: Task): Promise<string[]> {
  const id = task.taskArn!.slice(task.taskArn!.lastIndexOf("/") + 1);
  const found: string[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < 50; page++) {
    const { events, nextForwardToken } = await t.logs.send(
      new GetLogEventsCommand({ logGroupName: logGroup, logStreamName: `t/main/${id}`, startFromHead: true, nextToken }),
    );
    found.push(...(events ?? []).map(({ message }) => message ?? ""));
    if (nextForwardToken === nextToken) break;
    nextToken = nextForwardToken;
  }
  return found;
}
const instances = async (ServiceName: string) =>
  (await names.send(new DiscoverInstancesCommand({ NamespaceName: "shop", ServiceName }))).Instances!;
async function remove(...serviceNames: string[]): Promise<void> {
  for (const name of serviceNames) await t.ecs.send(new DeleteServiceCommand({ service: name, force: true }));
  await sees("services gone", async () => {
    const { services } = await t.ecs.send(new DescribeServicesCommand({ services: serviceNames }));
    return services!.every(({ status }) => status === "INACTIVE") ? true : undefined;
  });
}
/** What CloudWatch has of a discovery name in all, by metric, statistic and whether the service is named too. */
async function watched(
  of: Record<string, string>,
  service: string,
  metrics: readonly (readonly [name: string, stat: string])[],
): Promise<(number | undefined)[][]> {
  const dimensions = [of, { ...of, ServiceName: service, ClusterName: "default" }].map((each) =>
    Object.entries(each).map(([Name, Value]) => ({ Name, Value })),
  );
  const MetricDataQueries = dimensions.flatMap((Dimensions, at) =>
    metrics.map(([MetricName, Stat], index) => ({
      Id: `m${at}_${index}`,
      MetricStat: { Metric: { Namespace: "AWS/ECS", MetricName, Dimensions }, Period: 3600, Stat },
    })),
  );
  const hour = 3_600_000;
  const StartTime = new Date(Math.floor(Date.now() / hour - 1) * hour);
  const { MetricDataResults } = await watch.send(
    new GetMetricDataCommand({ MetricDataQueries, StartTime, EndTime: new Date(+StartTime + 3 * hour) }),
  );
  // Of two hours, where one ends meanwhile.
  const values = MetricDataResults!.map(({ Values }, at) => {
    const whole = metrics[at % metrics.length]![1] === "Maximum" ? Math.max : (one: number, other: number) => one + other;
    return Values!.length === 0 ? undefined : Values!.reduce((all, each) => whole(all, each));
  });
  return [values.slice(0, metrics.length), values.slice(metrics.length)];
}
/** The machine's processes that serve the place: they are what they are to be, and listen on 8080. */
async function processesOf(place: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const text = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const command = await text("cmdline");
    if (!command.startsWith("httpd\0") || !command.includes(place)) continue;
    if (/:1F90 [0-9A-F]+:0000 0A /.test((await text("net/tcp")) + (await text("net/tcp6")))) found.push(Number(pid));
  }
  return found;
}

describe("kinds of tasks, side by side", { concurrency: true }, () => {
  for (const kind of kinds) {
    describe(kind.name, { concurrency: false }, () => {
      const web = `web-${kind.name.toLowerCase()}`;
      const client = `client-${kind.name.toLowerCase()}`;
      const stranger = `stranger-${kind.name.toLowerCase()}`;
      const place = randomUUID();
      const define = (answer: string) =>
        t.define(
          [{ ...sh(serving(answer, place)), portMappings: [{ name: "http", containerPort: 8080, appProtocol: "http" }] }],
          kind.fields,
        );

      test("a name answers from all tasks of the service, only inside its namespace", async () => {
        await service(web, kind, await define("one"), 2, {
          namespace: "shop",
          services: [{ portName: "http", discoveryName: web, clientAliases: [{ port: 8080, dnsName: web }] }],
        });
        const [first] = await tasksOf(web, 2);
        assert.match(first!.containers!.map(({ name }) => name).join(" "), /^main ecs-service-connect-\w{6}$/);
        await sees("both are registered", async () => (await instances(web)).length === 2);
        await service(client, kind, await t.define([sh(asking(web, "one"))], kind.fields), 1, { namespace: "shop" });
        const [asker] = await tasksOf(client, 1);
        await service(stranger, kind, await t.define([sh(asking(web))], kind.fields), 1, { namespace: "other" });
        await sees("answers", async () => ((await lines(asker!)).length >= 20 ? true : undefined));
        assert.deepEqual([...new Set(await lines(asker!))], ["one"]);
        const [other] = await tasksOf(stranger, 1);
        const heard = await sees("the stranger's", async () => ((await lines(other!)).length >= 3 ? lines(other!) : undefined));
        assert.ok(!heard.includes("one") && heard.some((line) => line.includes("bad address")), heard.slice(0, 5).join("\n"));
        await remove(stranger);
      });

      if (kind.launchType === "EC2")
        test("a task that is killed: the requests go on with the other", async () => {
          const [asker] = await tasksOf(client, 1);
          const [victim] = await sees("both serve", async () => {
            const found = await processesOf(place);
            return found.length === 2 && found;
          });
          process.kill(victim!, "SIGKILL");
          const before = (await lines(asker!)).length;
          await sees("more answers", async () => ((await lines(asker!)).length > before + 50 ? true : undefined));
          await tasksOf(web, 2);
          assert.deepEqual([...new Set(await lines(asker!))], ["one"]);
        });

      test("a rolling update loses no request", async () => {
        const [asker] = await tasksOf(client, 1);
        await t.ecs.send(new UpdateServiceCommand({ service: web, taskDefinition: await define("two") }));
        await sees("rolled out", async () => {
          const { services } = await t.ecs.send(new DescribeServicesCommand({ services: [web] }));
          return services![0]!.deployments!.length === 1 && services![0]!.deployments![0]!.rolloutState === "COMPLETED" ? true : undefined;
        });
        await sees("only the new answer", async () =>
          (await lines(asker!)).slice(-10).every((line) => line === "two") ? true : undefined,
        );
        assert.deepEqual([...new Set(await lines(asker!))], ["one", "two"]);
        await remove(client, web);
        await eventually("its name is gone", () => assert.rejects(instances(web), { name: "ServiceNotFound" }));
      });
    });
  }
});

/** 20 requests that are answered, 5 for what is not there, then a connection that stays. */
const counted = (
  name: string,
) => `ask() { printf "GET $1 HTTP/1.1\\r\\nHost: ${name}\\r\\nConnection: close\\r\\n\\r\\n" | nc -w 8 ${name} 8080 >/dev/null; }
for i in $(seq 20); do ask /; done
for i in $(seq 5); do ask /none; done
sleep 1000 | nc ${name} 8080 &
sleep 2.5
echo done
wait`;

test("an agent that is killed disturbs no request, hears again of who comes and goes, and tells CloudWatch each request once", async () => {
  const [kind] = kinds;
  const tallied = [{ portName: "http", discoveryName: "tallied", clientAliases: [{ port: 8080, dnsName: "tallied" }] }];
  const services = [{ portName: "http", discoveryName: "lasting", clientAliases: [{ port: 8080, dnsName: "lasting" }] }];
  const place = randomUUID();
  const serve = (count: number) => sees(`${count} serve`, async () => (await processesOf(place)).length === count);
  const definition = await t.define(
    [{ ...sh(serving("here", place)), portMappings: [{ name: "http", containerPort: 8080, appProtocol: "http" }] }],
    kind!.fields,
  );
  await service("lasting", kind!, definition, 1, { namespace: "shop", services });
  await service("tallied", kind!, definition, 1, { namespace: "shop", services: tallied });
  await tasksOf("tallied", 1);
  await serve(2);
  await service("tally", kind!, await t.define([sh(counted("tallied"))], kind!.fields), 1, { namespace: "shop" });
  const [first] = await tasksOf("lasting", 1);
  await service("asker", kind!, await t.define([sh(asking("lasting", "here"))], kind!.fields), 1, { namespace: "shop" });
  const [asker] = await tasksOf("asker", 1);
  await sees("answers", async () => ((await lines(asker!)).length >= 5 ? true : undefined));
  const [tally] = await tasksOf("tally", 1);
  await sees("all asked", async () => ((await lines(tally!)).includes("done") ? true : undefined));
  const killAgent = async () => {
    const { parts } = await gantry.status();
    process.kill(parts.find(({ name }) => name === "agent")!.pid!, "SIGKILL");
  };
  await killAgent();
  await t.ecs.send(new UpdateServiceCommand({ service: "lasting", desiredCount: 2 }));
  await tasksOf("lasting", 2);
  await serve(3);
  await t.ecs.send(new StopTaskCommand({ task: first!.taskArn! }));
  await sees("the first has stopped", async () => {
    const { tasks } = await t.ecs.send(new DescribeTasksCommand({ tasks: [first!.taskArn!] }));
    return tasks![0]!.lastStatus === "STOPPED" ? true : undefined;
  });
  const before = (await lines(asker!)).length;
  await sees("more answers", async () => ((await lines(asker!)).length > before + 20 ? true : undefined));
  assert.deepEqual([...new Set(await lines(asker!))], ["here"]);

  // An agent reports at once after its start.
  const came = () =>
    watched({ DiscoveryName: "tallied" }, "tallied", [
      ["RequestCount", "Sum"],
      ["NewConnectionCount", "Sum"],
      ["ActiveConnectionCount", "Maximum"],
      ["ActiveConnectionCount", "SampleCount"],
    ]);
  const [[, , , reports]] = (await sees("a report", async () => {
    const found = await came();
    return found[0]![3] === undefined ? undefined : found;
  })) as [number[], number[]];
  await killAgent();
  await eventually("another report, and all of it", async () => {
    const found = await came();
    assert.ok(found[0]![3]! > reports!);
    for (const each of found) assert.deepEqual(each.slice(0, 3), [25, 26, 1]);
    const answered = await watched({ TargetDiscoveryName: "tallied" }, "tally", [
      ["HTTPCode_Target_2XX_Count", "Sum"],
      ["HTTPCode_Target_4XX_Count", "Sum"],
      ["HTTPCode_Target_5XX_Count", "Sum"],
      ["TargetResponseTime", "SampleCount"],
    ]);
    for (const each of answered) assert.deepEqual(each, [20, 5, undefined, 25]);
  });
  await remove("asker", "lasting", "tally", "tallied");
});
