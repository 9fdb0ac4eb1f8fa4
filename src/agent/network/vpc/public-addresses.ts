import type { Logger } from "#platform/log.ts";
import { command } from "../commands.ts";
import { publicText } from "../rules.ts";
import { ignoreFailure } from "./inside.ts";

/** Marks our routes among the machine's (`/etc/iproute2/rt_protos` has no such number). */
const protocol = 171;

/**
 * Public addresses of interfaces: the machine's table leads each to its interface, and a route into the bridge makes them reachable on a
 * machine that has no other way out. Only ever this Gantry's own bridge has such routes.
 */
export class PublicAddresses {
  readonly #bridge: string;
  readonly #table: string;
  readonly #log: Logger;
  /** Public address to the interface's address in the bridge's subnet. */
  #current: ReadonlyMap<string, string> = new Map();
  #wanted: ReadonlyMap<string, string> = new Map();
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(bridge: string, table: string, log: Logger) {
    this.#bridge = bridge;
    this.#table = table;
    this.#log = log;
  }

  get current(): ReadonlyMap<string, string> {
    return this.#current;
  }

  /** Those that the machine's table is about to be written with. */
  begin(addresses: ReadonlyMap<string, string>): void {
    this.#current = this.#wanted = addresses;
  }

  /** The bridge's routes stand as `current` says. */
  async routes(): Promise<void> {
    const found = await command("ip", ["-4", "-j", "route", "show", "dev", this.#bridge, "protocol", String(protocol)]).catch(() => "");
    const there = new Set((JSON.parse(found || "[]") as { dst?: string }[]).map(({ dst = "" }) => dst));
    await this.#route(
      [...this.#current.keys()].filter((address) => !there.has(address)),
      [...there].filter((address) => !this.#current.has(address)),
    );
  }

  /** Resolves when all of them, and no others, lead to their interfaces. */
  set(wanted: ReadonlyMap<string, string>): Promise<void> {
    this.#wanted = wanted;
    if (!this.#next && same(this.#current, wanted)) return this.#running;
    this.#next ??= this.#running = this.#running.then(() => {
      this.#next = undefined;
      return this.#change();
    });
    return this.#next;
  }

  async #change(): Promise<void> {
    const before = this.#current;
    const after = (this.#current = this.#wanted);
    const changed = ([address, transit]: [string, string], other: ReadonlyMap<string, string>) => other.get(address) !== transit;
    const gone = [...before].filter((each) => changed(each, after));
    const come = [...after].filter((each) => changed(each, before));
    if (gone.length + come.length === 0) return;
    try {
      await Promise.all([
        command("nft", ["-f", "-"], publicText("delete", this.#table, gone) + publicText("add", this.#table, come)),
        this.#route(
          come.map(([address]) => address),
          gone.map(([address]) => address).filter((address) => !after.has(address)),
        ),
      ]);
    } catch (error) {
      this.#log.error({ err: error }, "public addresses could not be changed");
    }
  }

  async #route(come: readonly string[], gone: readonly string[]): Promise<void> {
    const lines = [
      ...gone.map((address) => `route del ${address}/32 dev ${this.#bridge} proto ${protocol}\n`),
      ...come.map((address) => `route replace ${address}/32 dev ${this.#bridge} scope link proto ${protocol}\n`),
    ];
    if (lines.length > 0) await command("ip", ["-force", "-batch", "-"], lines.join("")).catch(ignoreFailure);
  }
}

function same(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
