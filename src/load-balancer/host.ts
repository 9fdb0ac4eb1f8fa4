/** What the data plane puts on this machine beside processes: a bridge without ports (not every kernel has dummy links) with the listeners' addresses, and a name for the machine's own network. */
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const ip = async (...args: string[]) => (await run("ip", args)).stdout;

interface Device {
  readonly ifname: string;
  readonly addr_info: readonly { readonly local?: string; readonly family: string; readonly prefixlen: number }[];
}

export interface Host {
  /** Makes those addresses the machine's that it does not have yet. */
  add(addresses: readonly string[]): Promise<void>;
  /** Takes away those of ours that are not among `wanted`; the link goes with the last. */
  keep(wanted: readonly string[]): Promise<void>;
  /** A name below /run/netns for this machine's own network, so that a process in a VPC's can bind here. */
  nameOwnNamespace(): Promise<string>;
  tearDown(): Promise<void>;
}

/** The namespace's identity, or undefined while it is not there. */
export async function namespaceInode(name: string): Promise<string | undefined> {
  try {
    const { ino, dev } = await stat(`/run/netns/${name}`);
    // The place alone, before the namespace is mounted on it, is an empty file elsewhere.
    return (await stat("/proc/self/ns/net")).dev === dev ? String(ino) : undefined;
  } catch {
    return undefined;
  }
}

export function createHost(link: string, ownNamespace: string): Host {
  const devices = async () => JSON.parse(await ip("-j", "-4", "addr", "show")) as Device[];
  const exists = async () => (await run("ip", ["-j", "link", "show", "dev", link]).catch(() => undefined)) !== undefined;
  const ours = (list: readonly Device[]) => list.find(({ ifname }) => ifname === link)?.addr_info.flatMap(({ local }) => local ?? []) ?? [];
  let named = false;
  return {
    async add(addresses) {
      const list = await devices();
      const there = new Set(list.flatMap(({ addr_info }) => addr_info.flatMap(({ local }) => local ?? [])));
      const missing = addresses.filter((address) => !there.has(address) && !address.startsWith("127."));
      if (missing.length === 0) return;
      if (!(await exists())) await ip("link", "add", link, "type", "bridge");
      await ip("link", "set", link, "up");
      for (const address of missing) await ip("addr", "replace", `${address}/32`, "dev", link);
    },
    async keep(wanted) {
      const have = ours(await devices());
      const gone = have.filter((address) => !wanted.includes(address));
      if (gone.length === have.length) {
        if (await exists()) await ip("link", "del", link);
        return;
      }
      for (const address of gone) await ip("addr", "del", `${address}/32`, "dev", link);
    },
    async nameOwnNamespace() {
      if (!named && (await namespaceInode(ownNamespace)) === undefined) await ip("netns", "attach", ownNamespace, String(process.pid));
      named = true;
      return ownNamespace;
    },
    async tearDown() {
      if (await exists()) await ip("link", "del", link);
      named = false;
      if ((await namespaceInode(ownNamespace)) !== undefined) await ip("netns", "del", ownNamespace);
    },
  };
}
