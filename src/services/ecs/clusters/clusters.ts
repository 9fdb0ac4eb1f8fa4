import type {
  Cluster,
  CreateClusterRequest,
  CreateClusterResponse,
  DeleteClusterRequest,
  DeleteClusterResponse,
  DescribeClustersRequest,
  DescribeClustersResponse,
  ListClustersRequest,
  ListClustersResponse,
  PutClusterCapacityProvidersRequest,
  PutClusterCapacityProvidersResponse,
  UpdateClusterRequest,
  UpdateClusterResponse,
  UpdateClusterSettingsRequest,
  UpdateClusterSettingsResponse,
} from "@aws-sdk/client-ecs";
import type { ServiceRecord } from "#model/service-records.ts";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { type EcsDeps, scopeOf, textPage } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import { clusterName, clusterOf } from "../tasks/lookup.ts";
import { checkTags } from "../tasks/tags.ts";
import { makeHttpNamespace, needNamespace } from "#reconcilers/names/namespaces.ts";
import { isHidden } from "#reconcilers/nodes.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { namespaceNotFound } from "../services/service-connect.ts";
import { effectiveSetting } from "../account-settings.ts";
import { checkClusterName, checkConfiguration, checkProviders, checkSettings, checkStrategy } from "./rules.ts";
import { clusterView, type TaskCounts } from "./view.ts";

/** A cluster as it is made: ACTIVE and empty. */
export function newCluster(scope: Scope, name: string, now: number, more: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    arn: ecsArn.cluster(scope, name),
    name,
    status: "ACTIVE",
    createdAt: now,
    settings: [{ name: "containerInsights", value: "disabled" }],
    capacityProviders: [],
    defaultCapacityProviderStrategy: [],
    tags: [],
    ...more,
  };
}

/** Idempotent: an ACTIVE cluster of the name is returned as it is. */
export async function createCluster(deps: EcsDeps, input: CreateClusterRequest, context: RequestContext): Promise<CreateClusterResponse> {
  const scope = scopeOf(context);
  const name = input.clusterName ?? "default";
  checkClusterName(name);
  checkTags(input.tags);
  checkSettings(input.settings);
  checkConfiguration(input.configuration);
  await checkProviders(deps.store, scope, input.capacityProviders);
  checkStrategy(input.defaultCapacityProviderStrategy, input.capacityProviders ?? []);
  const insights = await effectiveSetting(deps.store, scope, context.principal.arn, "containerInsights");
  const record = await deps.writer.run("ecs-clusters", async (unit) => {
    const key = ecsKeys.cluster(scope, name);
    const known = await unit.get<ClusterRecord>(key);
    if (known?.status === "ACTIVE") return known;
    const made = newCluster(scope, name, context.now, {
      settings: [
        { name: "containerInsights", value: input.settings?.find((setting) => setting.name === "containerInsights")?.value ?? insights },
      ],
      configuration: input.configuration,
      capacityProviders: input.capacityProviders ?? [],
      defaultCapacityProviderStrategy: strategyOf(input.defaultCapacityProviderStrategy),
      serviceConnectDefaults: await connectDefaults(unit, scope, input.serviceConnectDefaults, deps.random, context.now),
      tags: (input.tags ?? []).map(({ key: tagKey = "", value = "" }) => ({ key: tagKey, value })),
    });
    unit.put(key, made);
    return made;
  });
  return { cluster: await describe(deps, scope, record, ["SETTINGS", "TAGS", "CONFIGURATIONS"]) };
}

const strategyOf = (strategy: CreateClusterRequest["defaultCapacityProviderStrategy"]) =>
  (strategy ?? []).map(({ capacityProvider, weight = 0, base = 0 }) => ({ capacityProvider, weight, base }));

/** A namespace that is named and not there yet is made. Source: ECS API Reference, ClusterServiceConnectDefaultsRequest. */
async function connectDefaults(
  unit: Unit,
  scope: Scope,
  defaults: CreateClusterRequest["serviceConnectDefaults"],
  random: Random,
  now: number,
): Promise<{ namespace: string } | undefined> {
  const name = defaults?.namespace;
  if (!name) return undefined;
  const found = await needNamespace(unit, scope, name);
  if (found) return { namespace: found.arn };
  if (name.startsWith("arn:")) throw namespaceNotFound(name);
  if (name.length > 1024 || !/^[!-~]+$/.test(name)) throw ecsErrors.invalid(`The namespace name is not valid: ${name}`);
  return { namespace: (await makeHttpNamespace(unit, scope, name, { random, now })).arn };
}

export async function describeClusters(
  deps: EcsDeps,
  input: DescribeClustersRequest,
  context: RequestContext,
): Promise<DescribeClustersResponse> {
  const scope = scopeOf(context);
  const names = input.clusters?.length ? input.clusters : ["default"];
  if (names.length > 100) throw ecsErrors.invalid("Clusters cannot have more than 100 elements.");
  const clusters: Cluster[] = [];
  const failures: DescribeClustersResponse["failures"] = [];
  for (const text of names) {
    const name = clusterName(scope, text);
    const entry = name === undefined ? undefined : await deps.store.get<ClusterRecord>(ecsKeys.cluster(scope, name));
    if (!entry) failures.push({ arn: text.startsWith("arn:") ? text : ecsArn.cluster(scope, text), reason: "MISSING" });
    else clusters.push(await describe(deps, scope, entry.value, input.include ?? []));
  }
  return { clusters, failures };
}

export async function listClusters(deps: EcsDeps, input: ListClustersRequest, context: RequestContext): Promise<ListClustersResponse> {
  const scope = scopeOf(context);
  const { entries } = await deps.store.list<ClusterRecord>(ecsKeys.clusters(scope));
  const arns = entries.filter(({ value }) => value.status === "ACTIVE").map(({ value }) => value.arn);
  const page = textPage(deps, `ListClusters/${ecsKeys.root(scope)}`, arns, input);
  return { clusterArns: [...page.items], nextToken: page.nextToken };
}

export async function updateCluster(deps: EcsDeps, input: UpdateClusterRequest, context: RequestContext): Promise<UpdateClusterResponse> {
  checkSettings(input.settings);
  checkConfiguration(input.configuration);
  return change(deps, input.cluster, context, async (record, unit) => ({
    ...record,
    settings: mergeSettings(record.settings, input.settings),
    configuration: input.configuration ?? record.configuration,
    // An empty namespace takes the default away.
    serviceConnectDefaults: input.serviceConnectDefaults
      ? await connectDefaults(unit, scopeOf(context), input.serviceConnectDefaults, deps.random, context.now)
      : record.serviceConnectDefaults,
  }));
}

export async function updateClusterSettings(
  deps: EcsDeps,
  input: UpdateClusterSettingsRequest,
  context: RequestContext,
): Promise<UpdateClusterSettingsResponse> {
  checkSettings(input.settings);
  return change(deps, input.cluster, context, (record) => ({ ...record, settings: mergeSettings(record.settings, input.settings) }));
}

function mergeSettings(known: ClusterRecord["settings"], given: UpdateClusterSettingsRequest["settings"]): ClusterRecord["settings"] {
  const merged = new Map(known.map(({ name, value }) => [name, value]));
  for (const { name = "", value = "" } of given ?? []) merged.set(name, value);
  return [...merged].map(([name, value]) => ({ name, value }));
}

export async function putClusterCapacityProviders(
  deps: EcsDeps,
  input: PutClusterCapacityProvidersRequest,
  context: RequestContext,
): Promise<PutClusterCapacityProvidersResponse> {
  await checkProviders(deps.store, scopeOf(context), input.capacityProviders);
  checkStrategy(input.defaultCapacityProviderStrategy, input.capacityProviders ?? []);
  return change(deps, input.cluster, context, (record) => ({
    ...record,
    capacityProviders: input.capacityProviders ?? [],
    defaultCapacityProviderStrategy: strategyOf(input.defaultCapacityProviderStrategy),
  }));
}

async function change(
  deps: EcsDeps,
  cluster: string | undefined,
  context: RequestContext,
  to: (record: ClusterRecord, unit: Unit) => ClusterRecord | Promise<ClusterRecord>,
): Promise<{ cluster: Cluster }> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, cluster);
  const record = await deps.writer.run("ecs-clusters", async (unit) => {
    const key = ecsKeys.cluster(scope, name);
    const known = await unit.get<ClusterRecord>(key);
    if (known?.status !== "ACTIVE") throw ecsErrors.clusterNotFound();
    const changed = await to(known, unit);
    unit.put(key, changed);
    return changed;
  });
  return { cluster: await describe(deps, scope, record, ["SETTINGS", "TAGS", "CONFIGURATIONS"]) };
}

/** The cluster becomes INACTIVE and stays describable. Refused while instances or tasks are in it. */
export async function deleteCluster(deps: EcsDeps, input: DeleteClusterRequest, context: RequestContext): Promise<DeleteClusterResponse> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, input.cluster);
  const record = await deps.writer.run("ecs-clusters", async (unit) => {
    const key = ecsKeys.cluster(scope, name);
    const known = await unit.get<ClusterRecord>(key);
    if (known?.status !== "ACTIVE") throw ecsErrors.clusterNotFound();
    const instances = await unit.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, name));
    if ([...instances.values()].some(({ status }) => status !== "INACTIVE")) throw ecsErrors.clusterHasInstances();
    const services = await unit.list<ServiceRecord>(ecsKeys.services(scope, name));
    if ([...services.values()].some(({ status }) => status !== "INACTIVE")) throw ecsErrors.clusterHasServices();
    const observed = await unit.list<TaskObservation>(ecsKeys.tasksObserved(scope, name));
    const tasks = await unit.list<TaskRecord>(ecsKeys.tasks(scope, name));
    const live = [...tasks.values()].some(({ id }) => observed.get(ecsKeys.taskObserved(scope, name, id))?.lastStatus !== "STOPPED");
    if (live) throw ecsErrors.clusterHasTasks();
    const gone: ClusterRecord = { ...known, status: "INACTIVE" };
    unit.put(key, gone);
    return gone;
  });
  return { cluster: await describe(deps, scope, record, []) };
}

async function describe(deps: EcsDeps, scope: Scope, record: ClusterRecord, include: readonly string[]): Promise<Cluster> {
  const [services, instances, tasks, observed] = await Promise.all([
    deps.store.list<ServiceRecord>(ecsKeys.services(scope, record.name)),
    deps.store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, record.name)),
    deps.store.list<TaskRecord>(ecsKeys.tasks(scope, record.name)),
    deps.store.list<TaskObservation>(ecsKeys.tasksObserved(scope, record.name)),
  ]);
  const states = new Map(observed.entries.map(({ key, value }) => [key, value.lastStatus]));
  const counts: Record<string, TaskCounts> = {};
  for (const { value } of tasks.entries) {
    const status = states.get(ecsKeys.taskObserved(scope, record.name, value.id)) ?? "PENDING";
    const { running = 0, pending = 0 } = counts[value.launchType] ?? {};
    if (status === "RUNNING") counts[value.launchType] = { running: running + 1, pending };
    else if (status === "PENDING" || status === "PROVISIONING" || status === "ACTIVATING")
      counts[value.launchType] = { running, pending: pending + 1 };
  }
  const registered = instances.entries.filter(({ value }) => value.status !== "INACTIVE" && !isHidden(value)).length;
  // Every service runs on container instances so far.
  const ofStatus = (status: string) => services.entries.filter(({ value }) => value.status === status).length;
  const ofServices = { EC2: { active: ofStatus("ACTIVE"), draining: ofStatus("DRAINING") } };
  return clusterView(record, { registered, tasks: counts, services: ofServices }, include);
}
