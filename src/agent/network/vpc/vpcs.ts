import type { ElasticNetworkInterface, VpcState } from "#agent-protocol/vpc.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Attachment, PortBinding } from "../../task/state.ts";
import { laterMs } from "../spares.ts";
import { formatSubnet, type AddressPool } from "../addresses.ts";
import { command } from "../commands.ts";
import { jsonInside, namespacesWith } from "./inside.ts";
import { emptyState, KnownVpcs, type Caller, type Memory } from "./known.ts";
import { PublicAddresses } from "./public-addresses.ts";
import { Vpc, type Place } from "./vpc.ts";

/**
 * The VPCs of this machine's tasks. What each is to be comes from the control plane (`update`, kept over restarts); a VPC's namespace is made
 * with its first interface and removed some time after its last. A task's namespace is shared by its containers: it goes with the last of them.
 */
export interface Vpcs {
  update(states: readonly VpcState[]): Promise<void>;
  /** The task's place, the same for each of its containers. */
  allocate(task: string, container: string, network: ElasticNetworkInterface, bindings: readonly PortBinding[]): Attachment;
  /** Waits until the control plane has named the interface. Safe to repeat. */
  attach(attachment: Attachment, signal?: AbortSignal): Promise<void>;
  /** Safe to repeat. */
  detach(attachment: Attachment): Promise<void>;
  adopt(attachment: Attachment): void;
  /** Before the bridge's addresses are given out. */
  reserve(pool: AddressPool): void;
  /** Once the bridge stands: the journaled attachments stand again, and nothing else. */
  reconcile(): Promise<void>;
  /** Resolves when the VPC stands as the control plane said last, or after a few seconds all the same; returns its namespace's name. */
  stands(vpcId: string): Promise<string>;
  /** What the control plane said last. */
  known(): readonly VpcState[];
  /** Makes again what somebody else removed. */
  refresh(): Promise<void>;
  /** The machine's ends of the VPCs' uplinks. */
  uplinks(): readonly string[];
  /** Whose address this is: of a task as the machine knows it. */
  who(transit: string): Caller | undefined;
  readonly publicAddresses: PublicAddresses;
  devices(attachment: Attachment): Promise<readonly number[] | undefined>;
  tearDown(): Promise<void>;
  close(): Promise<void>;
}

export interface VpcsOptions {
  readonly instance: string;
  readonly bridge: string;
  readonly table: string;
  readonly pool: () => AddressPool;
  readonly linkOf: (address: string) => string;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** How long a VPC without interfaces stays: the next task of it often comes soon. */
const lingerMs = 2_000;
const freshMs = 200;
const patienceMs = 5_000;

interface Held {
  readonly place: Place;
  readonly task: string;
  readonly containers: Set<string>;
  vpcId?: string;
  ready?: Promise<void>;
}

export function createVpcs(options: VpcsOptions): Vpcs {
  const { instance, memory, clock, log } = options;
  const prefix = `gantry-${instance}-vpc-`;
  const taskPrefix = `gantry-${instance}-eni-`;
  const vpcs = new Map<string, Vpc>();
  const closing = new Map<string, Promise<void>>();
  const held = new Map<string, Held>();
  const known = new KnownVpcs(memory, clock);
  const removals = new KeyTimers(clock);
  const counted = new Map<string, { at: number; devices: ReturnType<Vpc["devices"]> }>();
  const publicAddresses = new PublicAddresses(options.bridge, options.table, log);
  let uplinkAddresses: Record<string, string> = {};
  let mtu = 1500;
  let over = false;
  let updating: Promise<unknown> = Promise.resolve();

  const namespaceOf = (vpcId: string) => `gantry-${instance}-${vpcId}`;
  const linkOf = (transit: string) => `t${options.linkOf(transit).slice(-4)}`;
  const keepUplinks = () =>
    memory.set("vpc-uplinks", Object.keys(uplinkAddresses).length > 0 ? JSON.stringify(uplinkAddresses) : undefined);

  /** The VPC, in memory; nothing is made yet. */
  const vpcOf = (state: VpcState): Vpc => {
    const there = vpcs.get(state.vpcId);
    if (there) return there;
    const pool = options.pool();
    let address = uplinkAddresses[state.vpcId];
    if (!address) {
      address = uplinkAddresses[state.vpcId] = pool.take();
      keepUplinks();
    }
    const vpc = new Vpc(
      {
        id: state.vpcId,
        namespace: namespaceOf(state.vpcId),
        link: options.linkOf(address),
        address,
        bridge: { name: options.bridge, subnet: formatSubnet(pool.subnet), gateway: pool.gateway },
        mtu,
        linkOf,
        newPlace: () => ({ namespace: taskPrefix + options.random.hex(6), address: pool.take() }),
        dropPlace: async ({ namespace, address: transit }) => {
          if ((await namespacesWith(namespace)).length > 0) await deleteNamespace(namespace);
          pool.give(transit);
        },
        clock,
        log,
      },
      state,
    );
    vpcs.set(state.vpcId, vpc);
    return vpc;
  };

  /** What the machine itself must know: public addresses of the interfaces that stand. */
  const publish = () => publicAddresses.set(publicOf());

  const lives = (vpcId: string) =>
    (known.get(vpcId)?.interfaces.length ?? 0) > 0 || [...held.values()].some((each) => each.vpcId === vpcId);

  const removeLater = (vpcId: string) => {
    removals.atLatest(vpcId, lingerMs, () => {
      if (!lives(vpcId))
        void remove(vpcId).catch((error: unknown) => log.warn({ err: error, vpcId }, "the VPC's namespace could not be removed"));
    });
  };

  const remove = (vpcId: string): Promise<void> => {
    const vpc = vpcs.get(vpcId);
    if (!vpc) return closing.get(vpcId) ?? Promise.resolve();
    vpcs.delete(vpcId);
    const done = (async () => {
      const left = await vpc.stop();
      await vpc.remove();
      for (const { namespace, address } of left) {
        await deleteNamespace(namespace);
        options.pool().give(address);
      }
      options.pool().give(vpc.options.address);
      delete uplinkAddresses[vpcId];
      keepUplinks();
    })().finally(() => closing.delete(vpcId));
    closing.set(vpcId, done);
    return done;
  };

  /** The VPC with its namespace made. */
  const opened = async (state: VpcState): Promise<Vpc> => {
    while (closing.has(state.vpcId)) await closing.get(state.vpcId)?.catch(() => {});
    const vpc = vpcOf(known.get(state.vpcId) ?? state);
    await vpc.open();
    return vpc;
  };

  const build = async (each: Held, { vpc: state, networkInterface }: Caller): Promise<void> => {
    each.vpcId = state.vpcId;
    const published = networkInterface.publicIp ? publish() : undefined;
    const vpc = await opened(state);
    await vpc.attach(each.place, networkInterface);
    vpc.fillSpares(laterMs);
    await published;
  };

  const deleteNamespace = async (namespace: string) => {
    await command("ip", ["netns", "del", namespace]).catch(async (error: unknown) => {
      if ((await namespacesWith(namespace)).length > 0) throw error;
    });
  };

  const hold = (attachment: Attachment): Held | undefined => {
    const { namespace = "", vpc } = attachment;
    if (!vpc) return undefined;
    const { networkInterfaceId, transit, task, holder } = vpc;
    const each = held.get(namespace) ?? { place: { networkInterfaceId, namespace, transit }, task, containers: new Set<string>() };
    each.containers.add(holder);
    held.set(namespace, each);
    return each;
  };

  /** A VPC and its held interfaces, whatever is left of them on the machine. */
  const restore = async (vpcId: string): Promise<void> => {
    const existing = new Set(await namespacesWith(taskPrefix));
    const vpc = vpcOf(known.get(vpcId) ?? emptyState(vpcId));
    const own = [...held.values()].filter((each) => each.vpcId === vpcId);
    // Before the table is written: what runs is not to miss a packet.
    for (const { place } of own) vpc.places.set(place.networkInterfaceId, place);
    await vpc.open();
    for (const each of own) {
      const caller = known.find(each.place.networkInterfaceId);
      // Without its namespace the task is gone too: it is made again only if it is asked for.
      if (!caller || !existing.has(each.place.namespace)) continue;
      each.ready = vpc.attach(each.place, caller.networkInterface).catch((error: unknown) => {
        each.ready = undefined;
        log.warn({ err: error, networkInterface: each.place.networkInterfaceId }, "the interface could not be mended");
      });
      await each.ready;
    }
    await vpc.sweep();
    await vpc.apply();
    vpc.fillSpares(0);
  };

  const update = async (list: readonly VpcState[]): Promise<void> => {
    const changed = known.replace(list);
    await Promise.all([
      ...changed.map(async (state) => {
        const vpc = vpcs.get(state.vpcId);
        if (vpc) await vpc.update(state);
        // Made before the task asks for it.
        else if (lives(state.vpcId) && !over) (await opened(state)).fillSpares(0);
        if (!lives(state.vpcId)) removeLater(state.vpcId);
      }),
      publish(),
    ]);
  };

  return {
    publicAddresses,
    update(list) {
      const done = update(list);
      updating = done.catch(() => {});
      return done;
    },
    async stands(vpcId) {
      for (const since = clock.now(); clock.now() - since < patienceMs && !over; await sleep(clock, 20)) {
        await updating;
        if (lives(vpcId) && vpcs.get(vpcId)?.stands) break;
      }
      return namespaceOf(vpcId);
    },
    known: () => known.ids().flatMap((vpcId) => known.get(vpcId) ?? []),
    allocate(task, container, network, bindings) {
      const same = [...held.values()].find((each) => each.task === task);
      const own = () => {
        const vpcId = known.find(network.ec2Id)?.vpc.vpcId;
        const spare = vpcId ? vpcs.get(vpcId)?.takeSpare() : undefined;
        const { namespace, address } = spare ?? { namespace: taskPrefix + options.random.hex(6), address: options.pool().take() };
        return { namespace, transit: address };
      };
      const { namespace, transit } = same?.place ?? own();
      const attachment: Attachment = {
        mode: "awsvpc",
        namespace,
        address: (network.ipv4Addresses.find(({ primary }) => primary) ?? network.ipv4Addresses[0])?.privateAddress,
        bindings,
        vpc: { networkInterfaceId: network.ec2Id, transit, task, holder: container },
      };
      hold(attachment);
      return attachment;
    },
    async attach(attachment, signal) {
      const each = hold(attachment);
      if (!each) return;
      const caller = await known.named(each.place.networkInterfaceId, signal);
      each.ready ??= build(each, caller).catch((error: unknown) => {
        each.ready = undefined;
        throw error;
      });
      await each.ready;
    },
    async detach(attachment) {
      const { namespace = "", vpc: of } = attachment;
      if (!of) return;
      const each = held.get(namespace);
      each?.containers.delete(of.holder);
      if (each && each.containers.size > 0) return;
      held.delete(namespace);
      await each?.ready?.catch(() => {});
      const vpc = each?.vpcId ? vpcs.get(each.vpcId) : undefined;
      await Promise.all([each && vpc?.detach(each.place), publish()]);
      if ((await namespacesWith(namespace)).length > 0) await deleteNamespace(namespace);
      if (!each) return;
      options.pool().give(of.transit);
      if (each.vpcId && !lives(each.vpcId)) removeLater(each.vpcId);
    },
    adopt: (attachment) => void hold(attachment),
    reserve(pool) {
      known.restore(log);
      uplinkAddresses = JSON.parse(memory.get("vpc-uplinks") ?? "{}") as Record<string, string>;
      for (const address of [...Object.values(uplinkAddresses), ...[...held.values()].map(({ place }) => place.transit)])
        pool.reserve(address);
      publicAddresses.begin(publicOf());
    },
    async reconcile() {
      mtu = await machineMtu();
      const found = (await namespacesWith(prefix)).map((name) => name.slice(`gantry-${instance}-`.length));
      // Where each link is, also of interfaces that the control plane has forgotten meanwhile.
      for (const vpcId of found) {
        const links = await jsonInside<{ ifname: string }>(namespaceOf(vpcId), ["link", "show"]).catch(() => []);
        for (const each of held.values()) if (links.some(({ ifname }) => ifname === linkOf(each.place.transit))) each.vpcId = vpcId;
      }
      for (const each of held.values()) each.vpcId ??= known.find(each.place.networkInterfaceId)?.vpc.vpcId;
      const names = new Set([...found, ...known.ids(), ...Object.keys(uplinkAddresses)]);
      for (const vpcId of names) {
        if (lives(vpcId)) continue;
        const state = emptyState(vpcId);
        vpcOf(state);
        await remove(vpcId);
      }
      await publicAddresses.routes();
      for (const vpcId of names) {
        if (!lives(vpcId)) continue;
        await restore(vpcId);
      }
      const existing = await namespacesWith(taskPrefix);
      for (const namespace of existing) if (!held.has(namespace)) await deleteNamespace(namespace);
    },
    async refresh() {
      const there = new Set(await namespacesWith(prefix));
      for (const [vpcId, vpc] of [...vpcs]) {
        if (!vpc.stands || there.has(namespaceOf(vpcId)) || over) continue;
        log.warn({ vpcId }, "somebody removed the VPC's namespace: it is made again");
        vpcs.delete(vpcId);
        for (const spare of await vpc.stop()) await vpc.options.dropPlace(spare);
        if (lives(vpcId)) await restore(vpcId);
      }
    },
    uplinks: () => [...vpcs.values()].map((vpc) => vpc.options.link),
    who(transit) {
      for (const { place } of held.values()) if (place.transit === transit) return known.find(place.networkInterfaceId);
      return undefined;
    },
    async devices({ namespace = "", vpc: of }) {
      const vpcId = held.get(namespace)?.vpcId;
      const vpc = vpcId ? vpcs.get(vpcId) : undefined;
      if (!of || !vpcId || !vpc) return undefined;
      let last = counted.get(vpcId);
      if (!last || clock.now() - last.at > freshMs) counted.set(vpcId, (last = { at: clock.now(), devices: vpc.devices() }));
      return (await last.devices.catch(() => undefined))?.get(linkOf(of.transit));
    },
    async tearDown() {
      over = true;
      removals.stop();
      held.clear();
      known.replace([]);
      for (const vpcId of vpcs.keys()) await remove(vpcId);
      await Promise.all(closing.values());
      for (const name of await namespacesWith(taskPrefix)) await deleteNamespace(name);
      for (const name of await namespacesWith(prefix)) await deleteNamespace(name);
      await publicAddresses.set(new Map());
      memory.set("vpc-uplinks", undefined);
    },
    async close() {
      over = true;
      removals.stop();
      await Promise.all(closing.values());
      for (const vpc of vpcs.values()) for (const { namespace } of await vpc.stop()) await deleteNamespace(namespace).catch(() => {});
    },
  };

  function publicOf(): Map<string, string> {
    const wanted = new Map<string, string>();
    for (const { place } of held.values()) {
      const publicIp = known.find(place.networkInterfaceId)?.networkInterface.publicIp;
      if (publicIp) wanted.set(publicIp, place.transit);
    }
    return wanted;
  }
}

/** Of the device by which this machine reaches others: what is larger would be cut there. */
async function machineMtu(): Promise<number> {
  const routes = JSON.parse((await command("ip", ["-4", "-j", "route", "show", "default"]).catch(() => "")) || "[]") as { dev?: string }[];
  const device = routes[0]?.dev;
  if (!device) return 1500;
  const [link] = JSON.parse((await command("ip", ["-j", "link", "show", "dev", device]).catch(() => "")) || "[]") as { mtu?: number }[];
  return Math.min(9001, Math.max(1280, link?.mtu ?? 1500));
}
