/** Requests a second over 16 keep-alive connections, the same client (wrk) against our server and moto's, in turns. */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { once } from "node:events";
import { join } from "node:path";
import { DescribeImagesCommand, EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { ECSClient, RegisterContainerInstanceCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { WebSocket } from "ws";
import { answers, end, freePort, has, median, missing, report, run, startServer, temporary } from "./support.ts";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };
const taskDefinition = {
  family: "bench",
  containerDefinitions: [{ name: "main", image: "busybox", memory: 64, essential: true, environment: [{ name: "A", value: "b" }] }],
};

async function call(endpoint: string, operation: string, input: unknown): Promise<unknown> {
  const response = await fetch(endpoint, { method: "POST", headers: headersFor(operation), body: JSON.stringify(input) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${operation} at ${endpoint}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Neither open mode nor moto checks a signature; both read the scope to find service and region. */
function headersFor(operation: string): Record<string, string> {
  return {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": `AmazonEC2ContainerServiceV20141113.${operation}`,
    "x-amz-date": new Date().toISOString().replace(/[-:]|\.\d+/g, ""),
    authorization: `AWS4-HMAC-SHA256 Credential=test/${new Date().toISOString().slice(0, 10).replaceAll("-", "")}/us-east-1/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`,
  };
}

async function rate(directory: string, endpoint: string, operation: string, input: unknown): Promise<number> {
  const script = join(directory, "request.lua");
  const headers = Object.entries(headersFor(operation)).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  );
  await writeFile(script, `wrk.method = "POST"\nwrk.body = ${luaText(JSON.stringify(input))}\n${headers.join("\n")}\n`);
  const { stdout } = await run("wrk", ["-t1", "-c16", "-d4s", "-s", script, endpoint], { timeout: 30_000 });
  if (/Non-2xx/.test(stdout)) throw new Error(`${operation} at ${endpoint} failed under load:\n${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
}

const luaText = (text: string) => `[==[${text}]==]`;

/** Ours: an instance that is registered and connected, but whose agent does nothing; RunTask then leaves a PENDING task on it. */
async function taskOnOurs(endpoint: string): Promise<{ arn: string; close: () => void }> {
  const client = new ECSClient({ endpoint, region: "us-east-1", credentials });
  const totalResources = [
    { name: "CPU", type: "INTEGER", integerValue: 2048 },
    { name: "MEMORY", type: "INTEGER", integerValue: 4096 },
    { name: "PORTS", type: "STRINGSET", stringSetValue: ["22"] },
    { name: "PORTS_UDP", type: "STRINGSET", stringSetValue: [] },
  ];
  const { containerInstance } = await client.send(
    new RegisterContainerInstanceCommand({ cluster: "bench", totalResources, attributes: [] }),
  );
  const arn = containerInstance?.containerInstanceArn ?? "";
  const query = new URLSearchParams({
    clusterArn: "bench",
    containerInstanceArn: arn,
    agentVersion: "1.83.0",
    agentHash: "bench",
    protocolVersion: "2",
    seqNum: "1",
    sendCredentials: "true",
  });
  const socket = new WebSocket(`${endpoint.replace("http", "ws")}/acs/ws?${query}`, { headers: headersFor("Poll") });
  await once(socket, "open");
  for (let tries = 0; ; tries++) {
    const { tasks, failures } = await client.send(new RunTaskCommand({ cluster: "bench", taskDefinition: "bench" }));
    if (tasks?.[0]?.taskArn) return { arn: tasks[0].taskArn, close: () => socket.terminate() };
    if (tries > 20) throw new Error(`not placed: ${JSON.stringify(failures)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** moto: an EC2 instance that it made up, registered by its identity document. */
async function taskOnMoto(endpoint: string): Promise<string> {
  const ec2 = new EC2Client({ endpoint, region: "us-east-1", credentials });
  const { Images } = await ec2.send(new DescribeImagesCommand({ Owners: ["amazon"] }));
  const { Instances } = await ec2.send(
    new RunInstancesCommand({ ImageId: Images?.[0]?.ImageId ?? "ami-12c6146b", MinCount: 1, MaxCount: 1, InstanceType: "t2.micro" }),
  );
  const document = {
    region: "us-east-1",
    accountId: "123456789012",
    instanceId: Instances?.[0]?.InstanceId,
    instanceType: "t2.micro",
    imageId: Images?.[0]?.ImageId,
  };
  const client = new ECSClient({ endpoint, region: "us-east-1", credentials });
  await client.send(new RegisterContainerInstanceCommand({ cluster: "bench", instanceIdentityDocument: JSON.stringify(document) }));
  const { tasks } = await client.send(new RunTaskCommand({ cluster: "bench", taskDefinition: "bench", launchType: "EC2" }));
  return tasks?.[0]?.taskArn ?? "";
}

async function main(): Promise<void> {
  await using directory = await temporary("api");
  if (!(await has("moto_server"))) {
    missing("DescribeTasks and RegisterTaskDefinition", "moto_server");
    return;
  }
  const motoPort = await freePort();
  const moto = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(motoPort)], { stdio: "ignore" });
  try {
    const peer = `http://127.0.0.1:${motoPort}`;
    await answers(peer, 60_000);
    await using server = await startServer();
    for (const endpoint of [peer, server.endpoint]) {
      await call(endpoint, "CreateCluster", { clusterName: "bench" });
      await call(endpoint, "RegisterTaskDefinition", taskDefinition);
    }
    const our = await taskOnOurs(server.endpoint);
    const their = await taskOnMoto(peer);
    const cases = [
      { name: "DescribeTasks", our: { cluster: "bench", tasks: [our.arn] }, their: { cluster: "bench", tasks: [their] } },
      { name: "RegisterTaskDefinition", our: taskDefinition, their: taskDefinition },
    ];
    for (const { name, ...input } of cases) {
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < 3; round++) {
        theirs.push(await rate(directory.path, peer, name, input.their));
        ours.push(await rate(directory.path, server.endpoint, name, input.our));
      }
      report({
        bench: `${name}, requests a second, 16 connections`,
        ours: median(ours),
        peer: median(theirs),
        peerName: "moto",
        unit: "requests/s",
        bound: { least: 10 },
      });
    }
    our.close();
  } finally {
    await end(moto);
  }
}

await main();
