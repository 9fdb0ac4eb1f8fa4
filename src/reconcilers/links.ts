import type { FromServer } from "#agent-protocol/messages.ts";
import type { Delivery } from "./decide-dispatch.ts";
import { acknowledgeMs } from "./limits.ts";

/** One live connection of an instance's agent. */
export interface Link {
  readonly id: number;
  /** `http://host:port` as this agent reached us. */
  readonly endpoint: string;
  send(frame: FromServer): void;
  close(): void;
}

/**
 * Which instances' agents are connected to this process, and what they were told. Instances by their key in the store
 * (`/ecs/…/container-instance/<cluster>/<id>`), tasks by theirs. Writer: the ACS endpoint (links), the dispatcher (deliveries).
 */
export class Links {
  readonly #links = new Map<string, Link>();
  readonly #deliveries = new Map<string, Map<string, Delivery>>();
  readonly #ready = new WeakSet<Link>();
  readonly #seen = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #lastSigns = new Map<string, number>();
  #count = 0;

  nextId(): number {
    return ++this.#count;
  }

  get(instance: string): Link | undefined {
    return this.#links.get(instance);
  }

  /** The connection, once the agent has the manifest: before it, nothing else is to be told. */
  ready(instance: string): Link | undefined {
    const link = this.#links.get(instance);
    return link && this.#ready.has(link) ? link : undefined;
  }

  setReady(instance: string, link: Link): void {
    if (this.#links.get(instance) === link) this.#ready.add(link);
  }

  instances(): string[] {
    return [...this.#links.keys()];
  }

  all(): Link[] {
    return [...this.#links.values()];
  }

  /** Whether it was ever connected to this process. */
  seen(instance: string): boolean {
    return this.#seen.has(instance);
  }

  /** The newer connection wins: the older one is returned, to be closed. */
  open(instance: string, link: Link): Link | undefined {
    const before = this.#links.get(instance);
    this.#links.set(instance, link);
    this.#seen.add(instance);
    this.#gone.delete(instance);
    this.#lastSigns.delete(instance);
    return before;
  }

  /** Its machine has ended: nothing of it runs. True: that is news. A new connection ends it. */
  setGone(instance: string): boolean {
    if (this.#gone.has(instance)) return false;
    this.#gone.add(instance);
    return true;
  }

  isGone(instance: string): boolean {
    return this.#gone.has(instance);
  }

  /** When one that is away gave its last sign of life; undefined: it was never connected to this process. */
  lastSign(instance: string): number | undefined {
    return this.#lastSigns.get(instance);
  }

  /** False when a newer connection has taken its place: then nothing is lost. `lastSign`: of life, by this connection. */
  end(instance: string, link: Link, now: number, lastSign = now): boolean {
    const deliveries = this.#deliveries.get(instance);
    for (const [task, delivery] of deliveries ?? []) {
      if (delivery.link !== link.id || delivery.acknowledged || now - delivery.sentAt < acknowledgeMs) continue;
      deliveries!.set(task, { ...delivery, refusals: delivery.refusals + 1 });
    }
    if (this.#links.get(instance) !== link) return false;
    this.#links.delete(instance);
    this.#lastSigns.set(instance, lastSign);
    return true;
  }

  delivery(instance: string, task: string): Delivery | undefined {
    return this.#deliveries.get(instance)?.get(task);
  }

  sent(instance: string, task: string, delivery: Delivery): void {
    let deliveries = this.#deliveries.get(instance);
    if (!deliveries) this.#deliveries.set(instance, (deliveries = new Map()));
    deliveries.set(task, delivery);
  }

  acknowledged(instance: string, messageId: string): void {
    const deliveries = this.#deliveries.get(instance);
    for (const [task, delivery] of deliveries ?? []) {
      if (delivery.messageId === messageId) deliveries!.set(task, { ...delivery, acknowledged: true });
    }
  }

  forget(instance: string, task: string): void {
    const deliveries = this.#deliveries.get(instance);
    if (deliveries?.delete(task) && deliveries.size === 0) this.#deliveries.delete(instance);
  }

  forgetAll(): void {
    this.#deliveries.clear();
  }
}
