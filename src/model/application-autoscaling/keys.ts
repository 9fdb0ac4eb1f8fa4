/** Where Application Auto Scaling keeps what it was told. Only ECS services are scaled here: a resource is a cluster's name and a service's. */
export interface Scope {
  readonly account: string;
  readonly region: string;
}

export interface Resource {
  readonly cluster: string;
  readonly service: string;
}

const at = (kind: string, { account, region }: Scope, ...rest: string[]) =>
  [`/appscaling/${kind}`, account, region, ...rest.map((text) => encodeURIComponent(text))].join("/");

export const scalingKeys = {
  everything: "/appscaling/",
  allTargets: "/appscaling/target/",
  targets: (scope: Scope) => at("target", scope, ""),
  target: (scope: Scope, { cluster, service }: Resource) => at("target", scope, cluster, service),
  /** By the last part of a target's ARN: `TargetTagsRecord`. */
  tags: (scope: Scope, id: string) => at("tags", scope, id),
  policies: (scope: Scope) => at("policy", scope, ""),
  policiesOf: (scope: Scope, { cluster, service }: Resource) => at("policy", scope, cluster, service, ""),
  policy: (scope: Scope, { cluster, service }: Resource, name: string) => at("policy", scope, cluster, service, name),
  allActions: "/appscaling/scheduled-action/",
  actions: (scope: Scope) => at("scheduled-action", scope, ""),
  actionsOf: (scope: Scope, { cluster, service }: Resource) => at("scheduled-action", scope, cluster, service, ""),
  action: (scope: Scope, { cluster, service }: Resource, name: string) => at("scheduled-action", scope, cluster, service, name),
  allActivities: "/appscaling/activity/",
  activities: (scope: Scope) => at("activity", scope, ""),
  activitiesOf: (scope: Scope, { cluster, service }: Resource) => at("activity", scope, cluster, service, ""),
  /** In order of time. */
  activity: (scope: Scope, { cluster, service }: Resource, startedAt: number, id: string) =>
    at("activity", scope, cluster, service, `${String(startedAt).padStart(15, "0")}-${id}`),
  state: (scope: Scope, { cluster, service }: Resource) => at("state", scope, cluster, service),
};

/** The parts of a key of a target, a policy, a scheduled action, an activity or a state. */
export function parseScalingKey(
  key: string,
): { readonly kind: string; readonly scope: Scope; readonly resource: Resource; readonly name?: string } | undefined {
  const [empty, root, kind, account, region, cluster, service, name] = key.split("/");
  if (empty !== "" || root !== "appscaling" || !kind || !account || !region || !cluster || !service) return undefined;
  return {
    kind,
    scope: { account, region },
    resource: { cluster: decodeURIComponent(cluster), service: decodeURIComponent(service) },
    ...(name === undefined ? {} : { name: decodeURIComponent(name) }),
  };
}

export const resourceId = ({ cluster, service }: Resource): string => `service/${cluster}/${service}`;

export function parseResourceId(id: string): Resource | undefined {
  const [, cluster, service] = /^service\/([\w-]{1,255})\/([\w-]{1,255})$/.exec(id) ?? [];
  return cluster === undefined || service === undefined ? undefined : { cluster, service };
}

export const targetArn = ({ account, region }: Scope, id: string): string =>
  `arn:aws:application-autoscaling:${region}:${account}:scalable-target/${id}`;
export const policyArn = ({ account, region }: Scope, resource: Resource, id: string, name: string): string =>
  `arn:aws:autoscaling:${region}:${account}:scalingPolicy:${id}:resource/ecs/${resourceId(resource)}:policyName/${name}`;
export const actionArn = ({ account, region }: Scope, resource: Resource, id: string, name: string): string =>
  `arn:aws:autoscaling:${region}:${account}:scheduledAction:${id}:resource/ecs/${resourceId(resource)}:scheduledActionName/${name}`;

/** The scope, resource and name of a policy by its ARN; undefined for any other ARN. */
export function parsePolicyArn(arn: string): { readonly scope: Scope; readonly resource: Resource; readonly name: string } | undefined {
  const [, region, account, id, name] =
    /^arn:aws:autoscaling:([^:]+):(\d{12}):scalingPolicy:[^:]+:resource\/ecs\/([^:]+):policyName\/(.+)$/.exec(arn) ?? [];
  const resource = id === undefined ? undefined : parseResourceId(id);
  if (!region || !account || !resource || name === undefined) return undefined;
  return { scope: { account, region }, resource, name };
}
