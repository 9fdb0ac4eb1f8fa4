import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import type { Logger } from "#platform/log.ts";
import { AwsError, createAwsClient } from "../aws/client.ts";
import type { AgentConfig } from "../config.ts";
import { executionRole } from "../execution-role.ts";
import type { Journal } from "../journal.ts";
import { isolated } from "../steps/sandbox.ts";
import type { ContainerPlan } from "../task/plan.ts";
import type { TaskContext } from "../task/world.ts";
import { createAwsLogs, openStream, parseAwsLogs } from "./awslogs.ts";
import { createJsonFile, nowhere } from "./json-file.ts";
import { Pump } from "./pump.ts";
import type { Sink } from "./sink.ts";

/** The log drivers of all containers: which sink, and the pump that feeds it. */
export interface LogDrivers {
  /** Before the container starts: checks the options, of which `secretOptions` were fetched, and makes the stream. Rejects with the reason for which it must not start. */
  open(context: TaskContext, container: ContainerPlan, secretOptions: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
  /** The container's process runs (again). */
  started(context: TaskContext, container: ContainerPlan): void;
  /** After a restart of the agent: go on where the last life stopped. */
  resume(context: TaskContext, container: ContainerPlan): void;
  /** Everything the ended container wrote is delivered, or ten seconds are over. */
  finish(context: TaskContext, container: ContainerPlan): Promise<void>;
  close(): void;
}

const longestFlushMs = 10_000;

export interface LogDriversOptions {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly journal: Journal;
}

export function createLogDrivers({ config, clock, random, log, journal }: LogDriversOptions): LogDrivers {
  const pumps = new Map<string, Pump>();
  const stateOf = (context: TaskContext, { name }: ContainerPlan) => {
    const state = context.state().containers.find((container) => container.name === name);
    if (!state) throw new Error(`the task has no container ${name}`);
    return state;
  };
  const clientOf = (context: TaskContext, region: string, endpoint: string | undefined) => {
    return createAwsClient({
      service: "logs",
      endpoint: (endpoint ?? config.logsEndpoint).replace(/\/+$/, ""),
      region,
      // They are renewed while the task lives; after a restart of the agent they come with the connection.
      credentials: () => {
        const role = context.plan.payload.executionRoleCredentials;
        if (role?.secretAccessKey === "")
          throw new AwsError("CredentialsNotYet", "the credentials of the execution role did not come yet", 0);
        return role ?? config.credentials;
      },
      clock,
      random,
    });
  };
  /** Options that are secrets are kept in memory, by container. */
  const secretOptions = new Map<string, Readonly<Record<string, string>>>();
  const optionsOf = (context: TaskContext, container: ContainerPlan) => ({
    ...container.logging.options,
    ...secretOptions.get(stateOf(context, container).id),
  });
  const awslogs = (context: TaskContext, container: ContainerPlan) => {
    const { id } = stateOf(context, container);
    const options = parseAwsLogs(optionsOf(context, container), {
      container: container.name,
      task: context.plan.id,
      id,
      region: config.region,
    });
    return { options, client: clientOf(context, options.region, options.endpoint) };
  };
  const directoryOf = (context: TaskContext, container: ContainerPlan) => `${config.dataDir}/tasks/${context.plan.id}/${container.name}`;
  const sinkOf = (context: TaskContext, container: ContainerPlan): Sink => {
    const { driver } = container.logging;
    if (driver === "none") return nowhere;
    if (driver === "json-file") return createJsonFile(directoryOf(context, container), optionsOf(context, container), clock);
    const { options, client } = awslogs(context, container);
    return createAwsLogs(client, options, clock, context.log);
  };
  const follow = (context: TaskContext, container: ContainerPlan) => {
    const { id, restarts } = stateOf(context, container);
    let pump = pumps.get(id);
    if (!pump) {
      pump = new Pump({
        directory: directoryOf(context, container),
        sink: sinkOf(context, container),
        offsets: journal,
        clock,
        log: context.log,
      });
      pumps.set(id, pump);
    }
    pump.follow(restarts);
  };
  return {
    async open(context, container, secret, signal) {
      if (Object.keys(secret).length > 0) secretOptions.set(stateOf(context, container).id, secret);
      const { driver } = container.logging;
      if (driver !== "awslogs") {
        // Options that can't be read stop the container now, not its first line later.
        sinkOf(context, container);
        return;
      }
      const { options, client } = awslogs(context, container);
      await executionRole(context.plan, clock, signal);
      await openStream(client, options, isolated(context.plan) ? "fargate" : "ec2", signal);
    },
    started: follow,
    resume: follow,
    async finish(context, container) {
      const { id } = stateOf(context, container);
      const pump = pumps.get(id);
      if (!pump) return;
      pumps.delete(id);
      secretOptions.delete(id);
      if (!(await pump.finish(longestFlushMs)))
        log.warn({ task: context.plan.id, container: container.name }, "not all log lines could be delivered in time");
    },
    close() {
      for (const pump of pumps.values()) pump.close();
      pumps.clear();
    },
  };
}
