/**
 * What was counted since it was last asked, out of counters that belong to processes and begin at zero with each: of several at once, of one that was there before us, of a
 * server that went and came back. Pure. What it remembers can be saved, so that nothing is counted twice or lost over a restart.
 */
type Counters = Readonly<Record<string, number>>;

export interface SavedTally {
  /** By process and scope: what it last said. */
  readonly known: Readonly<Record<string, Readonly<Record<string, Counters>>>>;
  readonly pending: Readonly<Record<string, Counters>>;
}

export class Tally {
  readonly #known = new Map<string, Map<string, Counters>>();
  #pending = new Map<string, Record<string, number>>();

  constructor(saved?: SavedTally) {
    for (const [process, scopes] of Object.entries(saved?.known ?? {})) this.#known.set(process, new Map(Object.entries(scopes)));
    for (const [scope, counters] of Object.entries(saved?.pending ?? {})) this.#pending.set(scope, { ...counters });
  }

  /** It has counted nothing yet. */
  begin(process: string): void {
    this.#known.set(process, new Map());
  }

  /** It says no more. */
  end(process: string): void {
    this.#known.delete(process);
  }

  processes(): string[] {
    return [...this.#known.keys()];
  }

  /** Whether what it says can be told from what it said before: not of a process whose beginning nobody saw. */
  knows(process: string): boolean {
    return this.#known.has(process);
  }

  /** All counters of a scope as they stand; those left out are zero. A counter that is less than it was began anew. Says whether anything was counted. */
  take(process: string, scope: string, counters: Counters): boolean {
    let scopes = this.#known.get(process);
    if (!scopes) this.#known.set(process, (scopes = new Map()));
    const before = scopes.get(scope);
    scopes.set(scope, counters);
    let changed = false;
    for (const [name, value] of Object.entries(counters)) {
      const last = before?.[name] ?? 0;
      const more = value >= last ? value - last : value;
      this.add(scope, name, more);
      changed ||= more > 0;
    }
    return changed;
  }

  /** Where counting begins, for a process whose beginning nobody saw. */
  assume(process: string, scope: string, counters: Counters): void {
    let scopes = this.#known.get(process);
    if (!scopes) this.#known.set(process, (scopes = new Map()));
    scopes.set(scope, counters);
  }

  /** The scope is gone from the process; should it come back, it begins at zero. */
  forget(process: string, scope: string): void {
    this.#known.get(process)?.delete(scope);
  }

  add(scope: string, name: string, count: number): void {
    if (count <= 0) return;
    let counters = this.#pending.get(scope);
    if (!counters) this.#pending.set(scope, (counters = {}));
    counters[name] = (counters[name] ?? 0) + count;
  }

  /** Everything since the last time. */
  drain(): ReadonlyMap<string, Counters> {
    const all = this.#pending;
    this.#pending = new Map();
    return all;
  }

  save(): SavedTally {
    return {
      known: Object.fromEntries([...this.#known].map(([process, scopes]) => [process, Object.fromEntries(scopes)])),
      pending: Object.fromEntries(this.#pending),
    };
  }
}
