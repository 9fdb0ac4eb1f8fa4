import { unlessGone, type Containerd } from "#agent/containerd/client.ts";

/**
 * The lease under which everything is pulled. It is held while any pull runs; when the last one ends it goes, and with it whatever a failed
 * pull fetched. One that a crash left is replaced at the next pull, so it needs no expiry to be safe; it has one in case there is no next.
 */
export class PullLease {
  readonly #containerd: Containerd;
  readonly #id = "gantry-pulls";
  #holders = 0;
  #failed = false;
  /** Creation and removal, one after the other. */
  #ready: Promise<void> = Promise.resolve();

  constructor(containerd: Containerd) {
    this.#containerd = containerd;
  }

  async hold<T>(work: (lease: string) => Promise<T>): Promise<T> {
    if (this.#holders++ === 0) this.#ready = this.#ready.catch(() => undefined).then(() => this.#create());
    try {
      await this.#ready;
      return await work(this.#id);
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      if (--this.#holders === 0) this.#ready = this.#ready.catch(() => undefined).then(() => this.#end());
    }
  }

  /** Resolves when a lease that is on its way out is gone. */
  async settled(): Promise<void> {
    await this.#ready.catch(() => undefined);
  }

  async #create(): Promise<void> {
    await this.#remove();
    const expires = new Date(Date.now() + 24 * 3600_000).toISOString();
    await this.#containerd.leases.create({ id: this.#id, labels: { "containerd.io/gc.expire": expires } });
  }

  /** After a failure the garbage is collected at once: it may be most of a disk. */
  async #end(): Promise<void> {
    const sync = this.#failed;
    this.#failed = false;
    await this.#remove(sync);
  }

  async #remove(sync = false): Promise<void> {
    await unlessGone(this.#containerd.leases.delete({ id: this.#id, sync }));
  }
}
