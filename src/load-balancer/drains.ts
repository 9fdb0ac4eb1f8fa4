/** Servers on their way out of the running process: drained while they have connections, deleted as soon as HAProxy lets them go. */
import { firstName, openName } from "./names.ts";
import type { PlannedServer } from "./plan.ts";
import { readConnections } from "./reports.ts";
import { endSessions, type Present, type Tracked } from "./targets.ts";

export interface Drains {
  begin(server: PlannedServer): void;
  /** It comes back. */
  stop(server: PlannedServer): void;
  /** Which of its servers the process that runs now still has. */
  has(server: PlannedServer): Present;
  remove(backend: string, name: string): void;
  tryRemove(): Promise<void>;
  busy(): boolean;
  /** A new process: it has none of them. */
  restart(): void;
  look(
    draining: readonly Tracked[],
    now: number,
    older: boolean,
  ): Promise<{ readonly over: readonly Tracked[]; readonly ended: readonly string[] }>;
}

/** Who counts what servers have carried reads it before they go. */
export interface Leaving {
  leaving(backend: string): Promise<unknown>;
  gone(backend: string, name: string): void;
}

export function createDrains(ask: (question: string) => Promise<string>, counting: Leaving): Drains {
  const here = new Map<string, { quiet: number }>();
  /** `<backend>/<server>` */
  const leaving = new Set<string>();

  async function removed(name: string): Promise<boolean> {
    const answer = await ask(`set server ${name} state maint; del server ${name}`);
    return /Server deleted|No such server|Can't find server/.test(answer);
  }

  async function tryRemove(): Promise<void> {
    // They are in maintenance: nothing is added any more. Those that only check carry nothing.
    const carried = [...leaving].filter((name) => !name.endsWith(firstName("")));
    for (const backend of new Set(carried.map((name) => name.slice(0, name.indexOf("/"))))) await counting.leaving(backend);
    for (const name of leaving)
      if (await removed(name)) {
        leaving.delete(name);
        const at = name.indexOf("/");
        counting.gone(name.slice(0, at), name.slice(at + 1));
      }
  }

  return {
    begin: (server) => void here.set(server.name, { quiet: 0 }),
    stop(server) {
      here.delete(server.name);
      for (const each of [server.name, openName(server.name)]) leaving.delete(`${server.backend}/${each}`);
    },
    has({ backend, name }) {
      const whole = here.has(name);
      return {
        main: whole || leaving.has(`${backend}/${name}`),
        open: whole || leaving.has(`${backend}/${openName(name)}`),
        first: leaving.has(`${backend}/${firstName(name)}`),
      };
    },
    remove: (backend, name) => void leaving.add(`${backend}/${name}`),
    tryRemove,
    busy: () => leaving.size > 0 || here.size > 0,
    restart() {
      here.clear();
      leaving.clear();
    },
    async look(draining, now, older) {
      const over: Tracked[] = [];
      const ended: string[] = [];
      if (draining.length === 0) return { over, ended };
      const backends = new Set(draining.map(({ server }) => server.backend));
      const used = readConnections((await Promise.all([...backends].map((each) => ask(`show servers conn ${each}`)))).join("\n"));
      for (const tracked of draining) {
        const { server, until } = tracked;
        const drain = here.get(server.name);
        const connections = [server.name, openName(server.name)].reduce(
          (sum, name) => sum + (used.get(`${server.backend}/${name}`) ?? 0),
          0,
        );
        if (drain) drain.quiet = connections === 0 ? drain.quiet + 1 : 0;
        const late = now >= until;
        // Twice in a row: a request may just be on its way to it.
        const quiet = drain ? drain.quiet >= 2 : !older;
        if (!late && (!quiet || older)) continue;
        over.push(tracked);
        if (!drain) continue;
        if (late) ended.push(...endSessions(tracked));
        here.delete(server.name);
        for (const name of [server.name, openName(server.name)]) leaving.add(`${server.backend}/${name}`);
      }
      return { over, ended };
    },
  };
}
