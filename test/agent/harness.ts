import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAgentConfig } from "#agent/config.ts";
import { openJournal, type Journal } from "#agent/journal.ts";
import { createServiceConnect } from "#agent/service-connect/service-connect.ts";
import { createEngine, type Engine } from "#agent/task/engine.ts";
import type { Report } from "#agent/task/report.ts";
import type { World } from "#agent/task/world.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { ScriptedNetwork } from "./scripted-network.ts";
import { ScriptedStorage } from "./scripted-storage.ts";
import { ScriptedRuntime, type Script } from "./scripted-runtime.ts";

/** An engine over the scripted runtime, on a fake clock. `restart` is a crash: everything in memory is gone, journal and runtime stay. */
export class Harness {
  readonly clock = new FakeClock();
  readonly runtime: ScriptedRuntime;
  readonly network = new ScriptedNetwork();
  readonly storage = new ScriptedStorage();
  readonly directory = mkdtempSync(join(tmpdir(), "gantry-runner-"));
  readonly reports: Report[] = [];
  readonly fatal: unknown[] = [];
  writes = 0;
  readonly flushed: string[] = [];
  /** Called at each write of the journal; throwing is the process's death at that moment. */
  onWrite: (when: "before" | "after", method: string) => void = () => {};
  world!: World;
  engine!: Engine;
  #env: Record<string, string>;

  constructor(scripts: Readonly<Record<string, Script>> = {}, env: Record<string, string> = {}) {
    this.runtime = new ScriptedRuntime(this.clock, scripts);
    this.#env = env;
    this.#open();
  }

  #open(): void {
    const config = readAgentConfig({ GANTRY_HOME: this.directory, ...this.#env });
    const journal = this.#watched(openJournal(config.dataDir, () => this.clock.now()));
    this.world = {
      config,
      clock: this.clock,
      random: seededRandom(this.clock.now()),
      log: silentLogger,
      runtime: this.runtime,
      cgroups: { ensure: async () => {}, remove: async () => {} },
      storage: this.storage,
      network: this.network,
      logs: {
        open: async () => {},
        started: () => {},
        resume: () => {},
        finish: async (_context, { name }) => void this.flushed.push(name),
        close: () => {},
      },
      journal,
      registry: { credentials: () => undefined },
      connect: createServiceConnect({
        home: this.directory,
        images: this.runtime.images,
        network: this.network,
        clock: this.clock,
        random: seededRandom(1),
        log: silentLogger,
      }),
      secrets: {
        of: async () => ({ environment: {}, logOptions: {} }),
        registryLogin: async () => undefined,
        forget: () => {},
      },
      metadataVariables: () => ({}),
      cluster: () => "default",
    };
    this.engine = createEngine(this.world, {
      reported: (arn) => this.#take(arn),
      health: () => {},
      fatal: (error) => this.fatal.push(error),
    });
  }

  #watched(journal: Journal): Journal {
    const writes = new Set(["set", "accept", "save", "savePayload", "forget", "queue", "sent", "saveOffset"]);
    return new Proxy(journal, {
      get: (target, name: keyof Journal) => {
        const method = target[name] as (...args: unknown[]) => unknown;
        if (!writes.has(name)) return method;
        return (...args: unknown[]) => {
          this.writes++;
          this.onWrite("before", name);
          const result = method(...args);
          this.onWrite("after", name);
          return result;
        };
      },
    });
  }

  /** The control plane takes every report at once. */
  #take(arn: string): void {
    for (let next = this.world.journal.nextReport(arn); next; next = this.world.journal.nextReport(arn)) {
      this.reports.push(next.report);
      this.world.journal.sent(next);
    }
  }

  async crash(): Promise<void> {
    this.engine.close();
    this.world.journal.close();
    this.#open();
    await this.engine.recover();
    for (const arn of this.world.journal.unsent()) this.#take(arn);
  }

  state(index = 0) {
    const view = this.engine.tasks()[index];
    if (!view) throw new Error("no such task");
    return view.state;
  }

  container(name: string, index = 0) {
    const found = this.state(index).containers.find((container) => container.name === name);
    if (!found) throw new Error(`no container ${name}`);
    return found;
  }

  /** Real file system work is done in between the fake clock's instants. */
  async advance(ms: number): Promise<void> {
    await this.settle();
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) {
      const next = Math.min(end, Math.max(this.clock.now(), this.clock.nextTimer() ?? end));
      await this.clock.advance(next - this.clock.now());
      await this.settle();
      if (next === end) break;
    }
  }

  /** Until the file system has nothing to do for the tasks and nothing was journaled for a while. */
  async settle(): Promise<void> {
    for (let quiet = 0, turns = 0, seen = this.writes; quiet < 8 && turns < 2_000; turns++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const busy = this.writes !== seen || process.getActiveResourcesInfo().some((name) => /^(FSReq|CloseReq)/.test(name));
      seen = this.writes;
      quiet = busy ? 0 : quiet + 1;
    }
  }

  close(): void {
    this.engine.close();
    this.world.journal.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
