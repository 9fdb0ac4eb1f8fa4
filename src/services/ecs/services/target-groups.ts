import { type LifecycleStage, shiftsTraffic } from "#model/lifecycle-stages.ts";
import type { DeploymentRecord, RevisionSpec, RouteRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import { chosenLoadBalancers, type GivenLoadBalancer } from "#reconcilers/task-targets.ts";

/** Which of its two target groups a new revision takes: the one that does not serve. Both change their parts with each deployment. Pure. */

export const isOpen = ({ outcome, stop }: DeploymentRecord): boolean =>
  outcome === "IN_PROGRESS" || outcome === "PENDING" || outcome === "ROLLBACK_IN_PROGRESS" || stop !== undefined;

/** So far nothing of a deployment was ever healthy as a whole. */
const starting = ["RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP"] satisfies LifecycleStage[];

/**
 * The deployment that a new one replaces: the last that completed, or whose traffic has all shifted for good; before any has, the first one once its tasks were
 * healthy, whose target group listeners may lead to from the beginning. `current`: the PRIMARY's id.
 */
export function servingOf(deployments: readonly DeploymentRecord[], current: string | undefined): DeploymentRecord | undefined {
  const good = deployments.filter(
    ({ outcome, shift }) => outcome === "SUCCESSFUL" || (outcome === "IN_PROGRESS" && shift?.stage === "CLEAN_UP"),
  );
  const [newest] = good.toSorted((a, b) => (b.finishedAt ?? Infinity) - (a.finishedAt ?? Infinity));
  if (newest) return newest;
  const primary = deployments.find(({ id }) => id === current);
  if (!primary) return undefined;
  // Of a rolling deployment nobody knows how far it has come: what it has is kept.
  const serves = primary.rolloutState !== "FAILED" && (!primary.shift || !(starting as readonly string[]).includes(primary.shift.stage));
  return serves ? primary : undefined;
}

export interface Choice {
  readonly targetGroups?: readonly string[];
  readonly routes: readonly RouteRecord[];
}

export function chooseTargetGroups(spec: RevisionSpec, before: ServiceRevisionRecord | undefined, strategy: string | undefined): Choice {
  const given = (spec.loadBalancers ?? []) as readonly GivenLoadBalancer[];
  if (!given.some(({ advancedConfiguration }) => advancedConfiguration)) return { routes: [] };
  const serving = before ? chosenLoadBalancers(before) : [];
  const routes: RouteRecord[] = [];
  const targetGroups = given.map((each, index) => {
    const { targetGroupArn = "", containerName, containerPort, advancedConfiguration: advanced } = each;
    if (!advanced?.alternateTargetGroupArn) return targetGroupArn;
    const alternate = advanced.alternateTargetGroupArn;
    const match = serving.find((other) => other.containerName === containerName && other.containerPort === containerPort) ?? serving[index];
    const served = match?.targetGroupArn;
    // A rolling update takes the place of what serves.
    if (!shiftsTraffic(strategy)) return served === alternate ? alternate : targetGroupArn;
    const own = served === targetGroupArn ? alternate : targetGroupArn;
    const other = served ?? alternate;
    if (advanced.productionListenerRule)
      routes.push({
        targetGroup: own,
        otherTargetGroup: other,
        production: advanced.productionListenerRule,
        ...(advanced.testListenerRule ? { test: advanced.testListenerRule } : {}),
      });
    return own;
  });
  return { targetGroups, routes };
}
