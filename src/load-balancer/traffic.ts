/** What load balancers and target groups have carried, made of HAProxy's counters. Pure but for what `Balances` remembers. */
import type { Snapshot } from "./config.ts";
import { timesScope, type Counted } from "./counting.ts";
import { groupName, listenerName } from "./names.ts";
import { groupsOf } from "./problems.ts";
import { timeOf } from "./statistics.ts";

/** Since the last report; `active…`: now. */
export interface Traffic {
  readonly loadBalancers: readonly BalancerTraffic[];
  readonly targetGroups: readonly GroupTraffic[];
}

export interface BalancerTraffic {
  readonly id: string;
  /** From clients. */
  readonly newConnections: number;
  readonly activeConnections: number;
  readonly rejectedConnections: number;
  /** From and to clients. */
  readonly bytes: number;
  /** The same by the listeners' protocols, for network load balancers. */
  readonly protocols?: Readonly<
    Record<string, { readonly newConnections: number; readonly activeConnections: number; readonly bytes: number }>
  >;
  /** Answers of its own: `3XX`, `4XX`, `5XX`, and among the latter `500`, `502`, `503`, `504`. */
  readonly answers: Readonly<Record<string, number>>;
}

export interface GroupTraffic {
  readonly id: string;
  readonly loadBalancerId: string;
  /** Those for which a target was chosen, counted when they have ended. */
  readonly requests: number;
  /** Answers of targets: `2XX` to `5XX`. */
  readonly answers: Readonly<Record<string, number>>;
  readonly newConnections: number;
  readonly activeConnections: number;
  /** Attempts that came to nothing. */
  readonly connectionErrors: number;
  /** Seconds from the request until the answer began, each with how many requests took so long. */
  readonly times: readonly (readonly [seconds: number, count: number])[];
}

const classes = ["3xx", "4xx", "5xx"] as const;
const codes = ["500", "502", "503", "504"] as const;
const mostNames = 20_000;

interface Listening {
  readonly balancer: string;
  readonly protocol: string;
  readonly application: boolean;
}

/** Translates HAProxy's names, those of listeners and groups that are gone too, as long as a process may still speak of them. */
export class Balances {
  readonly #listeners = new Map<string, Listening>();
  readonly #groups = new Map<string, { readonly id: string; readonly balancer: string }>();
  /** An answer is counted at the target when it begins, at the listener when it has ended: what the listeners have not yet counted. */
  readonly #open = new Map<string, Record<string, number>>();

  learn({ loadBalancers }: Snapshot): void {
    for (const { id: balancer, kind, listeners } of loadBalancers)
      for (const listener of listeners) {
        this.#listeners.set(listenerName(listener.id), { balancer, protocol: listener.protocol, application: kind === "application" });
        for (const id of groupsOf(listener)) this.#groups.set(groupName(id), { id, balancer });
      }
    for (const names of [this.#listeners, this.#groups])
      for (const name of names.keys()) {
        if (names.size <= mostNames) break;
        names.delete(name);
      }
  }

  take({ counters, active }: Counted): Traffic {
    const groups = new Map<string, Mutable<GroupTraffic>>();
    const balancers = new Map<string, Mutable<BalancerTraffic> & { targets: Record<string, number>; listeners: Record<string, number> }>();
    const balancerOf = (id: string) => {
      let found = balancers.get(id);
      if (!found) {
        const none = { newConnections: 0, activeConnections: 0, rejectedConnections: 0, bytes: 0 };
        balancers.set(id, (found = { id, ...none, answers: {}, targets: {}, listeners: {} }));
      }
      return found;
    };
    const groupOf = (name: string) => {
      const known = this.#groups.get(name);
      if (!known) return undefined;
      let found = groups.get(name);
      if (!found) {
        const none = { requests: 0, newConnections: 0, activeConnections: 0, connectionErrors: 0, answers: {}, times: [] };
        groups.set(name, (found = { id: known.id, loadBalancerId: known.balancer, ...none }));
      }
      return found;
    };

    for (const scope of new Set([...counters.keys(), ...active.keys()])) {
      const has = counters.get(scope) ?? {};
      const now = active.get(scope) ?? 0;
      const count = (name: string) => has[name] ?? 0;
      const listening = this.#listeners.get(scope);
      if (listening) {
        const sum = balancerOf(listening.balancer);
        const own = { newConnections: count("connections"), activeConnections: now, bytes: count("received") + count("sent") };
        sum.newConnections += own.newConnections;
        sum.activeConnections += own.activeConnections;
        sum.bytes += own.bytes;
        sum.rejectedConnections += count("rejected");
        if (listening.application) {
          for (const each of classes) add(sum.listeners, each, count(each));
          for (const code of codes) add(sum.answers, code, count(code));
        } else {
          const before = sum.protocols?.[listening.protocol] ?? { newConnections: 0, activeConnections: 0, bytes: 0 };
          const both = {
            newConnections: before.newConnections + own.newConnections,
            activeConnections: before.activeConnections + own.activeConnections,
            bytes: before.bytes + own.bytes,
          };
          sum.protocols = { ...sum.protocols, [listening.protocol]: both };
        }
        continue;
      }
      if (scope.endsWith(timesScope(""))) {
        const group = groupOf(scope.slice(0, -timesScope("").length));
        if (group) group.times = timesOf(has);
        continue;
      }
      const [backend = "", server] = scope.split("/");
      const group = groupOf(backend);
      if (!group) continue;
      if (server === undefined) group.requests += count("switched") + count("unconnected") + count("unanswered");
      else {
        const errors = count("retried") + count("redispatched") + count("failed");
        group.connectionErrors += errors;
        group.newConnections += Math.max(0, count("tried") - errors);
        group.activeConnections += now;
        for (const each of ["2xx", ...classes]) {
          group.requests += count(each);
          add(group.answers as Record<string, number>, each.toUpperCase(), count(each));
          if (each !== "2xx") add(balancerOf(group.loadBalancerId).targets, each, count(each));
        }
      }
    }
    return {
      loadBalancers: [...balancers.values()].map(({ targets, listeners, ...balancer }) => ({
        ...balancer,
        answers: { ...balancer.answers, ...this.#own(balancer.id, listeners, targets) },
      })),
      targetGroups: [...groups.values()],
    };
  }

  /** The load balancer's own answers: those that the listeners gave and no target did. */
  #own(balancer: string, listeners: Readonly<Record<string, number>>, targets: Readonly<Record<string, number>>): Record<string, number> {
    const open = this.#open.get(balancer) ?? {};
    const own: Record<string, number> = {};
    for (const each of classes) {
      const rest = (listeners[each] ?? 0) - (targets[each] ?? 0) - (open[each] ?? 0);
      open[each] = Math.max(0, -rest);
      add(own, each.toUpperCase(), rest);
    }
    if (classes.some((each) => open[each])) this.#open.set(balancer, open);
    else this.#open.delete(balancer);
    return own;
  }
}

/** A load balancer that changes its network is in two for a moment. */
export function together(all: readonly Counted[]): Counted {
  const counters = new Map<string, Record<string, number>>();
  const active = new Map<string, number>();
  for (const each of all) {
    for (const [scope, counts] of each.counters) {
      const sum = counters.get(scope) ?? {};
      for (const [name, count] of Object.entries(counts)) add(sum, name, count);
      counters.set(scope, sum);
    }
    for (const [scope, count] of each.active) active.set(scope, (active.get(scope) ?? 0) + count);
  }
  return { counters, active };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function add(counts: Record<string, number>, name: string, count: number): void {
  if (count > 0) counts[name] = (counts[name] ?? 0) + count;
}

function timesOf(counts: Readonly<Record<string, number>>): [number, number][] {
  const times = new Map<number, number>();
  for (const [key, count] of Object.entries(counts)) {
    const time = timeOf(key);
    if (time) times.set(time.seconds, (times.get(time.seconds) ?? 0) + count * time.weight);
  }
  return [...times].toSorted(([a], [b]) => a - b);
}
