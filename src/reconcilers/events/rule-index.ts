import type { Scope } from "#model/ecs-keys.ts";
import { matches, mayMatch } from "#model/events/match.ts";
import { type Pattern, parsePattern } from "#model/events/pattern.ts";
import { type BusEvent, eventKeys, type RuleRecord } from "#model/events/records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Entry, Store } from "#store/store.ts";
import { followChanges } from "../feed.ts";

interface Compiled {
  readonly rule: RuleRecord;
  readonly pattern: Pattern;
}

/** All rules that wait for events, compiled and in memory: a change that no rule waits for costs a look at an empty map. */
export class RuleIndex {
  readonly #deps: { readonly store: Store; readonly clock: Clock; readonly log: Logger };
  /** By account, region and bus; then by key. */
  readonly #buses = new Map<string, Map<string, Compiled>>();
  readonly #abort = new AbortController();
  #following: Promise<void> | undefined;
  #revision = -1;
  #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];

  constructor(deps: { readonly store: Store; readonly clock: Clock; readonly log: Logger }) {
    this.#deps = deps;
  }

  /** Resolves once the index knows all that was written up to this revision; 0: all that there was. */
  reached(revision = 0): Promise<void> {
    this.#following ??= this.#follow();
    if (this.#revision >= revision || this.#abort.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ revision, resolve }));
  }

  get empty(): boolean {
    return this.#revision >= 0 && this.#buses.size === 0;
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    for (const { resolve } of this.#waiting) resolve();
    await this.#following;
  }

  /** Whether some rule could wait for events like this. */
  wants(scope: Scope, bus: string, source: string, detailType: string): boolean {
    for (const { pattern } of this.#buses.get(busOf(scope, bus))?.values() ?? []) if (mayMatch(pattern, source, detailType)) return true;
    return false;
  }

  matching(scope: Scope, bus: string, event: BusEvent): readonly RuleRecord[] {
    const rules = this.#buses.get(busOf(scope, bus));
    if (!rules) return [];
    return [...rules.values()].filter(({ pattern }) => matches(pattern, { ...event })).map(({ rule }) => rule);
  }

  #follow(): Promise<void> {
    return followChanges({
      ...this.#deps,
      prefix: eventKeys.everything,
      signal: this.#abort.signal,
      behind: async () => {
        const { entries, revision } = await this.#deps.store.list(eventKeys.everything);
        this.#buses.clear();
        for (const entry of entries) this.#put(entry);
        return revision;
      },
      changed: (event) => (event.type === "put" ? this.#put(event.entry) : this.#delete(event.key)),
      reached: (revision) => {
        this.#revision = Math.max(this.#revision, revision);
        for (const { resolve } of this.#waiting.filter((each) => each.revision <= this.#revision)) resolve();
        this.#waiting = this.#waiting.filter((each) => each.revision > this.#revision);
      },
    });
  }

  #put({ key, value }: Entry): void {
    const at = placeOf(key);
    if (!at) return;
    const rule = value as RuleRecord;
    this.#delete(key);
    if (rule.state === "DISABLED" || rule.pattern === undefined || rule.targets.length === 0) return;
    let rules = this.#buses.get(at);
    if (!rules) this.#buses.set(at, (rules = new Map()));
    rules.set(key, { rule, pattern: parsePattern(rule.pattern) });
  }

  #delete(key: string): void {
    const at = placeOf(key);
    const rules = at === undefined ? undefined : this.#buses.get(at);
    if (rules?.delete(key) && rules.size === 0) this.#buses.delete(at!);
  }
}

const busOf = ({ account, region }: Scope, bus: string) => `${account}/${region}/${encodeURIComponent(bus)}`;

function placeOf(key: string): string | undefined {
  const [, , account, region, kind, bus, name] = key.split("/");
  return kind === "rule" && name !== undefined ? `${account}/${region}/${bus}` : undefined;
}
