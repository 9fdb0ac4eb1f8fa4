import type { VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { gather, together } from "../../gather.ts";
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
/** Interfaces whose links one process makes. */
const mostAtOnce = 16;

/** What is left to do of an interface's links: whether its end in the VPC is up, and the lines for the task's end before its addresses; undefined: nothing at all there. */
interface Plumbed {
  readonly outside: boolean;
  readonly inside: string | undefined;
}
const spare: Plumbed = { outside: true, inside: "" };

/** One VPC on this machine: a namespace that routes between its tasks' links. Commands only; who lives in it is decided in vpcs.ts. */
export class Vpc {
  readonly options: VpcOptions;
  state: VpcState;
  /** Those that have, or are about to have, their link. */
  readonly places = new Map<string, Place>();
  readonly #made = new Set<string>();
  readonly #spares: Spares;
  /** Lines in the VPC's namespace, which may be repeated; those of many interfaces go into one process. */
  readonly #ip = gather<string>(mostAtOnce, (jobs) => together(jobs, (lines) => ipInside(this.options.namespace, lines.join(""))));
  readonly #removals = gather<string>(mostAtOnce, async (jobs) => {
    await ipInside(this.options.namespace, jobs.join(""), true);
    return [];
  });
  readonly #links = gather<{ readonly link: TaskLink; readonly there: boolean }>(mostAtOnce, (jobs) => this.#makeLinks(jobs));
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
      const link = this.#taskLink(place);
      await this.#links({ link, there: false });
      await Promise.all([this.#ip(linkUp(link)), ipInside(place.namespace, taskUp)]);
      return spare;
    } catch (error) {
      await this.#removals(removeLink(this.#taskLink(place)));
      await this.options.dropPlace(spare);
      throw error;
    }
  }

  /** Namespaces and links of tasks. Those lines can't be repeated: where one of them fails, what there is of each is removed, and each made by itself. */
  async #makeLinks(jobs: readonly { readonly link: TaskLink; readonly there: boolean }[]): Promise<readonly (Error | undefined)[]> {
    const make = (some: typeof jobs) =>
      command("ip", ["-batch", "-"], some.map(({ link, there }) => makeLink(link, there)).join("")).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
    if (!(await make(jobs))) return [];
    for (const { link, there } of jobs) {
      await ipInside(this.options.namespace, removeLink(link), true);
      if (!there) await command("ip", ["netns", "del", link.namespace]).catch(ignoreFailure);
    }
    const failures: (Error | undefined)[] = [];
    for (const job of jobs) failures.push(await make([job]));
    return failures;
  }

  /** Links, addresses and rules of one interface. Safe to repeat, also while its task runs. */
  async attach(place: Place, known: VpcInterface): Promise<void> {
    await this.open();
    this.places.set(place.networkInterfaceId, place);
    const { outside, inside } = this.#made.delete(place.namespace) ? spare : await this.#mend(place, known.mac);
    const link = this.#taskLink(place);
    await Promise.all([
      inside === undefined ? undefined : ipInside(place.namespace, inside + interfaceText(known)),
      this.#ip((outside ? "" : linkUp(link)) + routeTo(known, link.link)),
      this.apply(),
    ]);
  }

  /**
   * The links of a place, which may have been begun before. Without `inside` its inside is whole, and must not be touched, since gVisor has taken the addresses for itself
   * and the kernel would answer in its stead. The hardware address is the first that an inside is given, and stays.
   */
  async #mend(place: Place, mac: string): Promise<Plumbed> {
    const there = (await namespacesWith(place.namespace)).length > 0;
    const link = this.#taskLink(place);
    const linked =
      there && (await jsonInside<{ ifname: string }>(this.options.namespace, ["link", "show"])).some(({ ifname }) => ifname === link.link);
    if (linked) {
      const [eth0] = await jsonInside<{ address?: string }>(place.namespace, ["link", "show", "eth0"]);
      return { outside: false, inside: eth0?.address === mac.toLowerCase() ? undefined : taskUp };
    }
    await this.#links({ link, there });
    return { outside: false, inside: taskUp };
  }

  async detach(place: Place): Promise<void> {
    this.#made.delete(place.namespace);
    if (this.places.get(place.networkInterfaceId)?.namespace === place.namespace) this.places.delete(place.networkInterfaceId);
    if (!this.#opened) return;
    await this.#opened.catch(() => {});
    const link = this.#linkOf(place);
    await Promise.all([this.#removals(removeLink(link)), this.apply()]);
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
