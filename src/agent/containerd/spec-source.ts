import { join } from "node:path";
import type { Hierarchy } from "#agent/cgroups/hierarchy.ts";
import type { ImageStore } from "#agent/images/images.ts";
import { RuntimeError, type ContainerSpec } from "#agent/runtime.ts";
import { UnknownCapability } from "#agent/spec/capabilities.ts";
import type { OciSpec } from "#agent/spec/oci.ts";
import { buildSpec, InvalidSpec, type HostFacts } from "#agent/spec/spec.ts";
import { resolveUser, UnknownUser, type Accounts } from "#agent/spec/users.ts";
import { unlessGone, type Containerd } from "./client.ts";
import { findInit, hostDevices, readHostFacts } from "./host.ts";
import { withImageRoot } from "./image-root.ts";
import { makeDirectory, removeDirectory } from "./elsewhere.ts";
import { isUncovered, makeImageVolumes, makeTmp, readTmp, uncoveredVolumes, type ImageVolume, type TmpDirectory } from "./volumes.ts";

const rememberedImages = 256;

interface ImageFacts {
  readonly accounts: Accounts;
  readonly tmp: TmpDirectory | undefined;
}

/** Gathers what a container's OCI configuration needs of the machine and the image, and builds it. */
export class SpecSource {
  readonly #containerd: Containerd;
  readonly #images: ImageStore;
  readonly #directory: string;
  readonly #host: Omit<HostFacts, "seccomp">;
  readonly #init = findInit();
  /** By chain id: an image never changes, and reading it takes a mount. */
  readonly #facts = new Map<string, Promise<ImageFacts>>();

  constructor(options: { containerd: Containerd; images: ImageStore; stateDirectory: string; hierarchy: Hierarchy }) {
    this.#containerd = options.containerd;
    this.#images = options.images;
    this.#directory = options.stateDirectory;
    this.#host = readHostFacts(options.hierarchy);
  }

  removeVolumes(id: string): Promise<void> {
    return removeDirectory(join(this.#directory, "volumes"), id);
  }

  /** `parent` is the snapshot to start from. Throws RuntimeError `CannotStart` for what Docker finds wrong only then, e.g. an unknown user. */
  async build(spec: ContainerSpec): Promise<{ oci: OciSpec; parent: string }> {
    const parent = await this.#images.chainId(spec.image);
    try {
      const [known, devices, imageVolumes] = await Promise.all([this.#factsOf(parent), hostDevices(spec), this.#volumes(spec, parent)]);
      const user = resolveUser(spec.user || spec.image.config.user, known.accounts);
      // runc carries the filter out; gVisor's own kernel stands in its place.
      const seccomp = spec.runtime.name === "runc" && spec.runtime.binary === undefined;
      const host = { ...this.#host, seccomp };
      return { oci: buildSpec({ spec, user, host, devices, imageVolumes, initBinary: this.#init }), parent };
    } catch (error) {
      if (error instanceof UnknownUser) throw new RuntimeError("CannotStart", error.message, { cause: error });
      if (error instanceof InvalidSpec || error instanceof UnknownCapability)
        throw new RuntimeError("CannotCreate", error.message, { cause: error });
      throw error;
    }
  }

  async #factsOf(chainId: string): Promise<ImageFacts> {
    const known = this.#facts.get(chainId);
    if (known) return known;
    if (this.#facts.size >= rememberedImages) this.#facts.delete(this.#facts.keys().next().value!);
    const reading = this.#view(chainId, async (root) => ({
      accounts: { passwd: await root.text("/etc/passwd"), group: await root.text("/etc/group") },
      tmp: await readTmp(root),
    }));
    this.#facts.set(chainId, reading);
    reading.catch(() => this.#facts.delete(chainId));
    return reading;
  }

  async #volumes(spec: ContainerSpec, chainId: string): Promise<ImageVolume[]> {
    const targets = uncoveredVolumes(spec);
    // gVisor would mount memory over an empty /tmp: what is written there belongs on the disk, as everywhere.
    const tmp = spec.runtime.name === "runsc" && isUncovered(spec, "/tmp") ? (await this.#factsOf(chainId)).tmp : undefined;
    if (targets.length === 0 && !tmp) return [];
    const parent = join(this.#directory, "volumes");
    const directory = await makeDirectory(parent, spec.id, spec.writableDirectory && join(spec.writableDirectory, `${spec.id}.volumes`));
    const made = targets.length > 0 ? await this.#view(chainId, (root) => makeImageVolumes(directory, targets, root)) : [];
    return tmp ? [...made, await makeTmp(directory, tmp, spec.readonlyRootFilesystem)] : made;
  }

  async #view<T>(chainId: string, work: Parameters<typeof withImageRoot<T>>[3]): Promise<T> {
    const lease = `gantry-view-${crypto.randomUUID()}`;
    const expires = new Date(Date.now() + 3600_000).toISOString();
    await this.#containerd.leases.create({ id: lease, labels: { "containerd.io/gc.expire": expires } });
    try {
      return await withImageRoot(this.#containerd, chainId, { mountPoint: join(this.#directory, "mnt"), lease }, work);
    } finally {
      await unlessGone(this.#containerd.leases.delete({ id: lease }));
    }
  }
}
