/** What Gantry costs when nothing happens: memory with 100 tasks known, and the time until a started server answers. */
import {
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  waitUntilTasksRunning,
} from "@aws-sdk/client-ecs";
import { busyboxRoot } from "./docker.ts";
import { pushRoot } from "./image.ts";
import { median, report, residentMiB, startGantry, startServer, temporary } from "./support.ts";

const tasks = 100;

async function startTime(): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    await using server = await startServer();
    times.push(server.readyMs);
  }
  report({
    bench: "server start to first answer, median of 5",
    ours: median(times),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 1000 },
  });
}

async function memory(): Promise<void> {
  await using work = await temporary("footprint");
  await using gantry = await startGantry();
  await pushRoot(await busyboxRoot(work.path), `localhost:${gantry.port}/bench:1`, gantry);
  const ecs = new ECSClient({
    endpoint: gantry.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "idle",
      networkMode: "bridge",
      containerDefinitions: [
        { name: "main", image: `localhost:${gantry.port}/bench:1`, memory: 16, command: ["sleep", "10000"], stopTimeout: 2 },
      ],
    }),
  );
  const arns: string[] = [];
  while (arns.length < tasks) {
    const answer = await ecs.send(new RunTaskCommand({ taskDefinition: "idle", count: 10 }));
    if (answer.failures?.length) throw new Error(`not placed: ${JSON.stringify(answer.failures)}`);
    arns.push(...(answer.tasks ?? []).map((task) => task.taskArn ?? ""));
  }
  for (let i = 0; i < tasks; i += 50)
    await waitUntilTasksRunning({ client: ecs, maxWaitTime: 120, minDelay: 1, maxDelay: 2 }, { tasks: arns.slice(i, i + 50) });
  await ecs.send(new DescribeTasksCommand({ tasks: arns.slice(0, 100) }));
  await ecs.send(new ListTasksCommand({}));
  await new Promise((resolve) => setTimeout(resolve, 30_000));
  const { server, agent } = await gantry.pids();
  const [serverMiB, agentMiB] = [await residentMiB(server), await residentMiB(agent)];
  process.stdout.write(`     server ${serverMiB.toFixed(0)} MiB, agent ${agentMiB.toFixed(0)} MiB, ${tasks} tasks running\n`);
  report({
    bench: `resident memory of server and agent, idle with ${tasks} tasks`,
    ours: serverMiB + agentMiB,
    peer: undefined,
    peerName: "",
    unit: "MiB",
    bound: { most: 250 },
  });
}

await startTime();
await memory();
