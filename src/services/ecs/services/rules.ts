import type {
  CreateServiceRequest,
  CreateTaskSetRequest,
  DeploymentConfiguration,
  TaskDefinition,
  UpdateServiceRequest,
} from "@aws-sdk/client-ecs";
import { shiftsTraffic } from "#model/lifecycle-stages.ts";
import type { ClusterRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import type { DeploymentConfigurationRecord } from "#model/service-records.ts";
import { ecsErrors } from "../errors.ts";
import { compileExpression } from "../tasks/expressions.ts";
import { checkLaunch } from "../tasks/launch-rules.ts";
import { checkDefinition, checkPlacement } from "../tasks/rules.ts";
import { checkStrategy } from "./strategy-rules.ts";

/** What a service accepts. Messages are AWS's where they are known. What is not there yet is refused with 501, so that no service runs other than it was asked for. */
const { invalid, notYet } = ecsErrors;

export function checkServiceName(name: string): void {
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(name))
    throw invalid("Service names can have up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens.");
}

export function checkDesiredCount(count: number | undefined): void {
  if (count !== undefined && (!Number.isInteger(count) || count < 0)) throw invalid("desiredCount must be at least 0.");
}

const defaults = { REPLICA: { minimum: 100, maximum: 200 }, DAEMON: { minimum: 0, maximum: 100 } };

/** AWS's defaults and the given settings, over those before. Throws InvalidParameterException. */
export function deploymentConfiguration(
  given: DeploymentConfiguration | undefined,
  scheduling: "REPLICA" | "DAEMON",
  before?: DeploymentConfigurationRecord,
): DeploymentConfigurationRecord {
  const { minimum, maximum } = defaults[scheduling];
  const minimumHealthyPercent = given?.minimumHealthyPercent ?? before?.minimumHealthyPercent ?? minimum;
  const maximumPercent = given?.maximumPercent ?? before?.maximumPercent ?? maximum;
  if (minimumHealthyPercent < 0) throw invalid("minimumHealthyPercent must be at least 0.");
  if (scheduling === "DAEMON" && maximumPercent !== 100)
    throw invalid("The daemon scheduling strategy does not support values above 100% for maximumPercent.");
  if (maximumPercent < minimumHealthyPercent) throw invalid("MaximumPercent must be greater than or equal to minimumHealthyPercent.");
  if (minimumHealthyPercent === 100 && maximumPercent === 100)
    throw invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.");
  if (maximumPercent < 1) throw invalid("maximumPercent must be at least 1.");
  const breaker = given?.deploymentCircuitBreaker;
  const threshold = breaker?.thresholdConfiguration;
  if (threshold && !(Number.isInteger(threshold.value) && threshold.value! >= 1))
    throw invalid("The circuit breaker's threshold value must be an integer of at least 1.");
  checkStrategy(given, scheduling, before);
  const early = given?.earlySuccessCriteria;
  if (early?.healthyPercent !== undefined && (early.healthyPercent < minimumHealthyPercent || early.healthyPercent > 100))
    throw invalid("healthyPercent must be between minimumHealthyPercent and 100.");
  const rest = JSON.parse(JSON.stringify({ ...before, ...given })) as DeploymentConfigurationRecord;
  return { ...rest, minimumHealthyPercent, maximumPercent };
}

/** What CreateService, UpdateService and CreateTaskSet say about how tasks are made. */
export function checkRevision(
  input: Pick<
    CreateServiceRequest & UpdateServiceRequest & CreateTaskSetRequest,
    | "capacityProviderStrategy"
    | "launchType"
    | "platformVersion"
    | "networkConfiguration"
    | "loadBalancers"
    | "serviceRegistries"
    | "volumeConfigurations"
    | "vpcLatticeConfigurations"
    | "gatewayConnectors"
    | "monitoring"
    | "placementConstraints"
    | "placementStrategy"
  >,
  cluster: ClusterRecord,
  record: TaskDefinitionRecord | undefined,
): void {
  const launchType = checkLaunch(input, cluster);
  if (input.volumeConfigurations?.length) throw notYet("volumeConfigurations");
  if (input.vpcLatticeConfigurations?.length) throw notYet("vpcLatticeConfigurations");
  if (input.gatewayConnectors?.length) throw notYet("gatewayConnectors");
  checkMonitoring(input.monitoring);
  if (record) checkDefinition(record, launchType, input.networkConfiguration);
}

/** Source: ECS API Reference, "MonitoringConfiguration". */
function checkMonitoring(monitoring: CreateServiceRequest["monitoring"]): void {
  const seen = new Set<string>();
  for (const { metricNames = [], resolutionSeconds } of monitoring?.metricConfigurations ?? []) {
    if (resolutionSeconds !== 20 && resolutionSeconds !== 60)
      throw invalid(`The resolution ${resolutionSeconds} is not valid: it is 20 or 60 seconds.`);
    if (metricNames.length === 0) throw invalid("A metric configuration names at least one metric.");
    for (const name of metricNames) {
      if (name !== "CPUUtilization" && name !== "MemoryUtilization")
        throw invalid(`The metric ${name} is not valid: it is CPUUtilization or MemoryUtilization.`);
      if (seen.has(name)) throw invalid(`The metric ${name} is configured twice.`);
      seen.add(name);
    }
  }
}

export function checkCreate(input: CreateServiceRequest, definition: TaskDefinition | undefined): void {
  const daemon = input.schedulingStrategy === "DAEMON";
  const external = input.deploymentController?.type === "EXTERNAL";
  if (input.deploymentController?.type === "CODE_DEPLOY") throw notYet("the deployment controller CODE_DEPLOY");
  checkServiceName(input.serviceName ?? "");
  checkDesiredCount(input.desiredCount);
  if (daemon) {
    if (input.desiredCount) throw invalid("The daemon scheduling strategy does not support a desired count.");
    if (input.placementStrategy?.length) throw invalid("The daemon scheduling strategy does not support placement strategies.");
    if (external) throw invalid("The daemon scheduling strategy is not supported with the EXTERNAL deployment controller.");
    if ((input.placementConstraints ?? []).some(({ type }) => type === "distinctInstance"))
      throw invalid("The daemon scheduling strategy does not support the distinctInstance placement constraint.");
    if (input.availabilityZoneRebalancing === "ENABLED")
      throw invalid("Availability Zone rebalancing does not support the daemon scheduling strategy.");
  } else if (!external && input.desiredCount === undefined)
    throw invalid("DesiredCount is required for services with the REPLICA scheduling strategy.");
  if (external) {
    if (input.taskDefinition !== undefined)
      throw invalid("Task definition is not supported for the EXTERNAL deployment controller: it belongs to the task sets.");
    if (input.loadBalancers?.length || input.launchType || input.capacityProviderStrategy?.length || input.networkConfiguration)
      throw invalid("Launch type, network configuration and load balancers of the EXTERNAL deployment controller belong to the task sets.");
    if (shiftsTraffic(input.deploymentConfiguration?.strategy))
      throw invalid(
        `The ${input.deploymentConfiguration!.strategy} deployment strategy is supported with the ECS deployment controller only.`,
      );
    if (input.deploymentConfiguration?.alarms?.enable)
      throw invalid("Deployment alarms are supported with the ECS deployment controller only.");
  } else if (!definition) throw invalid("TaskDefinition is required.");
  checkPlacementOf(input);
  checkRebalancing(input, input.placementStrategy, input.deploymentConfiguration?.maximumPercent ?? 200);
  checkGrace(input.healthCheckGracePeriodSeconds);
  if (input.clientToken !== undefined && !/^[\x21-\x7e]{1,36}$/.test(input.clientToken))
    throw invalid("clientToken must have 1 to 36 ASCII characters.");
  if ((input.propagateTags as string | undefined) !== undefined && !["SERVICE", "TASK_DEFINITION", "NONE"].includes(input.propagateTags!))
    throw invalid("propagateTags must be one of SERVICE, TASK_DEFINITION, NONE.");
}

export function checkPlacementOf(input: Pick<CreateServiceRequest, "placementConstraints" | "placementStrategy">): void {
  checkPlacement(input);
  for (const { type, expression } of input.placementConstraints ?? []) if (type === "memberOf") compileExpression(expression ?? "");
}

/** Source: ECS Developer Guide, "Balancing an Amazon ECS service across Availability Zones". */
export function checkRebalancing(
  input: { readonly availabilityZoneRebalancing?: string },
  strategy: CreateServiceRequest["placementStrategy"],
  maximumPercent: number,
): void {
  if (input.availabilityZoneRebalancing !== "ENABLED") return;
  if (maximumPercent <= 100) throw invalid("Availability Zone rebalancing needs a maximumPercent above 100.");
  const [first] = strategy ?? [];
  if (first && !(first.type === "spread" && first.field === "attribute:ecs.availability-zone"))
    throw invalid(
      "Availability Zone rebalancing needs the Availability Zone spread as the first placement strategy, or no placement strategy.",
    );
}

export function checkGrace(seconds: number | undefined): void {
  if (seconds !== undefined && (!Number.isInteger(seconds) || seconds < 0 || seconds > 2_147_483_647))
    throw invalid("healthCheckGracePeriodSeconds must be between 0 and 2147483647.");
}
