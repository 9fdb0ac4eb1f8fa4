import type { InstanceIdentity, InstanceReport, InstanceReportMessage, LocalInstance } from "#agent-protocol/instances.ts";
import { ecsKeys, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { InstanceObservation, InstanceRecord, KeyPairRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord, SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Entry, Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followChanges, followView } from "../feed.ts";
import type { Link, Links } from "../links.ts";
import { putInstance } from "../nodes.ts";
import { clusterQueue } from "../task-writes.ts";
import { changeVpc } from "../vpc/make-vpc.ts";
import { createInstanceCredentials } from "./credentials.ts";
import { runsInstances } from "./hosts.ts";
import { finishTermination, terminate } from "./launch.ts";
import { localInstanceOf } from "./local.ts";

/**
 * Finds a machine for each EC2 instance, tells the machines' agents of their instances, whole, and writes down what they say of them. The record is the intent; the
 * agent's report the observation; an instance that is to go is gone when its agent does not name it any more, or has gone itself.
 */
export interface InstanceReconciler {
  start(): void;
  stop(): Promise<void>;
  connectionChanged(instance: string): void;
  report(instance: string, link: Link, message: InstanceReportMessage): void;
  /** The private address of an instance, for load balancers: undefined for machines that are no instances of EC2. */
  addressOf(instanceId: string): string | undefined;
}

const coalesceMs = 20;
const passMs = 60_000;
/** A terminated instance is shown for so long. */
const shownMs = 3_600_000;

interface Known {
  readonly scope: Scope;
  readonly record: InstanceRecord;
}

export function createInstanceReconciler(options: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly links: Links;
  readonly sealer: Sealer;
  readonly config: { readonly taskCredentialsSeconds: number };
  /** An instance's address has come or gone. */
  readonly changed?: () => void;
  /** Nothing runs any more on the machine of this container instance (its key). Called again with each look. */
  readonly gone?: (containerInstance: string) => void;
}): InstanceReconciler {
  const { store, writer, clock, random, log, links } = options;
  const abort = new AbortController();
  let known = new Map<string, Known>();
  let read = false;
  /** Connected machines that can run instances, with their memory. */
  const hosts = new Map<string, { readonly link: Link; readonly memoryMiB: number }>();
  const reports = new Map<string, ReadonlyMap<string, InstanceReport>>();
  const told = new WeakMap<Link, { identities: string; instances: string }>();
  const credentials = createInstanceCredentials(options);
  let cancel: (() => void) | undefined;
  let cancelPass = () => {};
  let work: Promise<void> = Promise.resolve();

  function take(into: Map<string, Known>, key: string, value: unknown): boolean {
    const [, , account, region, kind, id, more] = key.split("/");
    if (!account || !region || !id || more !== undefined || kind !== "instance") return kind === "network-interface" || kind === "key-pair";
    if (value === undefined) into.delete(id);
    else into.set(id, { scope: { account, region }, record: value as InstanceRecord });
    return true;
  }

  function wake(): void {
    if (!read || abort.signal.aborted) return;
    cancel ??= clock.after(coalesceMs, () => {
      cancel = undefined;
      work = work.then(async () => {
        try {
          await pass();
        } catch (error) {
          if (abort.signal.aborted) return;
          log.warn({ err: error }, "instances could not be reconciled, it is tried again");
          clock.after(1_000, wake);
        }
      });
    });
  }

  async function pass(): Promise<void> {
    if (abort.signal.aborted) return;
    options.changed?.();
    const now = clock.now();
    for (const { scope, record } of [...known.values()]) {
      if (record.terminatedAt !== undefined) {
        if (record.terminatedAt + shownMs <= now) await forget(scope, record);
      } else if (record.node === undefined) await assign(scope, record);
      else await observe(scope, record);
    }
    credentials.keep((id) => known.has(id));
    for (const host of hosts.keys()) await tell(host);
  }

  /** The machine with the fewest instances that is large enough. */
  async function assign(scope: Scope, record: InstanceRecord): Promise<void> {
    if (record.desired === "terminated") {
      await changeVpc(writer, scope, (unit) => finishTermination(unit, scope, record, clock.now()));
      return;
    }
    const needed = instanceTypes.get(record.instanceType)?.memoryMiB ?? 0;
    const load = (host: string) =>
      [...known.values()].filter((each) => each.record.node === host && each.record.terminatedAt === undefined).length;
    const [host] = [...hosts]
      .filter(([, { memoryMiB }]) => memoryMiB >= needed)
      .map(([key]) => ({ key, load: load(key) }))
      .toSorted((a, b) => a.load - b.load || (a.key < b.key ? -1 : 1));
    if (!host) return;
    const next = await changeVpc(writer, scope, async (unit) => {
      const key = vpcKeys.one(scope, "instance", record.id);
      const current = await unit.get<InstanceRecord>(key);
      if (!current || current.node !== undefined || current.desired === "terminated") return undefined;
      const eniKey = vpcKeys.one(scope, "network-interface", current.networkInterfaceId);
      const eni = await unit.get<NetworkInterfaceRecord>(eniKey);
      if (eni) unit.put(eniKey, { ...eni, instance: { node: host.key } } satisfies NetworkInterfaceRecord);
      const placed = { ...current, node: host.key };
      unit.put(key, placed);
      return placed;
    });
    if (next) known.set(next.id, { scope, record: next });
  }

  /** What its machine says of it, or that its machine is gone. */
  async function observe(scope: Scope, record: InstanceRecord): Promise<void> {
    const host = record.node!;
    const said = reports.get(host);
    if (!said) {
      if (!(await isGone(host))) return;
      await end(scope, record, { code: "Server.InternalError", message: "Server.InternalError: the machine of the instance is gone" });
      return;
    }
    const report = said.get(record.id);
    if (!report) {
      if (record.desired === "terminated") await end(scope, record);
      return;
    }
    const seen: Omit<InstanceObservation, "at"> = {
      state: report.state,
      boot: report.boot,
      ready: report.ready,
      ...(report.reason === undefined ? {} : { reason: report.reason }),
    };
    // One that is to be terminated is deregistered in a moment, which says so.
    const over = (report.state === "ended" || report.state === "stopped") && report.boot === record.boot;
    if (over && record.desired !== "terminated")
      for (const { key: containerInstance } of await containerInstancesOf(scope, record.id)) options.gone?.(containerInstance);
    const key = vpcKeys.one(scope, "instance-observed", record.id);
    const before = (await store.get<InstanceObservation>(key))?.value;
    const changed =
      !before || before.state !== seen.state || before.boot !== seen.boot || before.ready !== seen.ready || before.reason !== seen.reason;
    const ended = report.state === "ended" && report.boot === record.boot && record.desired === "running";
    if (!changed && !ended) return;
    const kept = report.console ?? before?.console;
    await changeVpc(writer, scope, async (unit) => {
      const current = await unit.get<InstanceRecord>(vpcKeys.one(scope, "instance", record.id));
      if (!current || current.terminatedAt !== undefined) return;
      unit.put(key, { ...seen, at: clock.now(), ...(kept === undefined ? {} : { console: kept }) } satisfies InstanceObservation);
      if (!ended || current.desired !== "running" || current.boot !== report.boot) return;
      const reason = { code: "Client.InstanceInitiatedShutdown", message: "Client.InstanceInitiatedShutdown: Instance initiated shutdown" };
      if (current.shutdownBehavior === "terminate") terminate(unit, scope, current, clock.now(), reason);
      else
        unit.put(vpcKeys.one(scope, "instance", record.id), {
          ...current,
          desired: "stopped",
          reason: { ...reason, at: clock.now() },
        } satisfies InstanceRecord);
    });
  }

  async function isGone(host: string): Promise<boolean> {
    const record = (await store.get<ContainerInstanceRecord>(host))?.value;
    return !record || record.status === "INACTIVE";
  }

  async function end(scope: Scope, record: InstanceRecord, reason?: { code: string; message: string }): Promise<void> {
    await changeVpc(writer, scope, async (unit) => {
      const current = await unit.get<InstanceRecord>(vpcKeys.one(scope, "instance", record.id));
      if (!current) return;
      const next = terminate(unit, scope, current, clock.now(), reason);
      await finishTermination(unit, scope, next, clock.now());
    });
    await deregister(scope, record.id);
  }

  async function containerInstancesOf(scope: Scope, ec2InstanceId: string): Promise<readonly Entry<ContainerInstanceRecord>[]> {
    const { entries } = await store.list<ContainerInstanceRecord>(`${ecsKeys.root(scope)}/container-instance/`);
    return entries.filter(({ value }) => value.ec2InstanceId === ec2InstanceId && value.status !== "INACTIVE");
  }

  /** Source: ECS Developer Guide, "Deregistering an Amazon EC2 backed container instance": one that is terminated is deregistered by itself. */
  async function deregister(scope: Scope, ec2InstanceId: string): Promise<void> {
    for (const { value } of await containerInstancesOf(scope, ec2InstanceId)) {
      await writer.run(clusterQueue(scope, value.cluster), async (unit) => {
        const current = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, value.cluster, value.id));
        if (!current || current.status === "INACTIVE") return;
        await putInstance(unit, scope, {
          ...current,
          status: "INACTIVE",
          statusReason: `Host EC2 (instance ${ec2InstanceId}) terminated.`,
          version: current.version + 1,
        });
      });
    }
  }

  async function forget(scope: Scope, { id }: InstanceRecord): Promise<void> {
    await changeVpc(writer, scope, async (unit) => {
      unit.delete(vpcKeys.one(scope, "instance", id));
      unit.delete(vpcKeys.one(scope, "instance-observed", id));
    });
  }

  async function tell(host: string): Promise<void> {
    const { link } = hosts.get(host) ?? {};
    if (!link || links.get(host) !== link) return;
    const instances: LocalInstance[] = [];
    const identities: InstanceIdentity[] = [];
    for (const { scope, record } of known.values()) {
      if (record.node !== host || record.terminatedAt !== undefined) continue;
      const local = await localOf(scope, record);
      if (!local) continue;
      instances.push(local);
      identities.push(await credentials.of(scope, record));
    }
    const byId = (a: { readonly instanceId: string }, b: { readonly instanceId: string }) => (a.instanceId < b.instanceId ? -1 : 1);
    instances.sort(byId);
    identities.sort(byId);
    if (links.get(host) !== link) return;
    const before = told.get(link);
    const now = { identities: JSON.stringify(identities), instances: JSON.stringify(instances) };
    told.set(link, now);
    // First who they are: an instance that boots has it.
    if (before?.identities !== now.identities)
      link.send({ type: "InstanceCredentialsMessage", message: { messageId: random.uuid(), instances: identities } });
    if (before?.instances !== now.instances) link.send({ type: "InstanceStateMessage", message: { messageId: random.uuid(), instances } });
  }

  async function localOf(scope: Scope, record: InstanceRecord): Promise<LocalInstance | undefined> {
    const get = async <T>(kind: "network-interface" | "subnet" | "vpc", id: string) =>
      (await store.get<T>(vpcKeys.one(scope, kind, id)))?.value;
    const keys =
      record.keyName === undefined
        ? []
        : (await store.list<KeyPairRecord>(vpcKeys.of(scope, "key-pair"))).entries.map(({ value }) => value);
    return localInstanceOf(scope, record, {
      eni: await get<NetworkInterfaceRecord>("network-interface", record.networkInterfaceId),
      subnet: await get<SubnetRecord>("subnet", record.subnetId),
      vpc: await get<VpcRecord>("vpc", record.vpcId),
      key: keys.find(({ name }) => name === record.keyName),
    });
  }

  async function connected(instance: string, link: Link): Promise<void> {
    const record = (await store.get<ContainerInstanceRecord>(instance))?.value;
    if (!record || !runsInstances(record) || links.get(instance) !== link) return;
    hosts.set(instance, { link, memoryMiB: record.registeredResources.memory });
    wake();
  }

  function periodically(): void {
    cancelPass = clock.after(Math.min(passMs, credentials.lookMs), () => {
      wake();
      periodically();
    });
  }

  let following: Promise<unknown> = Promise.resolve();
  return {
    start() {
      const follow = { store, clock, log, signal: abort.signal };
      // Profiles and their roles: any change of IAM's.
      const iam = followChanges({
        ...follow,
        prefix: iamKeys.changes,
        async behind() {
          wake();
          return (await store.list(iamKeys.changes)).revision;
        },
        changed: wake,
      });
      const ec2 = followView({
        ...follow,
        prefix: vpcKeys.everything,
        empty: () => new Map<string, Known>(),
        put: (next, key, value) => void take(next, key, value),
        whole(next) {
          known = next;
          read = true;
          wake();
        },
        changed(key, value) {
          if (take(known, key, value)) wake();
        },
      });
      following = Promise.all([iam, ec2]);
      periodically();
    },
    async stop() {
      abort.abort();
      cancel?.();
      cancelPass();
      await following;
      await work;
    },
    connectionChanged(instance) {
      const link = links.get(instance);
      hosts.delete(instance);
      reports.delete(instance);
      if (link && parseEcsKey(instance))
        connected(instance, link).catch((error: unknown) =>
          log.error({ err: error, instance }, "whether the machine runs instances could not be read"),
        );
      else wake();
    },
    report(instance, link, { instances }) {
      if (links.get(instance) !== link || !Array.isArray(instances)) return;
      reports.set(instance, new Map(instances.map((each) => [each.instanceId, each])));
      wake();
    },
    addressOf: (instanceId) => {
      const found = known.get(instanceId)?.record;
      return found && found.terminatedAt === undefined ? found.privateIp : undefined;
    },
  };
}
