import type { DeploymentConfiguration, DeploymentLifecycleHook } from "@aws-sdk/client-ecs";
import { hookStages, type LifecycleStage, shiftsTraffic, unpausableStages } from "#model/lifecycle-stages.ts";
import type { DeploymentConfigurationRecord } from "#model/service-records.ts";
import type { Config } from "#platform/config.ts";
import { ecsErrors } from "../errors.ts";
import { hookUrl } from "./lifecycle-hooks.ts";

/** What a deployment strategy accepts. Source: ECS API Reference, DeploymentConfiguration, LinearConfiguration, CanaryConfiguration, DeploymentLifecycleHook. */
const { invalid } = ecsErrors;
const strategies = ["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"];

export function checkStrategy(
  given: DeploymentConfiguration | undefined,
  scheduling: "REPLICA" | "DAEMON",
  before: DeploymentConfigurationRecord | undefined,
): void {
  const strategy = given?.strategy ?? before?.strategy ?? "ROLLING";
  if (!strategies.includes(strategy)) throw invalid(`The deployment strategy must be one of ${strategies.join(", ")}.`);
  const shifts = shiftsTraffic(strategy);
  if (shifts && scheduling === "DAEMON")
    throw invalid(`The daemon scheduling strategy does not support the ${strategy} deployment strategy.`);
  checkMinutes("bakeTimeInMinutes", given?.bakeTimeInMinutes);
  const { linearConfiguration: linear, canaryConfiguration: canary } = given ?? {};
  if (linear) {
    if (strategy !== "LINEAR") throw invalid("linearConfiguration is supported with the LINEAR deployment strategy only.");
    checkPercent("stepPercent", linear.stepPercent, 3);
    checkMinutes("stepBakeTimeInMinutes", linear.stepBakeTimeInMinutes);
  }
  if (canary) {
    if (strategy !== "CANARY") throw invalid("canaryConfiguration is supported with the CANARY deployment strategy only.");
    checkPercent("canaryPercent", canary.canaryPercent, 0.1);
    checkMinutes("canaryBakeTimeInMinutes", canary.canaryBakeTimeInMinutes);
  }
  if (given?.lifecycleHooks?.length && !shifts)
    throw invalid(`Deployment lifecycle hooks are not supported with the ${strategy} deployment strategy.`);
  for (const hook of given?.lifecycleHooks ?? []) checkHook(hook);
}

/** A proxy's endpoints are whatever runs: it knows no blue and green, and would send requests to both. */
export function checkStrategyWithConnect(
  strategy: string | undefined,
  connect: { readonly enabled?: boolean | undefined } | undefined,
): void {
  if (connect?.enabled && shiftsTraffic(strategy))
    throw ecsErrors.notYet(`the deployment strategy ${strategy} of a service with Service Connect`);
}

function checkMinutes(name: string, minutes: number | undefined): void {
  if (minutes !== undefined && (!Number.isInteger(minutes) || minutes < 0 || minutes > 1440))
    throw invalid(`${name} must be an integer between 0 and 1440.`);
}

function checkPercent(name: string, percent: number | undefined, least: number): void {
  if (percent === undefined) return;
  const tenths = percent * 10;
  if (!(percent >= least && percent <= 100) || Math.abs(tenths - Math.round(tenths)) > 1e-6)
    throw invalid(`${name} must be a multiple of 0.1 between ${least.toFixed(1)} and 100.0.`);
}

function checkHook({ targetType, hookTargetArn, lifecycleStages, hookDetails, timeoutConfiguration }: DeploymentLifecycleHook): void {
  const pause = targetType === "PAUSE";
  if (targetType !== undefined && targetType !== "PAUSE" && targetType !== "AWS_LAMBDA")
    throw invalid("targetType of a lifecycle hook must be one of AWS_LAMBDA, PAUSE.");
  if (pause && hookTargetArn !== undefined) throw invalid("hookTargetArn is not supported for PAUSE lifecycle hooks.");
  if (!pause && !/^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,140}(:[A-Za-z0-9$_-]{1,128})?$/.test(hookTargetArn ?? ""))
    throw invalid("hookTargetArn of a lifecycle hook must be the ARN of a Lambda function.");
  if (!lifecycleStages?.length) throw invalid("lifecycleStages of a lifecycle hook cannot be empty.");
  for (const stage of lifecycleStages as readonly LifecycleStage[]) {
    if (!hookStages.includes(stage)) throw invalid(`lifecycleStages of a lifecycle hook must be among ${hookStages.join(", ")}.`);
    if (pause && unpausableStages.includes(stage)) throw invalid(`PAUSE lifecycle hooks cannot be configured at ${stage}.`);
  }
  if (hookDetails !== undefined && (typeof hookDetails !== "object" || hookDetails === null || Array.isArray(hookDetails)))
    throw invalid("hookDetails of a lifecycle hook must be a JSON object.");
  const { timeoutInMinutes: minutes, action } = timeoutConfiguration ?? {};
  if (minutes !== undefined && (!Number.isInteger(minutes) || minutes < 1 || minutes > 20160))
    throw invalid("timeoutInMinutes of a lifecycle hook must be between 1 and 20160.");
  if (action !== undefined && action !== "CONTINUE" && action !== "ROLLBACK")
    throw invalid("The timeout action of a lifecycle hook must be one of CONTINUE, ROLLBACK.");
}

/** That each function has a URL: said now, not at the first deployment that needs it. */
export async function checkHookTargets(config: Config, given: DeploymentConfiguration | undefined): Promise<void> {
  for (const { hookTargetArn } of given?.lifecycleHooks ?? []) {
    if (hookTargetArn === undefined) continue;
    let url: string | undefined;
    try {
      url = await hookUrl(config, hookTargetArn);
    } catch (error) {
      throw invalid((error as Error).message);
    }
    if (url === undefined)
      throw invalid(
        `Gantry calls no Lambda functions: give GANTRY_LIFECYCLE_HOOKS a URL for ${hookTargetArn} (docs/decisions/0019-deployment-strategies.md).`,
      );
  }
}
