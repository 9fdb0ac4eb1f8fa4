/**
 * Counts what the HAProxys of one shard carry: the one that listens, and those before it until their last connection has ended. Counters are read when somebody asks, when a server is
 * about to go, and a last time from a process that has nothing left to do; that one ends only then.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "#platform/log.ts";
import { isAlive, type Process } from "./process.ts";
import { ask } from "./runtime-socket.ts";
import { openSession, type Session } from "./session.ts";
import { readStatistics, readTables, type Row } from "./statistics.ts";
import { Tally, type SavedTally } from "./tally.ts";

/** One question is at most 16 KiB. */
const tablesAtOnce = 200;

/** Since the last time, by scope: frontends, backends, `<backend>/<server>`, and `<backend>#` for response times. */
export interface Counted {
  readonly counters: ReadonlyMap<string, Readonly<Record<string, number>>>;
  /** Connections now, by scope. */
  readonly active: ReadonlyMap<string, number>;
}

export const nothingCounted: Counted = { counters: new Map(), active: new Map() };

export interface Counting {
  /** A process has begun. */
  begun(process: Process): void;
  /** Before another takes its place: from here on only this conversation hears of it. */
  replacing(process: Process): Promise<void>;
  /** It goes on after all: its place could not be taken. */
  kept(process: Process): void;
  /** Lets those end that have nothing left to do. */
  look(): Promise<void>;
  /** Whether any is still spoken with. */
  busy(): boolean;
  /** It is no more. */
  exited(process: Process): void;
  /** Servers of a backend are about to go; `gone`, once one has. */
  leaving(process: Process, backend: string): Promise<void>;
  gone(process: Process, backend: string, server: string): void;
  /** Something that HAProxy said in a line of its log. */
  add(scope: string, name: string): void;
  /** Never fails: what could not be read is in the next one. */
  collect(current: Process | undefined): Promise<Counted>;
  /** Ends all conversations, so that processes that only wait for us end too. */
  close(): void;
}

const keyOf = ({ pid, started }: Process) => `${pid} ${started}`;
export const timesScope = (backend: string) => `${backend}#`;

export function createCounting({ directory, log }: { readonly directory: string; readonly log: Logger }): Counting {
  const file = join(directory, "counts.json");
  const replaced = new Map<string, { readonly process: Process; readonly session: Session }>();
  const tally = new Tally(saved());

  function saved(): SavedTally | undefined {
    try {
      return JSON.parse(readFileSync(file, "utf8")) as SavedTally;
    } catch {
      return undefined;
    }
  }

  function save(): void {
    writeFileSync(`${file}.new`, JSON.stringify(tally.save()), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  async function read(process: Process, question: (text: string) => Promise<string>): Promise<Row[]> {
    const key = keyOf(process);
    // Of a process whose beginning nobody saw, counting begins here.
    const take = tally.knows(key) ? tally.take.bind(tally, key) : tally.assume.bind(tally, key);
    const rows = readStatistics(await question("show stat"));
    const answered = new Set<string>();
    for (const { scope, counters } of rows) {
      take(scope, counters);
      const [backend = "", server] = scope.split("/");
      if (server !== undefined && Object.keys(counters).length > 0) answered.add(backend);
    }
    const names = [...answered];
    for (let first = 0; first < names.length; first += tablesAtOnce) {
      const part = names.slice(first, first + tablesAtOnce);
      const tables = readTables(await question(part.map((name) => `show table ${name}`).join(";")));
      for (const [name, counts] of tables) take(timesScope(name), counts);
    }
    return rows;
  }

  function forget(process: Process): void {
    const key = keyOf(process);
    replaced.get(key)?.session.close();
    replaced.delete(key);
    tally.end(key);
  }

  /** Of a process that is no more, what was read last stands. */
  async function hear({ process, session }: { readonly process: Process; readonly session: Session }, whole: boolean): Promise<Row[]> {
    try {
      const info = await session.ask("show info");
      // The one job that is left is this conversation.
      const over = /^Stopping: 1$/m.test(info) && Number(/^Jobs: (\d+)$/m.exec(info)?.[1]) <= 1;
      const rows = whole || over ? await read(process, (text) => session.ask(text)) : [];
      if (!over) return rows;
      forget(process);
      save();
      return [];
    } catch (error) {
      log.debug({ err: error, pid: process.pid }, "an HAProxy that was ending is gone");
      forget(process);
      return [];
    }
  }

  return {
    begun(process) {
      // Those that are spoken with no more have said all that they will.
      for (const key of tally.processes()) if (!replaced.has(key)) tally.end(key);
      tally.begin(keyOf(process));
      save();
    },
    async replacing(process) {
      const key = keyOf(process);
      if (replaced.has(key)) return;
      try {
        const session = await openSession(process.socket);
        replaced.set(key, { process, session });
        // Its tables are emptied as soon as it begins to end; all other counters stay.
        await read(process, (text) => session.ask(text));
      } catch (error) {
        log.warn({ err: error, pid: process.pid }, "what this HAProxy still carries will not be counted");
      }
    },
    kept(process) {
      replaced.get(keyOf(process))?.session.close();
      replaced.delete(keyOf(process));
    },
    async look() {
      for (const each of [...replaced.values()]) await hear(each, false);
    },
    busy: () => replaced.size > 0,
    exited: forget,
    async leaving(process, backend) {
      const key = keyOf(process);
      if (!tally.knows(key)) return;
      const rows = readStatistics(await ask(process.socket, `show stat ${backend} 4 -1`));
      const changed = rows.map(({ scope, counters }) => tally.take(key, scope, counters));
      // What a server that has gone said cannot be read again.
      if (changed.includes(true)) save();
    },
    gone: (process, backend, server) => tally.forget(keyOf(process), `${backend}/${server}`),
    add: (scope, name) => tally.add(scope, name, 1),
    async collect(current) {
      const active = new Map<string, number>();
      const all: Row[] = [];
      for (const each of [...replaced.values()]) all.push(...(await hear(each, true)));
      if (current && isAlive(current))
        await read(current, (text) => ask(current.socket, text)).then(
          (rows) => all.push(...rows),
          (error: unknown) => log.warn({ err: error }, "what HAProxy has carried could not be read, trying again"),
        );
      for (const row of all) if (row.active > 0) active.set(row.scope, (active.get(row.scope) ?? 0) + row.active);
      const counters = tally.drain();
      save();
      return { counters, active };
    },
    close() {
      save();
      for (const { session } of replaced.values()) session.close();
      replaced.clear();
    },
  };
}
