import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AwsClient } from "#agent/aws/client.ts";
import type { Config } from "#platform/config.ts";
import { example } from "./image.ts";
import { type CleanUps, read, show, step, until } from "./steps.ts";

interface Task {
  readonly taskArn: string;
  readonly lastStatus: string;
  readonly stoppedReason?: string;
  readonly containers: readonly { exitCode?: number; reason?: string; networkBindings?: { hostPort: number }[] }[];
}

interface Container {
  image: string;
  logConfiguration: { options: Record<string, string> };
}

/** One task on a container instance: register, run, ask, stop, read the log. Whether all of it was as it should be. */
export async function taskRoad(
  { config, ecs, logs, image }: { config: Config; ecs: AwsClient; logs: AwsClient; image: string },
  cleanUps: CleanUps,
): Promise<boolean> {
  const logGroupName = "/examples/hello";
  const input = JSON.parse(await readFile(join(example, "task-definition.json"), "utf8")) as { containerDefinitions: [Container] };
  const [container] = input.containerDefinitions;
  const file = "file://examples/hello/task-definition.json";
  step("Register the task definition", [
    container.image === image
      ? `aws ecs register-task-definition --cli-input-json ${file}`
      : `sed s#${container.image}#${image}# examples/hello/task-definition.json >hello.json; aws ecs register-task-definition --cli-input-json file://hello.json`,
  ]);
  container.image = image;
  container.logConfiguration.options["awslogs-region"] = config.region;
  const { taskDefinition } = await ecs.call<{ taskDefinition: { taskDefinitionArn: string } }>("RegisterTaskDefinition", input);
  const definition = taskDefinition.taskDefinitionArn;
  cleanUps.add(() => ecs.call("DeregisterTaskDefinition", { taskDefinition: definition }));
  show(definition);

  step("Run it as a task", ["aws ecs run-task --task-definition hello"]);
  const { logGroups = [] } = await logs.call<{ logGroups?: { logGroupName: string }[] }>("DescribeLogGroups", {
    logGroupNamePrefix: logGroupName,
  });
  if (!logGroups.some((group) => group.logGroupName === logGroupName)) cleanUps.add(() => logs.call("DeleteLogGroup", { logGroupName }));
  const ran = performance.now();
  const { tasks = [], failures = [] } = await ecs.call<{ tasks?: Task[]; failures?: { reason: string; detail?: string }[] }>("RunTask", {
    taskDefinition: definition,
    cluster: config.cluster,
  });
  if (!tasks[0]) throw new Error(`the task was not placed: ${failures[0]?.reason} ${failures[0]?.detail ?? ""}`);
  const { taskArn } = tasks[0];
  const id = taskArn.split("/").at(-1) ?? "";
  const describe = async () => (await ecs.call<{ tasks: [Task] }>("DescribeTasks", { cluster: config.cluster, tasks: [taskArn] })).tasks[0];
  cleanUps.add(async () => {
    if ((await describe()).lastStatus === "STOPPED") return;
    await ecs.call("StopTask", { cluster: config.cluster, task: taskArn, reason: "The demo is over" });
    await until(describe, (task) => task.lastStatus === "STOPPED");
  });
  const running = await until(describe, (task) => task.lastStatus === "RUNNING" || task.lastStatus === "STOPPED");
  if (running.lastStatus === "STOPPED")
    throw new Error(`the task stopped: ${running.stoppedReason}; ${running.containers[0]?.reason ?? ""}`);
  show(`${taskArn} is RUNNING after ${Math.round(performance.now() - ran)} ms`);

  const url = `http://127.0.0.1:${running.containers[0]?.networkBindings?.[0]?.hostPort}/`;
  step("Ask it, at the host port it was given", [
    `aws ecs describe-tasks --tasks ${id} --query 'tasks[0].containers[0].networkBindings[0].hostPort'`,
    `curl ${url}`,
  ]);
  const page = await until(
    () => read(url),
    (text) => text !== "",
  );
  show(page.trimEnd());

  step("Let it leave with exit code 7, and wait until it has stopped", [
    `curl ${url}cgi-bin/leave?7`,
    `aws ecs wait tasks-stopped --tasks ${id}`,
  ]);
  await read(`${url}cgi-bin/leave?7`);
  const stopped = await until(describe, (task) => task.lastStatus === "STOPPED");
  const exitCode = stopped.containers[0]?.exitCode;
  show(`STOPPED: ${stopped.stoppedReason}; exit code ${exitCode}`);

  step("Read its log", [`aws logs tail ${logGroupName}`]);
  const { events = [] } = await logs.call<{ events?: { message: string }[] }>("FilterLogEvents", {
    logGroupName,
    logStreamNames: [`demo/web/${id}`],
  });
  for (const { message } of events) show(message);
  return exitCode === 7 && events.length >= 2;
}
