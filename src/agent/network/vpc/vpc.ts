import type { VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { command } from "../commands.ts";
import { parseDevices } from "../devices.ts";
import { Spares, type Spare } from "../spares.ts";
import { ignoreFailure, ipInside, jsonInside, namespacesWith, nftInside, shellInside } from "./inside.ts";
import {
  firstRules,
  hairpin,
  interfaceText,
  linkUp,
  makeLink,
  makeVpc,
  ownAddresses,
  removeLink,
  routeTo,
  settings,
  taskUp,
  uplinkText,
  type TaskLink,
} from "./links.ts";
import { changeText, uplink, vpcTable, wholeText, type AttachedLink, type Table } from "./rules.ts";

/** A task's place in a VPC: decided and journaled before anything is made. */
export interface Place {
  readonly networkInterfaceId: string;
  readonly namespace: string;
  readonly transit: string;
}

export interface VpcOptions {
  readonly id: string;
  readonly namespace: string;
  /** The uplink's end at the machine, and its own address in the bridge's subnet. */
  readonly link: string;
  readonly address: string;
  readonly bridge: { readonly name: string; readonly subnet: string; readonly gateway: string };
  readonly mtu: number;
  readonly linkOf: (transit: string) => string;
  readonly newPlace: () => Spare;
  readonly dropPlace: (spare: Spare) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Namespaces kept ready for the next tasks of a VPC. */
const spareCount = 4;

/** One VPC on this machine: a namespace that routes between its tasks' links. Commands only; who lives in it is decided in vpcs.ts. */
export class Vpc {
  readonly options: VpcOptions;
  state: VpcState;
  /** Those that have, or are about to have, their link. */
  readonly places = new Map<string, Place>();
  readonly #made = new Set<string>();
  readonly #spares: Spares;
  #opened: Promise<void> | undefined;
  #stands = false;
  #own = new Set<string>();
  #owning: Promise<void> = Promise.resolve();
  /** Changes of the table, one after the other. */
  #tables: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** What the kernel has; undefined: not known. */
  #written: Table | undefined;

  constructor(options: VpcOptions, state: VpcState) {
    this.options = options;
    this.state = state;
    this.#spares = new Spares(spareCount, options.clock, () => this.#makeSpare());
  }

  /** Made to its end. */
  get stands(): boolean {
    return this.#stands;
  }

  /** The namespace, its uplink and its table. What an interrupted attempt left is taken up. */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #open(): Promise<void> {
    const { namespace, link, address, bridge, mtu } = this.options;
    const there = (await namespacesWith(namespace)).includes(namespace);
    const whole = there && (await jsonInside<{ ifname: string }>(namespace, ["link", "show"])).some(({ ifname }) => ifname === uplink);
    if (!whole) {
      // A namespace without its uplink was left in the middle of its making, or of its end: nobody lives in it.
      await command("ip", ["link", "del", link]).catch(ignoreFailure);
      if (there) await command("ip", ["netns", "del", namespace]).catch(ignoreFailure);
      await command("ip", ["-batch", "-"], makeVpc({ namespace, link, bridge: bridge.name, mtu }));
    } else {
      // The bridge may be another than before: one that somebody deleted and we made again.
      await command("ip", ["-batch", "-"], `link set ${link} master ${bridge.name} up\n${hairpin(link)}`);
    }
    await shellInside(namespace, settings.map(([name, value]) => `echo ${value} > /proc/sys/net/${name} 2>/dev/null`).join("\n") + "\n:");
    await ipInside(namespace, uplinkText({ address, gateway: bridge.gateway }));
    const rules = await jsonInside<{ priority: number }>(namespace, ["rule", "show"]);
    if (rules.some(({ priority }) => priority === 0)) await ipInside(namespace, firstRules);
    await this.#openOwn();
    await this.#write();
    this.#stands = true;
  }

  /** Not before `sweep`, which takes whatever has no place for a remainder. */
  fillSpares(ms: number): void {
    this.#spares.fill(ms);
  }

  async #openOwn(): Promise<void> {
    const devices = await jsonInside<{ ifname?: string; addr_info?: { local?: string; family?: string }[] }>(this.options.namespace, [
      "addr",
      "show",
    ]);
    const onLoopback = devices.find(({ ifname }) => ifname === "lo")?.addr_info ?? [];
    this.#own = new Set(onLoopback.flatMap(({ local, family }) => (local && family === "inet" && local !== "127.0.0.1" ? [local] : [])));
    await this.#setOwn();
  }

  /** One after the other: each takes up where the one before left. */
  #setOwn(): Promise<void> {
    return (this.#owning = this.#owning.then(() => this.#changeOwn()));
  }

  async #changeOwn(): Promise<void> {
    const wanted = ownAddresses(this.state);
    const lines = [
      ...[...wanted].filter((address) => !this.#own.has(address)).map((address) => `addr replace ${address}/32 dev lo\n`),
      ...[...this.#own].filter((address) => !wanted.has(address)).map((address) => `addr del ${address}/32 dev lo\n`),
    ];
    this.#own = wanted;
    if (lines.length > 0) await ipInside(this.options.namespace, lines.join(""), true);
  }

  /** The state is another. Resolves when the tables say so. */
  async update(state: VpcState): Promise<void> {
    this.state = state;
    if (!this.#opened) return;
    await this.#opened;
    await this.apply();
  }

  /** Makes the table say what state and places say; calls meanwhile share the next writing. */
  apply(): Promise<void> {
    this.#next ??= this.#serial(async () => {
      // Whoever waited for this state to attach an interface puts it into the same table.
      await new Promise((resolve) => setImmediate(resolve));
      this.#next = undefined;
      await this.#setOwn();
      await this.#write();
    });
    return this.#next;
  }

  async #write(): Promise<void> {
    const { namespace, bridge, address } = this.options;
    const attached = [...this.places.values()].map((place) => this.#linkOf(place));
    const table = vpcTable({ vpc: this.state, bridge, attached, uplinkAddress: address });
    const change = this.#written && changeText(this.#written, table);
    this.#written = undefined;
    if (change !== "") await nftInside(namespace, change ?? wholeText(table));
    this.#written = table;
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tables.then(work, work);
    this.#tables = done.catch(() => {});
    return done;
  }

  #linkOf({ networkInterfaceId, transit }: Place): AttachedLink {
    return { networkInterfaceId, transit, link: this.options.linkOf(transit) };
  }

  #taskLink({ namespace, transit }: Pick<Place, "namespace" | "transit">): TaskLink {
    return { namespace, vpc: this.options.namespace, link: this.options.linkOf(transit), transit, mtu: this.options.mtu };
  }

  takeSpare(): Spare | undefined {
    const spare = this.#opened && this.#spares.take();
    if (spare) this.#made.add(spare.namespace);
    return spare;
  }

  async #makeSpare(): Promise<Spare> {
    const spare = this.options.newPlace();
    const place = { namespace: spare.namespace, transit: spare.address };
    try {
      await this.#plumb(place, false);
      return spare;
    } catch (error) {
      await ipInside(this.options.namespace, removeLink(this.#taskLink(place)), true);
      await this.options.dropPlace(spare);
      throw error;
    }
  }

  async #plumb(place: Pick<Place, "namespace" | "transit">, there: boolean): Promise<void> {
    const link = this.#taskLink(place);
    await command("ip", ["-batch", "-"], makeLink(link, there));
    await Promise.all([ipInside(this.options.namespace, linkUp(link)), ipInside(place.namespace, taskUp)]);
  }

  /** Links, addresses and rules of one interface. Safe to repeat, also while its task runs. */
  async attach(place: Place, known: VpcInterface): Promise<void> {
    await this.open();
    this.places.set(place.networkInterfaceId, place);
    const whole = this.#made.delete(place.namespace) ? false : await this.#mend(place, known.mac);
    const link = this.#linkOf(place);
    await Promise.all([
      whole ? undefined : ipInside(place.namespace, interfaceText(known)),
      ipInside(this.options.namespace, routeTo(known, link.link)),
      this.apply(),
    ]);
  }

  /**
   * The links of a place that was begun before. True: its inside is whole, and must not be touched, since gVisor has taken the addresses for itself
   * and the kernel would answer in its stead. The hardware address is the first that an inside is given, and stays.
   */
  async #mend(place: Place, mac: string): Promise<boolean> {
    const there = (await namespacesWith(place.namespace)).length > 0;
    const link = this.options.linkOf(place.transit);
    const linked = (await jsonInside<{ ifname: string }>(this.options.namespace, ["link", "show"])).some(({ ifname }) => ifname === link);
    if (there && linked) {
      await ipInside(this.options.namespace, linkUp(this.#taskLink(place)));
      const [eth0] = await jsonInside<{ address?: string }>(place.namespace, ["link", "show", "eth0"]);
      if (eth0?.address === mac.toLowerCase()) return true;
      await ipInside(place.namespace, taskUp);
      return false;
    }
    if (linked) await ipInside(this.options.namespace, `link del ${link}\n`, true);
    await this.#plumb(place, there);
    return false;
  }

  async detach(place: Place): Promise<void> {
    this.#made.delete(place.namespace);
    if (this.places.get(place.networkInterfaceId)?.namespace === place.namespace) this.places.delete(place.networkInterfaceId);
    if (!this.#opened) return;
    await this.#opened.catch(() => {});
    const link = this.#linkOf(place);
    await Promise.all([ipInside(this.options.namespace, removeLink(link), true), this.apply()]);
  }

  /** Removes links and addresses in the VPC that no place has: of spares of an earlier life, and of what a crash interrupted. */
  async sweep(): Promise<void> {
    const { namespace, address } = this.options;
    const devices = await jsonInside<{ ifname?: string; addr_info?: { local?: string; family?: string }[] }>(namespace, ["addr", "show"]);
    const places = [...this.places.values()];
    const links = new Set(["lo", uplink, ...places.map(({ transit }) => this.options.linkOf(transit))]);
    const addresses = new Set([address, ...places.map(({ transit }) => transit)]);
    const lines = devices.flatMap(({ ifname = "", addr_info = [] }) => {
      if (ifname === uplink)
        return addr_info.flatMap(({ local = "", family }) =>
          family === "inet" && !addresses.has(local) ? [`addr del ${local}/32 dev ${uplink}\n`] : [],
        );
      return links.has(ifname) ? [] : [`link del ${ifname}\n`];
    });
    if (lines.length > 0) await ipInside(namespace, lines.join(""), true);
  }

  async devices(): Promise<ReadonlyMap<string, readonly number[]>> {
    return parseDevices(await shellInside(this.options.namespace, "cat /proc/net/dev"));
  }

  /** Ends the making of spares; returns those that are left. */
  async stop(): Promise<readonly Spare[]> {
    const left = await this.#spares.close();
    await this.#opened?.catch(() => {});
    await this.#tables;
    return left;
  }

  /** The link at the machine's end goes first: deleting the namespace alone removes it some time later. */
  async remove(): Promise<void> {
    await command("ip", ["link", "del", this.options.link]).catch(ignoreFailure);
    await command("ip", ["netns", "del", this.options.namespace]).catch(async (error: unknown) => {
      if ((await namespacesWith(this.options.namespace)).length > 0) throw error;
    });
  }
}
