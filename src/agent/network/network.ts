import { readdir, rm } from "node:fs/promises";
import type { ElasticNetworkInterface, VpcState } from "#agent-protocol/vpc.ts";
import { answerZones } from "#model/dns/zone.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { ContainerPlan, TaskPlan } from "../task/plan.ts";
import type { Attachment, PortBinding } from "../task/state.ts";
import { type AddressPool, formatSubnet, parseAddress } from "./addresses.ts";
import { openBridge } from "./bridge.ts";
import { command } from "./commands.ts";
import { balancerText, frontsOf } from "./balancer-rules.ts";
import { connectNamespace, type ConnectRoute } from "./service-connect.ts";
import { acceptForwarding, removeForwarding } from "./forwarding.ts";
import { createDevices } from "./devices.ts";
import { HostPorts } from "./ports.ts";
import { addText, deleteText, tableText } from "./rules.ts";
import { Spares } from "./spares.ts";
import { createResolver } from "./vpc/resolver.ts";
import { createVpcs } from "./vpc/vpcs.ts";

/**
 * The network of this Gantry: one bridge, a namespace for each container, one nftables table. An attachment is decided and journaled
 * first (`allocate`), then made (`attach`), and given back once (`detach`): nothing exists that the journal does not name.
 */
export interface Network {
  /** Throws when a port or the addresses are taken. */
  allocate(plan: TaskPlan, container: ContainerPlan): Attachment;
  /** The same for a place of the machine's own in a VPC, not a task's: `owner` names it. */
  allocateOwn(owner: string, networkInterface: ElasticNetworkInterface): Attachment;
  /** Makes the namespace, and begins to publish its ports. Safe to repeat. In mode awsvpc it waits for the control plane's word of the interface, until the signal aborts. */
  attach(attachment: Attachment, signal?: AbortSignal): Promise<void>;
  /** Resolves when the attachment's host ports lead to it; rejects when somebody else has one. */
  published(attachment: Attachment): Promise<void>;
  /** The aliases of the task's Service Connect lead to its proxy. Safe to repeat. */
  serviceConnect(attachment: Attachment, route: ConnectRoute): Promise<void>;
  /** Safe to repeat. */
  detach(attachment: Attachment): Promise<void>;
  /** An attachment of the journal. Before `reconcile`. */
  adopt(attachment: Attachment): void;
  /** Makes bridge and rules stand as the adopted attachments say, and removes namespaces that none of them names. */
  reconcile(): Promise<void>;
  path(namespace: string): string;
  /** The bridge's own address, or undefined before the first use. */
  readonly gateway: string | undefined;
  counters(attachment: Attachment): Promise<Counters | undefined>;
  /** What the control plane says of this machine's VPCs, whole each time. Resolves when it is so. */
  updateVpcs(states: readonly VpcState[]): Promise<void>;
  /** Resolves when the VPC stands as the control plane said last, or after a few seconds all the same; returns its namespace's name. */
  vpcStands(vpcId: string): Promise<string>;
  /** Docker may have come up after us and dropped our traffic, or somebody removed a VPC: looks, and mends it. */
  refresh(): Promise<void>;
  /** Removes bridge, rules and namespaces. */
  tearDown(): Promise<void>;
  close(): Promise<void>;
}

/** Totals as the container sees them. */
export interface Counters {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface NetworkOptions {
  readonly instance: string;
  readonly dynamicPorts: { readonly first: number; readonly last: number };
  /** Port of the metadata endpoint on the bridge's address. */
  metadataPort(): number;
  /** Of the instance metadata, where tasks in mode bridge may have it. */
  readonly instanceMetadataPort?: number | undefined;
  /** This machine is a local EC2 instance, whose metadata service answers at EC2's own address. */
  readonly isInstance?: boolean | undefined;
  /** The subnet that was chosen, kept over restarts. */
  readonly memory: { get(key: string): string | undefined; set(key: string, value: string | undefined): void };
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Namespaces kept ready for the next containers. */
const spareNamespaces = 4;

export function createNetwork(options: NetworkOptions): Network {
  const { instance, memory, log } = options;
  const bridge = `gantry-${instance}`;
  const table = `gantry_${instance}`;
  const prefix = `gantry-${instance}-`;
  const ports = new HostPorts(options.dynamicPorts);
  const attached = new Map<string, Attachment>();
  const made = new Set<string>();
  const devices = createDevices(options.clock);
  const publishing = new Map<string, Promise<void>>();
  let pool: AddressPool | undefined;

  const path = (namespace: string) => `/run/netns/${namespace}`;
  // 15 characters at most; the address makes it unique within the bridge.
  const linkOf = (address: string) => `g${instance.slice(0, 6)}${(parseAddress(address) % 65536).toString(16).padStart(4, "0")}`;
  const macOf = (address: string) =>
    `02:42:${address
      .split(".")
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join(":")}`;
  const vpcs = createVpcs({
    instance,
    bridge,
    table,
    pool: () => poolOf(),
    linkOf,
    memory,
    clock: options.clock,
    random: options.random,
    log,
  });
  const resolver = createResolver({
    who: (address) => vpcs.who(address),
    zones: (question, { vpc }) => answerZones(vpc.zones ?? [], question, () => options.random.next()),
    clock: options.clock,
    random: options.random,
    log,
  });
  const poolOf = (): AddressPool => {
    if (!pool) throw new Error("the bridge network is not set up");
    return pool;
  };
  const keyOf = (attachment: Attachment) => attachment.namespace ?? "";

  const makeNamespace = async ({ namespace, address }: Attachment) => {
    if (!namespace) return;
    if (address === undefined) {
      await command("ip", ["netns", "add", namespace]);
      await command("ip", ["-n", namespace, "link", "set", "lo", "up"]);
      return;
    }
    const { gateway, subnet } = poolOf();
    const link = linkOf(address);
    await command(
      "ip",
      ["-batch", "-"],
      `netns add ${namespace}\nlink add ${link} type veth peer name eth0 address ${macOf(address)} netns ${namespace}\nlink set ${link} master ${bridge} up\n`,
    );
    await command(
      "ip",
      ["-n", namespace, "-batch", "-"],
      `link set lo up\naddr add ${address}/${subnet.prefix} dev eth0\nlink set eth0 up\nroute add default via ${gateway}\n`,
    );
  };

  const spares = new Spares(spareNamespaces, options.clock, async () => {
    const spare = { namespace: `${prefix}${options.random.hex(6)}`, address: poolOf().take() };
    await makeNamespace({ mode: "bridge", bindings: [], ...spare });
    return spare;
  });

  let filling: (() => void) | undefined;
  const fillPorts = (ms: number) => {
    filling?.();
    filling = options.clock.after(ms, () => void ports.fillSpares());
  };

  const publish = async (address: string, bindings: readonly PortBinding[]) => {
    await ports.hold(bindings);
    await command("nft", ["-f", "-"], addText(table, { address, bindings }));
  };

  /** Removes the ends of links that belong to no attachment: left by a crash between their making and their taking. */
  const deleteUnknownLinks = async () => {
    const links = JSON.parse((await command("ip", ["-j", "link", "show", "master", bridge])) || "[]") as { ifname?: string }[];
    const known = new Set([...attached.values()].flatMap(({ address }) => (address === undefined ? [] : [linkOf(address)])));
    for (const link of vpcs.uplinks()) known.add(link);
    const unknown = links.flatMap(({ ifname }) => (ifname && !known.has(ifname) ? [ifname] : []));
    if (unknown.length > 0)
      await command("ip", ["-force", "-batch", "-"], unknown.map((name) => `link del ${name}\n`).join("")).catch(() => {});
  };

  const deleteNamespace = async (namespace: string, address: string | undefined) => {
    // The link at the host's end goes first: deleting the namespace alone removes it some time later.
    if (address !== undefined) await command("ip", ["link", "del", linkOf(address)]).catch(() => {});
    await command("ip", ["netns", "del", namespace]).catch(async (error: unknown) => {
      if ((await namespaces()).includes(namespace)) throw error;
    });
  };

  /** Those of containers, not those of VPCs and their interfaces, nor the machine's own name of the load balancers. */
  const namespaces = async () =>
    (await readdir("/run/netns").catch(() => [] as string[])).filter(
      (name) => name.startsWith(prefix) && !/^((vpc|eni)-|host$)/.test(name.slice(prefix.length)),
    );

  let guarded = "";
  let guarding: Promise<void> = Promise.resolve();
  /** Before a load balancer listens its clients are judged; one after the other, each by what is known then. */
  const guardBalancers = () =>
    (guarding = guarding.then(async () => {
      const text = balancerText(table, frontsOf(vpcs.known()));
      if (text === guarded) return;
      await command("nft", ["-f", "-"], text).then(
        () => (guarded = text),
        (error: unknown) => log.error({ err: error }, "the load balancers' clients can't be judged: the rules of before stand"),
      );
    }));

  return {
    path,
    get gateway() {
      return pool?.gateway;
    },
    allocate(plan, container) {
      if (plan.networkMode === "host") return { mode: "host", bindings: ownPorts(container) };
      if (plan.networkInterface) return vpcs.allocate(plan.arn, container.name, plan.networkInterface, ownPorts(container));
      const unique = options.random.hex(6);
      if (plan.networkMode === "none" || container.config.NetworkDisabled)
        return { mode: "none", namespace: `${prefix}${unique}`, bindings: [] };
      const bindings = ports.allocate(container.definition.portMappings ?? []);
      if (bindings.length > 0) fillPorts(200);
      try {
        const spare = spares.take();
        if (spare) made.add(spare.namespace);
        const { namespace, address } = spare ?? { namespace: `${prefix}${unique}`, address: poolOf().take() };
        const attachment: Attachment = { mode: "bridge", namespace, address, bindings };
        attached.set(keyOf(attachment), attachment);
        return attachment;
      } catch (error) {
        ports.give(bindings);
        throw error;
      }
    },
    allocateOwn: (owner, networkInterface) => vpcs.allocate(owner, "", networkInterface, []),
    async attach(attachment, signal) {
      const { namespace, address, bindings } = attachment;
      if (attachment.mode === "awsvpc") return vpcs.attach(attachment, signal);
      if (!namespace) return;
      if (address !== undefined && bindings.length > 0) {
        const published = publish(address, bindings);
        published.catch(() => {});
        publishing.set(namespace, published);
      }
      if (made.delete(namespace)) return;
      // Begun before by a run that was interrupted: from nothing again, nobody lives in it yet.
      if ((await namespaces()).includes(namespace)) await deleteNamespace(namespace, address);
      await makeNamespace(attachment);
    },
    async serviceConnect({ namespace }, route) {
      if (namespace) await connectNamespace(namespace, route);
    },
    published: ({ namespace = "" }) => publishing.get(namespace) ?? Promise.resolve(),
    async detach(attachment) {
      const { namespace, address, bindings } = attachment;
      if (attachment.mode === "awsvpc") return vpcs.detach(attachment);
      if (!namespace) return;
      made.delete(namespace);
      if (address !== undefined && bindings.length > 0) {
        await publishing.get(namespace)?.catch(() => {});
        publishing.delete(namespace);
        await command("nft", ["-f", "-"], deleteText(table, { address, bindings })).catch((error: unknown) =>
          log.debug({ err: error, bindings }, "the ports had no rule"),
        );
      }
      await deleteNamespace(namespace, address);
      if (!attached.delete(keyOf(attachment))) return;
      if (address !== undefined) poolOf().give(address);
      ports.give(bindings);
    },
    adopt(attachment) {
      if (!attachment.namespace) return;
      if (attachment.mode === "awsvpc") return vpcs.adopt(attachment);
      attached.set(keyOf(attachment), attachment);
    },
    async reconcile() {
      pool = await openBridge({ ...options, bridge, macOf });
      for (const { address, bindings } of attached.values()) {
        if (address !== undefined) poolOf().reserve(address);
        ports.reserve(bindings);
      }
      vpcs.reserve(poolOf());
      const resolverPort = await resolver.listen(poolOf().gateway, Number(memory.get("resolver-port") ?? 0), options.metadataPort());
      if (resolverPort) memory.set("resolver-port", String(resolverPort));
      const targets = [...attached.values()].flatMap(({ address, bindings }) => (address === undefined ? [] : [{ address, bindings }]));
      const rules = {
        table,
        bridge,
        subnet: formatSubnet(poolOf().subnet),
        metadataPort: options.metadataPort(),
        instanceMetadataPort: options.instanceMetadataPort,
        isInstance: options.isInstance,
        resolverPort,
        publicAddresses: vpcs.publicAddresses.current,
      };
      guarded = balancerText(table, frontsOf(vpcs.known()));
      await command("nft", ["-f", "-"], tableText(rules, targets) + guarded);
      await acceptForwarding(bridge, table, log);
      for (const { bindings } of targets)
        await ports
          .hold(bindings)
          .catch((error: unknown) => log.warn({ err: error }, "a container's host port is taken by another process"));
      await vpcs.reconcile();
      await deleteUnknownLinks();
      for (const name of await namespaces()) if (!attached.has(name)) await deleteNamespace(name, undefined);
      spares.fill(0);
      fillPorts(0);
    },
    async counters(attachment) {
      const { address } = attachment;
      if (address === undefined) return undefined;
      const line = attachment.mode === "awsvpc" ? await vpcs.devices(attachment) : (await devices.read()).get(linkOf(address));
      if (!line) return undefined;
      // What the host's end receives, the container has sent.
      const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0, , , , , rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0] =
        line;
      return { txBytes, txPackets, txErrors, txDropped, rxBytes, rxPackets, rxErrors, rxDropped };
    },
    async updateVpcs(states) {
      await Promise.all([vpcs.update(states), guardBalancers()]);
    },
    vpcStands: (vpcId) => vpcs.stands(vpcId),
    async refresh() {
      await acceptForwarding(bridge, table, log);
      await vpcs.refresh();
    },
    async tearDown() {
      for (const { namespace, address } of await spares.close()) await deleteNamespace(namespace, address);
      filling?.();
      ports.close();
      await vpcs.tearDown();
      resolver.close();
      for (const { namespace, address } of attached.values()) if (namespace) await deleteNamespace(namespace, address);
      for (const name of await namespaces()) await deleteNamespace(name, undefined);
      attached.clear();
      await command("nft", ["-f", "-"], `add table ip ${table}\ndelete table ip ${table}\n`);
      await removeForwarding(bridge, table);
      await command("ip", ["link", "del", bridge]).catch(() => {});
      await rm(`/run/netns/${bridge}`, { force: true });
      memory.set("subnet", undefined);
    },
    async close() {
      resolver.close();
      await vpcs.close();
      for (const { namespace, address } of await spares.close()) await deleteNamespace(namespace, address).catch(() => {});
      filling?.();
      ports.close();
    },
  };
}

/** Where a container's port is the interface's too: host mode and awsvpc. Nothing has to be published. */
function ownPorts({ definition }: ContainerPlan): readonly PortBinding[] {
  return (definition.portMappings ?? []).flatMap(({ containerPort, containerPortRange, protocol: named }) => {
    const protocol = named === "udp" ? ("udp" as const) : ("tcp" as const);
    const [first, last] = (containerPortRange ?? "").split("-").map(Number);
    if (first && last) return [{ protocol, containerPort: first, hostPort: first, containerPortEnd: last }];
    return containerPort ? [{ protocol, containerPort, hostPort: containerPort }] : [];
  });
}
