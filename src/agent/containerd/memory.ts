import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { chmod, mkdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "#agent/runtime.ts";

/** `f_type` of statfs(2). */
const memoryTypes: readonly number[] = [0x01021994, 0x858458f6];

/** A directory on a file system that is memory, of this state directory alone; undefined where the machine has none. */
export function memoryPlace(stateDirectory: string): string | undefined {
  const name = `gantry-${createHash("sha256").update(stateDirectory).digest("hex").slice(0, 16)}`;
  const root = ["/run", "/dev/shm"].find((each) => {
    try {
      return memoryTypes.includes(statfsSync(each).type);
    } catch {
      return false;
    }
  });
  return root && join(root, name);
}

/**
 * What must not be written to a disk: the variables of containers' secrets, and what runc and runsc keep of such containers. `<state directory>/memory` leads
 * there. A restart of the machine empties it, and its containers are gone then too.
 */
export class Memory {
  readonly #link: string;
  readonly #place: string | undefined;
  #made: Promise<string> | undefined;

  constructor(stateDirectory: string) {
    this.#link = join(stateDirectory, "memory");
    this.#place = memoryPlace(stateDirectory);
  }

  /** Whether there is such a place. */
  get there(): boolean {
    return this.#place !== undefined;
  }

  /** A directory in it, not made yet. */
  path(name: string): string {
    return join(this.#link, name);
  }

  /** Makes it. Throws RuntimeError. */
  async open(): Promise<void> {
    if (!this.#place) throw new RuntimeError("CannotCreate", "secrets need a place in memory, and neither /run nor /dev/shm is a tmpfs");
    this.#made ??= makeLink(this.#link, this.#place);
    try {
      await this.#made;
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }

  /** Keeps a container's variables where src/agent/secrets/environment.sh finds them. */
  async keep(id: string, variables: Readonly<Record<string, string>>): Promise<void> {
    await this.open();
    const directory = join(this.path("secrets"), id);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // As they stand in a JSON list.
    const text = Object.entries(variables)
      .map(([name, value]) => JSON.stringify(`${name}=${value}`))
      .join(",");
    await writeFile(join(directory, "environment"), text, { mode: 0o600 });
  }

  async forget(id: string): Promise<void> {
    if (this.#place) await rm(join(this.#place, "secrets", id), { recursive: true, force: true });
  }
}

async function makeLink(link: string, place: string): Promise<string> {
  await mkdir(place, { recursive: true, mode: 0o700 });
  await chmod(place, 0o700);
  if ((await readlink(link).catch(() => undefined)) === place) return link;
  const fresh = `${link}.${process.pid}`;
  await rm(fresh, { force: true });
  await symlink(place, fresh);
  await rename(fresh, link);
  return link;
}
