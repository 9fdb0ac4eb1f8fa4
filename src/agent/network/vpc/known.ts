import type { VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { StepError } from "../../steps/step-error.ts";

/** One interface of this machine, and its VPC. */
export interface Caller {
  readonly vpc: VpcState;
  readonly networkInterface: VpcInterface;
}

export interface Memory {
  get(key: string): string | undefined;
  set(key: string, value: string | undefined): void;
}

/** How long a task waits for the control plane to say what its interface is. */
const namedMs = 30_000;
const key = "vpc-state";

/** What the control plane said of this machine's VPCs last, kept over restarts: without a server the network comes back as it was. */
export class KnownVpcs {
  readonly #memory: Memory;
  readonly #clock: Clock;
  readonly #waiters = new Set<() => void>();
  #states = new Map<string, VpcState>();

  constructor(memory: Memory, clock: Clock) {
    this.#memory = memory;
    this.#clock = clock;
  }

  restore(log: Logger): void {
    try {
      const list = JSON.parse(this.#memory.get(key) ?? "[]") as VpcState[];
      this.#states = new Map(list.map((state) => [state.vpcId, state]));
    } catch (error) {
      log.error({ err: error }, "the journaled state of the VPCs can't be read; the control plane tells it again");
    }
  }

  /** Takes the new state; returns every VPC whose network is another than before, those that are gone without interfaces. Zones are looked up here. */
  replace(list: readonly VpcState[]): VpcState[] {
    const before = this.#states;
    this.#states = new Map(list.map((state) => [state.vpcId, state]));
    this.#memory.set(key, list.length > 0 ? JSON.stringify(list) : undefined);
    for (const look of this.#waiters) look();
    const changed = list.filter((state) => networkOf(before.get(state.vpcId)) !== networkOf(state));
    const gone = [...before.values()].filter(({ vpcId }) => !this.#states.has(vpcId));
    return [...changed, ...gone.map((state) => ({ ...state, interfaces: [] }))];
  }

  ids(): string[] {
    return [...this.#states.keys()];
  }

  get(vpcId: string): VpcState | undefined {
    return this.#states.get(vpcId);
  }

  find(networkInterfaceId: string): Caller | undefined {
    for (const vpc of this.#states.values()) {
      const networkInterface = vpc.interfaces.find((each) => each.networkInterfaceId === networkInterfaceId);
      if (networkInterface) return { vpc, networkInterface };
    }
    return undefined;
  }

  /** Resolves when the control plane has named the interface. Rejects with a StepError after a while, or when the signal aborts. */
  named(networkInterfaceId: string, signal: AbortSignal | undefined): Promise<Caller> {
    return new Promise((resolve, reject) => {
      const done = (action: () => void) => {
        this.#waiters.delete(look);
        cancel();
        signal?.removeEventListener("abort", aborted);
        action();
      };
      const look = () => {
        const found = this.find(networkInterfaceId);
        if (found) done(() => resolve(found));
      };
      const aborted = () => done(() => reject(signal?.reason as Error));
      const late = `ResourceInitializationError: unable to set up the network interface ${networkInterfaceId}: the control plane did not describe it within ${namedMs / 1000} s`;
      const cancel = this.#clock.after(namedMs, () => done(() => reject(new StepError(late))));
      if (signal?.aborted) return aborted();
      signal?.addEventListener("abort", aborted, { once: true });
      this.#waiters.add(look);
      look();
    });
  }
}

const networkOf = (state: VpcState | undefined) => JSON.stringify(state && { ...state, zones: undefined });

export function emptyState(vpcId: string): VpcState {
  return { vpcId, ipv4Cidrs: [], ipv6Cidrs: [], resolver: "", dnsSupport: false, interfaces: [], groups: [], members: {} };
}
