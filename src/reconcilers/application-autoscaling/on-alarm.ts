import type { MetricStore } from "#metrics/metric-store.ts";
import { parsePolicyArn, type Resource, resourceId, scalingKeys, type Scope } from "#model/application-autoscaling/keys.ts";
import type { PolicyRecord, ScalingStateRecord, TargetRecord } from "#model/application-autoscaling/records.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord } from "#model/service-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { ActionRefused, type AlarmNotice } from "../alarms/actions.ts";
import { heardBy, putNotScaled, setDesired, stateOf } from "./activities.ts";
import { breachesOf, breachOf, whichOf } from "./breaches.ts";
import { decideScaling, type ScalingFacts, type Trigger } from "./decide.ts";

export interface ScalerDeps {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: () => MetricStore;
  /** A service's tasks that run and are to, of whoever keeps count. Undefined: it does not know yet. */
  readonly running: (scope: Scope, cluster: string, service: string) => number | undefined;
}

export const scalingQueue = ({ account, region }: Scope) => `application-autoscaling/${account}/${region}`;

/** An alarm told a policy something. The same word told twice is heeded once. */
export async function onAlarm(deps: ScalerDeps, notice: AlarmNotice): Promise<void> {
  const { store, writer, clock, random, log } = deps;
  const found = parsePolicyArn(notice.action);
  if (!found) throw new ActionRefused(`${notice.action} is no scaling policy of an ECS service`);
  const { scope, resource, name } = found;
  const policy = (await store.get<PolicyRecord>(scalingKeys.policy(scope, resource, name)))?.value;
  if (policy?.arn !== notice.action) throw new ActionRefused(`there is no scaling policy ${name} of ${resourceId(resource)}`);
  const now = clock.now();
  const trigger: Trigger = {
    policy,
    which: whichOf(policy, notice.alarm.name),
    breach: notice.alarm.metric ? await breachOf(deps.metrics(), notice.alarm, now) : { threshold: 0, above: true, values: [] },
  };
  const others = await othersOf(deps, scope, resource, policy, now);
  const running = await runningOf(deps, scope, resource);
  const cause = `monitor alarm ${notice.alarm.name} in state ${notice.state.value} triggered policy ${policy.name}`;
  const heardKey = heardBy(notice.alarm.name, policy.name);
  const outcome = await writer.run(scalingQueue(scope), async (unit) => {
    const hand = { unit, scope, random, now };
    const target = await unit.get<TargetRecord>(scalingKeys.target(scope, resource));
    const still = await unit.get<PolicyRecord>(scalingKeys.policy(scope, resource, name));
    const service = await unit.get<ServiceRecord>(ecsKeys.service(scope, resource.cluster, resource.service));
    const state = await stateOf(hand, resource);
    if (!target || still?.arn !== policy.arn || service?.status !== "ACTIVE") return "its target is gone";
    if ((state.heard[heardKey] ?? -1) >= notice.due) return "it was heeded before";
    const facts: ScalingFacts = {
      now,
      min: target.min,
      max: target.max,
      suspended: target.suspended,
      desired: service.desiredCount,
      running,
      deploying: await deploys(unit.get.bind(unit), scope, service),
      state,
      trigger,
      others,
    };
    const decision = decideScaling(facts);
    const heard = { ...state.heard, [heardKey]: notice.due };
    if (decision.kind === "scale") {
      const { in: _, out: __, ...rest } = state;
      // A scale-out ends the cooldown of scaling in; a scale-in leaves what stands of the other.
      const cooldowns = decision.state.out ? decision.state : { ...(state.out ? { out: state.out } : {}), ...decision.state };
      await setDesired(hand, service, decision.to, cause, { ...rest, ...cooldowns, heard });
      return `from ${service.desiredCount} to ${decision.to}`;
    }
    const said = decision.kind === "not scaled" && state.unscaled?.[heardKey] !== decision.reason.code ? decision.reason : undefined;
    if (said) putNotScaled(hand, resource, cause, said);
    const unscaled = said ? { ...state.unscaled, [heardKey]: said.code } : state.unscaled;
    unit.put(scalingKeys.state(scope, resource), { ...state, heard, unscaled } satisfies ScalingStateRecord);
    return decision.kind === "wait" ? decision.why : decision.reason.code;
  });
  log.info(
    { resource: resourceId(resource), policy: policy.name, alarm: notice.alarm.name, running },
    `an alarm asks for scaling: ${outcome}`,
  );
}

async function othersOf({ store, metrics }: ScalerDeps, scope: Scope, resource: Resource, own: PolicyRecord, now: number) {
  const { entries } = await store.list<PolicyRecord>(scalingKeys.policiesOf(scope, resource));
  const others: ScalingFacts["others"][number][] = [];
  for (const { value: policy } of entries)
    if (policy.name !== own.name) others.push({ policy, breaches: await breachesOf(store, metrics(), scope, policy, now) });
  return others;
}

/** Its tasks that run and are to: reading all of the cluster's only while nobody has counted them yet. */
export async function runningOf(
  { store, running }: Pick<ScalerDeps, "store" | "running">,
  scope: Scope,
  { cluster, service }: Resource,
): Promise<number> {
  const counted = running(scope, cluster, service);
  if (counted !== undefined) return counted;
  const { entries } = await store.list<TaskRecord>(ecsKeys.tasks(scope, cluster));
  const own = entries.filter(({ value: { group, desiredStatus } }) => group === `service:${service}` && desiredStatus === "RUNNING");
  const observed = await Promise.all(own.map(({ value }) => store.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, value.id))));
  return observed.filter((entry) => entry?.value.lastStatus === "RUNNING").length;
}

/** Not so with the controller EXTERNAL, whose deployments ECS does not know. */
async function deploys(get: <T>(key: string) => Promise<T | undefined>, scope: Scope, service: ServiceRecord): Promise<boolean> {
  if (service.deployment === undefined) return false;
  const deployment = await get<DeploymentRecord>(ecsKeys.deployment(scope, service.cluster, service.name, service.deployment));
  return deployment?.rolloutState === "IN_PROGRESS";
}
