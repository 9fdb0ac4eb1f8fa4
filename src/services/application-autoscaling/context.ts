import { ApiError, type RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { type Resource, parseResourceId, scalingKeys, type Scope } from "#model/application-autoscaling/keys.ts";
import type { Pace } from "#model/application-autoscaling/alarms.ts";
import type { TargetRecord } from "#model/application-autoscaling/records.ts";
import type { Hand } from "#reconcilers/application-autoscaling/activities.ts";
import { scalingQueue } from "#reconcilers/application-autoscaling/on-alarm.ts";
import type { Writer } from "#store/unit.ts";

export interface ScalingDeps extends ServerDeps {
  readonly writer: Writer;
  readonly pace: Pace;
}

/** What an operation that changes something is given: one transaction. */
export interface Change extends Hand {
  readonly deps: ScalingDeps;
}

export interface Question {
  readonly scope: Scope;
  readonly deps: ScalingDeps;
}

export const changing =
  <I, O>(deps: ScalingDeps, operation: (change: Change, input: I) => Promise<O>) =>
  (input: I, { account, region, now }: RequestContext): Promise<O> => {
    const scope = { account, region };
    return deps.writer.run(scalingQueue(scope), (unit) => operation({ unit, scope, random: deps.random, now, deps }, input));
  };

export const asking =
  <I, O>(deps: ScalingDeps, operation: (question: Question, input: I) => Promise<O>) =>
  (input: I, { account, region }: RequestContext): Promise<O> =>
    operation({ scope: { account, region }, deps }, input);

/** Source: Application Auto Scaling API Reference, each operation's errors. */
export const errors = {
  validation: (message: string) => new ApiError("ValidationException", message),
  notFound: (message: string) => new ApiError("ObjectNotFoundException", message),
  limit: (message: string) => new ApiError("LimitExceededException", message),
  badToken: () => new ApiError("InvalidNextTokenException", "Invalid nextToken"),
  noResource: (arn: string) => new ApiError("ResourceNotFoundException", `Resource not found: ${arn}`, 404, { ResourceName: arn }),
  tooManyTags: (arn: string) => new ApiError("TooManyTagsException", "A scalable target has 50 tags at most.", 400, { ResourceName: arn }),
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
};

/** AWS's sentence of a member that breaks a rule of its shape. */
export const constraint = (member: string, value: unknown, rule: string) =>
  errors.validation(
    `1 validation error detected: Value '${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}' at '${member}' failed to satisfy constraint: Member must ${rule}`,
  );

const namespaces =
  "cassandra comprehend appstream ecs elasticache sagemaker dynamodb custom-resource neptune kafka lambda ec2 rds elasticmapreduce workspaces".split(
    " ",
  );
export const dimension = "ecs:service:DesiredCount";

export function checkNamespace(namespace: string | undefined): void {
  if (namespace === "ecs") return;
  if (!namespaces.includes(namespace ?? ""))
    throw constraint("serviceNamespace", namespace, `satisfy enum value set: [${namespaces.join(", ")}]`);
  throw errors.notYet(`scaling of ${namespace}: of AWS's services only ECS is here`);
}

interface Named {
  readonly ServiceNamespace?: string | undefined;
  readonly ResourceId?: string | undefined;
  readonly ScalableDimension?: string | undefined;
}

const unsupported = () => errors.validation("Unsupported service namespace, resource type or scalable dimension");

export function resourceOf({ ServiceNamespace, ResourceId = "", ScalableDimension }: Named): Resource {
  checkNamespace(ServiceNamespace);
  const resource = parseResourceId(ResourceId);
  if (!resource || ScalableDimension !== dimension) throw unsupported();
  return resource;
}

/** Of the operations that describe: which resource is meant, if any one. */
export function filterOf({ ServiceNamespace, ResourceId, ScalableDimension }: Named): Resource | undefined {
  checkNamespace(ServiceNamespace);
  if (ScalableDimension !== undefined && ResourceId === undefined)
    throw errors.validation("If you specify a scalable dimension, you must also specify a resource ID.");
  if (ScalableDimension !== undefined && ScalableDimension !== dimension) throw unsupported();
  if (ResourceId === undefined) return undefined;
  const resource = parseResourceId(ResourceId);
  if (!resource) throw unsupported();
  return resource;
}

export async function needTarget({ unit, scope }: Change, resource: Resource): Promise<TargetRecord> {
  const target = await unit.get<TargetRecord>(scalingKeys.target(scope, resource));
  if (!target) throw noTarget(resource);
  return target;
}

export const where = ({ cluster, service }: Resource) =>
  `service namespace: ecs, resource ID: service/${cluster}/${service}, scalable dimension: ${dimension}`;
export const noTarget = (resource: Resource) => errors.notFound(`No scalable target registered for ${where(resource)}`);
