import { ecsKeys } from "#model/ecs-keys.ts";
import type { DeploymentRecord, HookRecord, ServiceRecord, ServiceRevisionRecord, ShiftRecord } from "#model/service-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { clusterQueue } from "../task-writes.ts";
import type { ServiceEntry } from "./index.ts";
import { dueHooks } from "./stages.ts";

/** Calls the target of a lifecycle hook with a payload; resolves with its answer, rejects when there is none. */
export type CallHook = (targetArn: string, payload: HookPayload, signal: AbortSignal) => Promise<unknown>;

/** What AWS gives to the Lambda function. Source: AWS News Blog, "Accelerate safe software releases with new built-in blue/green deployments in Amazon ECS". */
export interface HookPayload {
  readonly executionId: string;
  readonly lifecycleStage: string;
  /** The service deployment's ARN. */
  readonly resourceArn: string;
  readonly executionDetails: {
    readonly serviceArn: string;
    readonly targetServiceRevisionArn: string;
    /** Percent, by the service revision's ARN. */
    readonly testTrafficWeights: Readonly<Record<string, number>>;
    readonly productionTrafficWeights: Readonly<Record<string, number>>;
  };
  readonly hookDetails?: unknown;
}

/** What an answer makes of a hook: called again later, or over. Pure. Source: ECS Developer Guide, "Lambda hooks for Amazon ECS service deployments". */
export function answered(hook: HookRecord, answer: unknown, now: number): HookRecord {
  const {
    hookStatus,
    callBackDelay = 30,
    hookDetails,
  } = (answer ?? {}) as {
    hookStatus?: unknown;
    callBackDelay?: unknown;
    hookDetails?: unknown;
  };
  if (hookStatus === "SUCCEEDED") return { ...hook, status: "SUCCEEDED" };
  if (hookStatus === "FAILED") return { ...hook, status: "FAILED", reason: "it answered FAILED" };
  if (hookStatus !== "IN_PROGRESS") return { ...hook, status: "FAILED", reason: "its answer has no valid hookStatus" };
  if (typeof callBackDelay !== "number" || !(callBackDelay >= 0))
    return { ...hook, status: "FAILED", reason: "its callBackDelay is not a number of seconds" };
  return { ...hook, callAt: now + callBackDelay * 1000, ...(hookDetails === undefined ? {} : { details: hookDetails }) };
}

/** The shift that is open for a service now; undefined when there is none. */
export function openShift({ deployments }: ServiceEntry, { deployment: id, status }: ServiceRecord): ShiftRecord | undefined {
  const primary = status === "ACTIVE" && id !== undefined ? deployments.get(id.slice(id.lastIndexOf("/") + 1)) : undefined;
  return primary?.rolloutState === "IN_PROGRESS" ? primary.shift : undefined;
}

/**
 * Calls the hooks that are due. At least once: the answer is kept in the deployment's record, and who is called again by a server that died in between sees the same
 * `executionId`. A call hinders no pass; its answer counts only while the deployment still stands at the stage that asked.
 */
export function createHooks(options: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly callHook: CallHook;
  readonly signal: AbortSignal;
  /** Resolves when what was written as this revision is known here; 0: nothing was written, what is known here is old. */
  readonly cameIn: (revision: number) => Promise<void>;
  /** An answer has been kept: the service's key. */
  readonly done: (key: string) => void;
}) {
  const { store, writer, clock, log, signal } = options;
  const running = new Map<string, Promise<void>>();

  async function run(entry: ServiceEntry, service: ServiceRecord, deployment: DeploymentRecord, hook: HookRecord): Promise<void> {
    const key = ecsKeys.deployment(entry.scope, entry.cluster, entry.name, deployment.id);
    const payload = await payloadOf(store, entry, service, deployment, hook);
    let next: (hook: HookRecord) => HookRecord;
    try {
      const answer = await options.callHook(hook.targetArn ?? "", payload, signal);
      next = (now) => answered(now, answer, clock.now());
    } catch (error) {
      if (signal.aborted) return;
      next = (now) => ({ ...now, status: "FAILED", reason: error instanceof Error ? error.message : String(error) });
    }
    const { revision } = await writer.commit(clusterQueue(entry.scope, entry.cluster), async (unit) => {
      const known = await unit.get<DeploymentRecord>(key);
      const asked = known?.shift?.hooks.find(({ id }) => id === hook.id);
      if (!known?.shift || asked?.status !== "IN_PROGRESS") return;
      const hooks = known.shift.hooks.map((each) => (each === asked ? next(asked) : each));
      const changed: DeploymentRecord = { ...known, shift: { ...known.shift, hooks }, version: known.version + 1 };
      unit.put(key, changed);
    });
    // Before that it would be asked again.
    await options.cameIn(revision);
  }

  return {
    /** Those of the service's open deployment that are due and not under way. */
    call(entry: ServiceEntry, service: ServiceRecord, now: number): void {
      const shift = openShift(entry, service);
      const deployment = [...entry.deployments.values()].find(({ id }) => id === service.deployment);
      if (!shift || !deployment) return;
      for (const hook of dueHooks(shift, now)) {
        const id = `${entry.key}/${hook.id}`;
        if (running.has(id)) continue;
        const call = run(entry, service, deployment, hook)
          .catch((error: unknown) => {
            log.warn({ err: error, hook: hook.id }, "the answer of a lifecycle hook could not be kept, asking again");
            return options.cameIn(0);
          })
          .finally(() => {
            running.delete(id);
            if (!signal.aborted) options.done(entry.key);
          });
        running.set(id, call);
      }
    },
    async idle(): Promise<void> {
      await Promise.all(running.values());
    },
  };
}

async function payloadOf(
  store: Store,
  { scope, cluster, name, deployments }: ServiceEntry,
  service: ServiceRecord,
  deployment: DeploymentRecord,
  hook: HookRecord,
): Promise<HookPayload> {
  const shift = deployment.shift!;
  const arnOf = async (revision: string) =>
    (await store.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, cluster, name, revision)))?.value.arn ?? "";
  const target = await arnOf(deployment.revision);
  const blue = [...deployments.values()].find(({ id }) => id === shift.blue);
  const source = blue && (await arnOf(blue.revision));
  const weights = (percent: number) => (source === undefined ? { [target]: percent } : { [source]: 100 - percent, [target]: percent });
  return {
    executionId: hook.id,
    lifecycleStage: shift.stage,
    resourceArn: deployment.serviceDeploymentArn,
    executionDetails: {
      testTrafficWeights: shift.test === 0 ? {} : weights(shift.test),
      productionTrafficWeights: weights(shift.production),
      serviceArn: service.arn,
      targetServiceRevisionArn: target,
    },
    ...(hook.details === undefined ? {} : { hookDetails: hook.details }),
  };
}
