import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory, removeDirectory } from "./elsewhere.ts";
import { isAlreadyExists, unlessGone, type Containerd } from "./client.ts";

/** What containerd is to mount as a container's root. */
export interface RootMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: string[];
}

const prefix = "gantry-lower-";

/**
 * Containers' root file systems, each an overlay of the image's layers below and two directories of our own above. A snapshot of containerd's for each container would
 * be the same overlay, but costs three commits of its database, synced to the disk one after the other: with twenty starts at once, a third of their time.
 * One view for each image, which the garbage collector spares, names the layers' directories.
 */
export class RootFs {
  readonly #containerd: Containerd;
  readonly #directory: string;
  /** By chain id: the layers' directories, the uppermost first. */
  readonly #lowers = new Map<string, Promise<string>>();
  readonly #fixed = existsSync("/sys/module/overlay/parameters/index") ? ["index=off"] : [];

  constructor(containerd: Containerd, directory: string) {
    this.#containerd = containerd;
    this.#directory = directory;
  }

  /** The directories above are made anew, in `elsewhere` where the task has a disk of its own. */
  async make(id: string, chainId: string, elsewhere?: string): Promise<RootMount[]> {
    const make = async () => {
      const own = await makeDirectory(this.#directory, id, elsewhere && join(elsewhere, id));
      const [upper, work] = [join(own, "fs"), join(own, "work")];
      await Promise.all([mkdir(upper, { mode: 0o755 }), mkdir(work, { mode: 0o711 })]);
      return { upper, work };
    };
    const [lower, { upper, work }] = await Promise.all([this.#lower(chainId), make()]);
    return [
      {
        type: "overlay",
        source: "overlay",
        target: "",
        options: [...this.#fixed, `workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lower}`],
      },
    ];
  }

  remove(id: string): Promise<void> {
    return removeDirectory(this.#directory, id);
  }

  /** Lets go of the layers that no container of `inUse` (chain ids) stands on, so that they can be collected with their image; the next container names them again. */
  async release(inUse: () => Promise<ReadonlySet<string>>): Promise<void> {
    const { snapshotter, snapshots } = this.#containerd;
    this.#lowers.clear();
    const views: string[] = [];
    for await (const { info } of snapshots.list({ snapshotter, filters: [] })) {
      for (const { name } of info) if (name.startsWith(prefix)) views.push(name);
    }
    const used = await inUse();
    for (const key of views) if (!used.has(key.slice(prefix.length))) await unlessGone(snapshots.remove({ snapshotter, key }));
  }

  #lower(chainId: string): Promise<string> {
    let known = this.#lowers.get(chainId);
    if (!known) {
      known = this.#readLower(chainId);
      this.#lowers.set(chainId, known);
      known.catch(() => this.#lowers.delete(chainId));
    }
    return known;
  }

  async #readLower(chainId: string): Promise<string> {
    const { snapshotter, snapshots } = this.#containerd;
    const key = prefix + chainId;
    const labels = { "containerd.io/gc.root": new Date().toISOString() };
    const { mounts } = await snapshots.view({ snapshotter, key, parent: chainId, labels }).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
      return snapshots.mounts({ snapshotter, key });
    });
    const [mount] = mounts;
    if (mounts.length !== 1 || !mount) throw new Error(`the snapshotter ${snapshotter} asks for ${mounts.length} mounts`);
    if (mount.type === "bind") return mount.source;
    const lower = mount.options.find((option) => option.startsWith("lowerdir="));
    if (lower === undefined) throw new Error(`the snapshotter ${snapshotter} names no layers: ${mount.type}`);
    return lower.slice("lowerdir=".length);
  }
}
