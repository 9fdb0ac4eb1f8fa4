/** Servers on their way out of the running process: drained while they have connections, deleted as soon as HAProxy lets them go. */
import { openName } from "./names.ts";
import type { PlannedServer } from "./plan.ts";
import { readConnections } from "./reports.ts";
import { endSessions, type Tracked } from "./targets.ts";

export interface Drains {
  begin(server: PlannedServer): void;
  /** It comes back. */
  stop(name: string): void;
  /** Whether it drains in the process that runs now. */
  has(name: string): boolean;
  remove(backend: string, name: string): void;
  tryRemove(): Promise<void>;
  /** Waits until a server of that name that is on its way out is deleted: it is to be made again. */
  gone(server: PlannedServer): Promise<void>;
  busy(): boolean;
  /** A new process: it has none of them. */
  restart(): void;
  look(
    draining: readonly Tracked[],
    now: number,
    older: boolean,
  ): Promise<{ readonly over: readonly Tracked[]; readonly ended: readonly string[] }>;
}

export function createDrains(ask: (question: string) => Promise<string>): Drains {
  const here = new Map<string, { quiet: number }>();
  /** `<backend>/<server>` */
  const leaving = new Set<string>();

  async function removed(name: string): Promise<boolean> {
    const answer = await ask(`set server ${name} state maint; del server ${name}`);
    return /Server deleted|No such server|Can't find server/.test(answer);
  }

  async function tryRemove(): Promise<void> {
    for (const name of leaving) if (await removed(name)) leaving.delete(name);
  }

  return {
    begin: (server) => void here.set(server.name, { quiet: 0 }),
    stop: (name) => void here.delete(name),
    has: (name) => here.has(name),
    remove: (backend, name) => void leaving.add(`${backend}/${name}`),
    tryRemove,
    async gone({ backend, name }) {
      const names = [`${backend}/${name}`, `${backend}/${openName(name)}`].filter((each) => leaving.has(each));
      for (const each of names) {
        // Only idle connections hold it, or those that a network load balancer left alone: it must go now.
        await ask(`shutdown sessions server ${each}`);
        for (let attempt = 0; !(await removed(each)); attempt++) {
          if (attempt === 40) throw new Error(`HAProxy does not delete ${each}`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        leaving.delete(each);
      }
    },
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
