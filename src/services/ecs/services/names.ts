import type { Scope } from "#model/ecs-keys.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { formatArn, parseArn } from "#model/arn.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import { ApiError } from "#api/contract.ts";
import { clusterName } from "../tasks/lookup.ts";

export const serviceArns = {
  service: (scope: Scope, cluster: string, name: string) => formatArn({ service: "ecs", ...scope, resource: `service/${cluster}/${name}` }),
  revision: (scope: Scope, cluster: string, name: string, id: string) =>
    formatArn({ service: "ecs", ...scope, resource: `service-revision/${cluster}/${name}/${id}` }),
  deployment: (scope: Scope, cluster: string, name: string, id: string) =>
    formatArn({ service: "ecs", ...scope, resource: `service-deployment/${cluster}/${name}/${id}` }),
  taskSet: (scope: Scope, cluster: string, name: string, id: string) =>
    formatArn({ service: "ecs", ...scope, resource: `task-set/${cluster}/${name}/${id.slice(id.lastIndexOf("/") + 1)}` }),
};

export const serviceErrors = {
  notFound: () => new ApiError("ServiceNotFoundException", "Service not found."),
  notActive: () => new ApiError("ServiceNotActiveException", "Service was not ACTIVE."),
  deploymentNotFound: () => new ApiError("ServiceDeploymentNotFoundException", "Service deployment not found."),
  taskSetNotFound: () => new ApiError("TaskSetNotFoundException", "The specified task set wasn't found."),
  conflict: (message: string) => new ApiError("ConflictException", message),
};

/** The name in a service's name or ARN; undefined for what can name no service of the cluster. */
export function serviceName(scope: Scope, cluster: string, text: string): string | undefined {
  if (!text.startsWith("arn:")) return /^[A-Za-z0-9_-]{1,255}$/.test(text) ? text : undefined;
  const arn = parseArn(text);
  const [kind, ...names] = arn?.resource.split("/") ?? [];
  if (arn?.service !== "ecs" || kind !== "service" || arn.account !== scope.account || arn.region !== scope.region) return undefined;
  if (names.length === 2 && names[0] !== cluster) return undefined;
  const name = names.at(-1);
  return name !== undefined && names.length <= 2 && /^[A-Za-z0-9_-]{1,255}$/.test(name) ? name : undefined;
}

/** The service of this name or ARN, whatever its status. Throws ServiceNotFoundException. */
export async function findService(store: Pick<Store, "get">, scope: Scope, cluster: string, text: string): Promise<ServiceRecord> {
  const name = serviceName(scope, cluster, text);
  const record = name === undefined ? undefined : (await store.get<ServiceRecord>(ecsKeys.service(scope, cluster, name)))?.value;
  if (!record) throw serviceErrors.notFound();
  return record;
}

/** `…:<kind>/<cluster>/<service>/<id>` of this account and region; undefined for anything else. */
export function parseServicePart(scope: Scope, kind: "service-deployment" | "service-revision", text: string) {
  const arn = parseArn(text);
  const [named, cluster, service, id, ...more] = arn?.resource.split("/") ?? [];
  if (arn?.service !== "ecs" || named !== kind || arn.account !== scope.account || arn.region !== scope.region) return undefined;
  if (clusterName(scope, cluster) === undefined || !service || !id || more.length > 0) return undefined;
  return { cluster: cluster!, service, id };
}

/** `count` random decimal digits, the first not 0. */
export function digits(random: Random, count: number): string {
  let text = BigInt(`0x1${random.hex(count)}`).toString();
  text = text.slice(1).replace(/^0+/, "");
  return `${(Number(text[0] ?? 0) % 9) + 1}${text.slice(1)}`.padEnd(count, "7").slice(0, count);
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** As in the ARNs of service deployments. */
export function shortId(random: Random): string {
  return Array.from({ length: 21 }, () => letters[Math.floor(random.next() * letters.length)]).join("");
}
