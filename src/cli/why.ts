import type { AwsClient } from "#agent/aws/client.ts";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { ask } from "./ask.ts";
import { awsClient } from "./commands.ts";

interface Explanation {
  readonly service: string;
  readonly cluster: string;
  readonly status: string;
  readonly desired: number;
  readonly running: number;
  readonly pending: number;
  readonly steady: boolean;
  readonly deployments: readonly {
    readonly id: string;
    readonly status: string;
    readonly state: string;
    readonly reason: string;
    readonly taskDefinition?: string;
    readonly running: number;
    readonly pending: number;
    readonly failedTasks: number;
    readonly createdAt: number;
    readonly timeline: readonly { readonly at: number; readonly ms: number; readonly phase: string }[];
  }[];
  readonly placement?: {
    readonly at: number;
    readonly missing: number;
    readonly considered: number;
    readonly rejections: readonly { readonly instance: string; readonly reason: string; readonly detail: string }[];
  };
  readonly failed: readonly { readonly task: string; readonly at: number; readonly code: string; readonly reason: string }[];
  readonly events: readonly { readonly at: number; readonly message: string }[];
  readonly scaling?: {
    readonly min: number;
    readonly max: number;
    readonly activities: readonly { readonly at: number; readonly description: string; readonly cause: string; readonly message: string }[];
  };
}

interface TaskAnswer {
  readonly taskArn: string;
  readonly taskDefinitionArn: string;
  readonly lastStatus: string;
  readonly desiredStatus: string;
  readonly group?: string;
  readonly stopCode?: string;
  readonly stoppedReason?: string;
  readonly containerInstanceArn?: string;
  readonly healthStatus?: string;
  readonly containers: readonly {
    readonly name: string;
    readonly lastStatus: string;
    readonly exitCode?: number;
    readonly reason?: string;
    readonly healthStatus?: string;
  }[];
  readonly [time: string]: unknown;
}

interface Definition {
  readonly containerDefinitions: readonly {
    readonly name: string;
    readonly logConfiguration?: { readonly logDriver: string; readonly options?: Readonly<Record<string, string>> };
  }[];
}

const logLines = 10;

/** `gantry why <task or service>`: why it is as it is. A name of 32 hexadecimal digits, or a task's ARN, is a task. Throws what the API says. */
export async function why(
  config: Config,
  name: string,
  options: { readonly cluster: string | undefined; readonly json: boolean },
): Promise<string> {
  const identity = await loadIdentity(config.home, systemRandom);
  const ecs = awsClient(config, identity, "ecs");
  const cluster = options.cluster ?? clusterIn(name) ?? config.cluster;
  if (/^[0-9a-f]{32}$/.test(name) || /^arn:[^/]+:task\//.test(name))
    return whyTask(ecs, awsClient(config, identity, "logs"), cluster, name, options.json);
  const explanation = (await ask(
    config,
    identity,
    `/_gantry/why?service=${encodeURIComponent(name)}&cluster=${encodeURIComponent(cluster)}`,
  )) as Explanation;
  if (options.json) return JSON.stringify(explanation, undefined, 2);
  const last = explanation.failed[0];
  const task = last ? `\n\n${await whyTask(ecs, awsClient(config, identity, "logs"), cluster, last.task, false)}` : "";
  return formatService(explanation) + task;
}

const clusterIn = (name: string) =>
  name.startsWith("arn:")
    ? name
        .split("/")
        .at(-2)
        ?.replace(/^.*:(service|task)$/, "default")
    : undefined;
const clock = (at: number) => new Date(at).toISOString().slice(11, 23);

export function formatService(all: Explanation): string {
  const lines = [
    `service ${all.service} in cluster ${all.cluster}: ${all.status}, ${all.running} of ${all.desired} running${all.pending > 0 ? `, ${all.pending} pending` : ""}${all.steady ? ", steady" : ""}`,
  ];
  if (all.placement) {
    lines.push(
      "",
      `${all.placement.missing} not placed since ${clock(all.placement.at)}; ${all.placement.considered} instances were considered:`,
    );
    if (all.placement.considered === 0)
      lines.push("  there are no container instances in the cluster, or (on Fargate) no machine is marked for it");
    for (const { reason, detail } of all.placement.rejections) lines.push(`  ${reason}: ${detail}`);
  }
  for (const each of all.deployments) {
    lines.push(
      "",
      `deployment ${each.id} (${each.status}, ${each.state}): ${each.taskDefinition?.split("/").at(-1) ?? ""}, ${each.running} running, ${each.pending} pending, ${each.failedTasks} failed`,
    );
    lines.push(`  ${each.reason}`);
    for (const { at, ms, phase } of each.timeline) lines.push(`  ${clock(at)} ${seconds(ms)}  ${phase}`);
  }
  if (all.scaling) {
    lines.push(
      "",
      `scales between ${all.scaling.min} and ${all.scaling.max}${all.scaling.activities.length > 0 ? ":" : ", and has not yet"}`,
    );
    for (const { at, description, cause, message } of all.scaling.activities)
      lines.push(`  ${clock(at)} ${description.replace(/\.$/, "")}: ${cause}`, `               ${message}`);
  }
  if (all.failed.length > 0) {
    lines.push("", "tasks that ended by themselves:");
    for (const { task, at, code, reason } of all.failed) lines.push(`  ${clock(at)} ${task} ${code}: ${reason}`);
  }
  lines.push("", "events:", ...all.events.map(({ at, message }) => `  ${clock(at)} ${message}`));
  return lines.join("\n");
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1).padStart(7)} s`;

async function whyTask(ecs: AwsClient, logs: AwsClient, cluster: string, name: string, json: boolean): Promise<string> {
  const { tasks = [], failures = [] } = await ecs.send<{ tasks?: TaskAnswer[]; failures?: { reason?: string }[] }>("DescribeTasks", {
    cluster,
    tasks: [name],
  });
  const [task] = tasks;
  if (!task)
    throw new Error(
      `there is no task ${name} in the cluster ${cluster} (${failures[0]?.reason ?? "MISSING"}); stopped tasks are kept for an hour`,
    );
  const { taskDefinition } = await ecs.send<{ taskDefinition: Definition }>("DescribeTaskDefinition", {
    taskDefinition: task.taskDefinitionArn,
  });
  const id = task.taskArn.split("/").at(-1) ?? "";
  const last: Record<string, readonly string[]> = {};
  for (const container of task.containers) {
    const definition = taskDefinition.containerDefinitions.find((each) => each.name === container.name);
    const lines = await lastOfLog(logs, definition?.logConfiguration, container.name, id);
    if (lines !== undefined) last[container.name] = lines;
  }
  if (json) return JSON.stringify({ task, log: last }, undefined, 2);
  return formatTask(task, id, last);
}

/** In the order in which a task comes by them. */
const steps = [
  ["createdAt", "created"],
  ["pullStartedAt", "pull started"],
  ["pullStoppedAt", "pull done"],
  ["startedAt", "running"],
  ["stoppingAt", "stopping"],
  ["executionStoppedAt", "containers stopped"],
  ["stoppedAt", "stopped"],
] as const;

export function formatTask(task: TaskAnswer, id: string, log: Readonly<Record<string, readonly string[]>>): string {
  const lines = [`task ${id} of ${task.group ?? ""}: ${task.lastStatus}, wanted ${task.desiredStatus}`];
  if (task.stopCode) lines.push(`  ${task.stopCode}: ${task.stoppedReason ?? ""}`);
  let before: number | undefined;
  for (const [member, what] of steps) {
    const time = task[member];
    if (typeof time !== "number") continue;
    lines.push(`  ${clock(time * 1000)} ${seconds(before === undefined ? 0 : Math.max(0, (time - before) * 1000))}  ${what}`);
    before = time;
  }
  if (task.lastStatus === "STOPPED" && typeof task.startedAt !== "number")
    lines.push(
      `  it never ran: it failed ${typeof task.pullStartedAt !== "number" ? "before its images were pulled" : typeof task.pullStoppedAt !== "number" ? "while its images were pulled" : "when its containers were made or started"}`,
    );
  for (const { name, lastStatus, exitCode, reason, healthStatus } of task.containers) {
    const health = healthStatus && healthStatus !== "UNKNOWN" ? `, ${healthStatus}` : "";
    lines.push(
      `  container ${name}: ${lastStatus}${exitCode === undefined ? "" : `, exit code ${exitCode}`}${health}${reason ? `, ${reason}` : ""}`,
    );
    const written = log[name];
    if (written === undefined) lines.push("    its log is not in CloudWatch Logs (no awslogs driver)");
    else if (written.length === 0) lines.push("    it wrote nothing");
    else for (const line of written) lines.push(`    | ${line}`);
  }
  return lines.join("\n");
}

/** The last lines that a container wrote; undefined when they are not in CloudWatch Logs. */
async function lastOfLog(
  logs: AwsClient,
  configuration: Definition["containerDefinitions"][number]["logConfiguration"],
  container: string,
  id: string,
): Promise<readonly string[] | undefined> {
  const { "awslogs-group": logGroupName, "awslogs-stream-prefix": prefix, "awslogs-stream": stream } = configuration?.options ?? {};
  if (configuration?.logDriver !== "awslogs" || !logGroupName || (!prefix && !stream)) return undefined;
  const logStreamName = stream ?? `${prefix}/${container}/${id}`;
  try {
    const { events = [] } = await logs.send<{ events?: { message: string }[] }>("GetLogEvents", {
      logGroupName,
      logStreamName,
      limit: logLines,
      startFromHead: false,
    });
    return events.map(({ message }) => message);
  } catch {
    return [];
  }
}
