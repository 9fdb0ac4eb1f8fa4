import { joinCommand } from "#agent/exec/command.ts";
import type { AwsClient } from "#agent/aws/client.ts";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { awsClient } from "../commands.ts";
import { ExecChannel, type Opened } from "./channel.ts";

export interface ExecAsked {
  readonly cluster: string | undefined;
  readonly container: string | undefined;
  /** Empty: a shell. */
  readonly command: readonly string[];
}

interface TaskAnswer {
  readonly taskArn: string;
  readonly lastStatus: string;
  readonly enableExecuteCommand?: boolean;
}

/**
 * `gantry exec <service or task>`: as `docker exec -it` where standard input and output are a terminal, else as `docker exec -i`. Returns the command's exit code. The same road as
 * `aws ecs execute-command`, without the plugin.
 */
export async function exec(config: Config, name: string, asked: ExecAsked): Promise<number> {
  const identity = await loadIdentity(config.home, systemRandom);
  const ecs = awsClient(config, identity, "ecs");
  const cluster = asked.cluster ?? config.cluster;
  const task = await taskOf(ecs, cluster, name);
  const { session } = await ecs.send<{ session: Opened }>("ExecuteCommand", {
    cluster,
    task,
    interactive: true,
    command: asked.command.length > 0 ? joinCommand(asked.command) : "sh",
    ...(asked.container === undefined ? {} : { container: asked.container }),
  });
  const ssm = awsClient(config, identity, "ssm");
  const resume = async () => (await ssm.send<{ TokenValue?: string }>("ResumeSession", { SessionId: session.sessionId })).TokenValue;
  return talk(session, resume);
}

/** A name of 32 hexadecimal digits or a task's ARN is a task; else the newest task that runs of the service. */
async function taskOf(ecs: AwsClient, cluster: string, name: string): Promise<string> {
  if (/^[0-9a-f]{32}$/.test(name) || /^arn:[^/]+:task\//.test(name)) return name;
  const { taskArns = [] } = await ecs.send<{ taskArns?: string[] }>("ListTasks", { cluster, serviceName: name, desiredStatus: "RUNNING" });
  if (taskArns.length === 0) throw new Error(`the service ${name} has no task that runs in the cluster ${cluster}`);
  const { tasks = [] } = await ecs.send<{ tasks?: TaskAnswer[] }>("DescribeTasks", { cluster, tasks: taskArns.slice(0, 100) });
  const running = tasks.filter(({ lastStatus }) => lastStatus === "RUNNING");
  const able = running.find(({ enableExecuteCommand }) => enableExecuteCommand);
  if (able) return able.taskArn;
  throw new Error(
    running.length === 0
      ? `no task of the service ${name} runs yet`
      : `the tasks of ${name} were started without enableExecuteCommand: aws ecs update-service --service ${name} --enable-execute-command --force-new-deployment`,
  );
}

async function talk(opened: Opened, resume: () => Promise<string | undefined>): Promise<number> {
  const { stdin, stdout, stderr } = process;
  const terminal = stdin.isTTY === true && stdout.isTTY === true;
  const tell = () => channel.size(stdout.columns ?? 80, stdout.rows ?? 24);
  const channel: ExecChannel = new ExecChannel({
    opened,
    terminal,
    resume,
    ready() {
      if (terminal) {
        tell();
        stdout.on("resize", tell);
        stdin.setRawMode(true);
      }
      stdin.on("data", (bytes) => {
        if (!channel.input(bytes as unknown as Uint8Array)) stdin.pause();
      });
      stdin.on("end", () => channel.endInput());
    },
    output(stream, bytes) {
      const out = stream === "stdout" ? stdout : stderr;
      // To a reader that has left nothing is written, and no drain would come.
      const room = out.errored !== null || out.destroyed || out.write(bytes);
      if (!room) out.once("drain", () => channel.drained());
      return room;
    },
    roomAgain: () => void stdin.resume(),
  });
  const leave = () => channel.terminate();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, leave);
  // Who reads our output has left.
  for (const out of [stdout, stderr])
    out.on("error", () => {
      leave();
      channel.drained();
    });
  try {
    const { exitCode, output } = await channel.ended;
    if (output !== "") stderr.write(`${terminal ? "\r\n" : ""}gantry: ${output}\n`);
    return exitCode ?? (output === "" ? 0 : 1);
  } finally {
    if (terminal) stdin.setRawMode(false);
    stdin.pause();
  }
}
