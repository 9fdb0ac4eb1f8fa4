/**
 * One HAProxy: all load balancers whose targets are reached through the same network. It holds what is wanted and what HAProxy has been told, brings
 * the one to the other, and takes HAProxy's reports. Everything that changes runs one after the other; whatever fails ends in a fresh process, made from
 * what is wanted.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { TargetHealth } from "./config.ts";
import { openBoth, type Lines } from "./lines.ts";
import { namespaceInode } from "./host.ts";
import { mapChanges, pathsBelow, type Plan } from "./plan.ts";
import { recall, remember, sectionsText, writePlan } from "./files.ts";
import { end, isAlive, signal, start, trimLog, type Process } from "./process.ts";
import { readReport, readStates, type CheckReport } from "./reports.ts";
import { ask, command, replaceMap } from "./runtime-socket.ts";
import { createCounting, nothingCounted, type Counted, type Counting } from "./counting.ts";
import { createDrains, type Drains } from "./drains.ts";
import {
  drain,
  healthOf,
  initialOver,
  recognized,
  register,
  reported,
  restored,
  resumed,
  reweigh,
  seen,
  startOf,
  without,
  type Step,
  type Tracked,
} from "./targets.ts";

export interface ShardOptions {
  readonly directory: string;
  readonly socketDirectory: string;
  readonly binary: string;
  readonly threads: number;
  readonly namespace: string | undefined;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onHealth: (health: TargetHealth) => void;
  readonly onAccess: (message: string) => void;
}

/** More old processes than this: the oldest is ended, with whatever it still carries. */
const mostOld = 30;

export class Shard {
  readonly #options: ShardOptions;
  #plan: Plan | undefined;
  /** What the running process has been told. */
  #told: Plan | undefined;
  #current: Process | undefined;
  #old: Process[] = [];
  /** It has been asked to end by the process that takes its place. */
  #replaced: Process | undefined;
  #tracked = new Map<string, Tracked>();
  #lastReport = new Map<string, CheckReport>();
  #drains: Drains;
  readonly #counting: Counting;
  /** Of every process of ours that lives. */
  readonly #lines = new Set<Lines>();
  #tail: Promise<unknown> = Promise.resolve();
  #generation = 0;
  #failures = 0;
  #closed = false;
  #cancelTick: (() => void) | undefined;
  #synced = 0;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#drains = createDrains((question) => ask(this.#socket(), question), {
      leaving: async (backend) => this.#current && this.#counting.leaving(this.#current, backend),
      gone: (backend, name) => this.#current && this.#counting.gone(this.#current, backend, name),
    });
    for (const each of [options.directory, join(options.directory, "files")]) mkdirSync(each, { recursive: true, mode: 0o700 });
    mkdirSync(options.socketDirectory, { recursive: true, mode: 0o711 });
    this.#counting = createCounting(options);
    const remembered = recall(options.directory);
    this.#generation = remembered?.generation ?? 0;
    this.#old = remembered?.old ?? [];
    this.#current = remembered?.current;
    this.#known = new Set(remembered?.files);
  }

  /** Resolves once HAProxy has it. */
  apply(plan: Plan): Promise<void> {
    return this.#inOrder(async () => {
      this.#plan = plan;
      await this.#bring();
    });
  }

  health(): TargetHealth[] {
    return [...this.#tracked.values()].map(healthOf);
  }

  /** What it has carried since the last time. */
  counted(): Promise<Counted> {
    return this.#inOrder(() => this.#counting.collect(this.#current)).catch(() => nothingCounted);
  }

  /** An answer of the load balancer's own. */
  failed = (frontend: string, status: number): void => this.#counting.add(frontend, String(status));

  processes(): readonly Process[] {
    return [...(this.#current ? [this.#current] : []), ...this.#old].filter(isAlive);
  }

  /** Looks after it no longer; HAProxy runs on. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTick?.();
    await this.#tail.catch(() => {});
    this.#counting.close();
    for (const each of this.#lines) each.close();
    this.#lines.clear();
  }

  /** Ends its processes and removes its files. */
  async tearDown(): Promise<void> {
    await this.close();
    await Promise.all(this.processes().map((each) => end(each, this.#options.clock)));
    rmSync(this.#options.directory, { recursive: true, force: true });
    rmSync(this.#options.socketDirectory, { recursive: true, force: true });
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(() => {
      if (this.#closed) throw new Error("the load balancers are closed");
      return work();
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  async #bring(): Promise<void> {
    try {
      if (!this.#told || !this.#current || !isAlive(this.#current) || sectionsText(this.#told) !== sectionsText(this.#plan!))
        await this.#reload();
      else
        await this.#adjust().catch(async (error: unknown) => {
          this.#options.log.warn({ err: error }, "HAProxy refused a change: reloading");
          await this.#reload();
        });
      this.#failures = 0;
    } catch (error) {
      this.#told = undefined;
      this.#failures++;
      throw error;
    } finally {
      this.#tickSoon();
    }
  }

  /** Targets, weights and routes change in the running process. */
  async #adjust(): Promise<void> {
    const plan = this.#plan!;
    const told = this.#told!;
    const now = this.#options.clock.now();
    const paths = pathsBelow(this.#options.directory);
    const changes = mapChanges(told.maps, plan.maps);
    if (!changes) return this.#reload();
    for (const { name, map } of changes) await replaceMap(this.#socket(), paths[name], map);
    const steps: Step[] = [];
    const commands: string[] = [];
    for (const server of plan.servers.values()) {
      const tracked = this.#tracked.get(server.name);
      if (!tracked || tracked.state === "draining") {
        steps.push(register(server, now, this.#drains.has(server)));
        this.#drains.stop(server);
      } else if (tracked.server !== server) {
        if (tracked.server.weight !== server.weight) commands.push(...reweigh(server));
        this.#tracked.set(server.name, { ...tracked, server });
      }
    }
    for (const [name, tracked] of this.#tracked)
      if (!plan.servers.has(name) && tracked.state !== "draining") {
        this.#drains.begin(tracked.server);
        steps.push(drain(tracked, now));
      }
    await command(this.#socket(), [...commands, ...steps.flatMap((step) => step.commands)]);
    for (const step of steps) this.#take(step);
    this.#told = plan;
  }

  /** A new process with all that is wanted, each target as it stood. */
  async #reload(): Promise<void> {
    const plan = this.#plan!;
    const { directory, socketDirectory, clock, log } = this.#options;
    this.#told = undefined;
    await this.#recognize(plan);
    const now = clock.now();
    const starts = [...plan.servers.values()].map((server) => startOf(server, this.#tracked.get(server.name)?.state));
    const socket = join(socketDirectory, `${++this.#generation}.sock`);
    const file = writePlan(directory, plan, starts, {
      statsSocket: socket,
      threads: this.#options.threads,
      user: this.#options.user,
    });
    const inode = this.#options.namespace === undefined ? undefined : await namespaceInode(this.#options.namespace);
    const previous = this.#current;
    this.#replaced = previous;
    const said = await openBoth(socketDirectory, this.#lines, (line) => this.#message(line), this.#options.onAccess);
    if (previous && isAlive(previous)) await this.#counting.replacing(previous);
    const process_ = await start({
      binary: this.#options.binary,
      configuration: file,
      socket,
      logFile: join(directory, "haproxy.log"),
      namespace: inode === undefined ? undefined : { name: this.#options.namespace!, inode },
      previous,
      clock,
      logs: said.fds,
      onExit: (which, how) => {
        // What it wrote last is still being read.
        clock.after(1000, said.forget);
        this.#exited(which, how);
      },
    }).catch((error: unknown) => {
      said.forget();
      if (previous) this.#counting.kept(previous);
      throw error;
    });
    this.#counting.begun(process_);
    said.handedOver();
    log.info({ pid: process_.pid, previous: previous?.pid }, "HAProxy runs");
    this.#current = process_;
    if (previous && isAlive(previous)) this.#old.push(previous);
    this.#endOldest();
    this.#remember();
    const steps = [...plan.servers.values()].map((server) => resumed(server, this.#tracked.get(server.name), now));
    // What drains does so in the process before, out of our sight: its delay is all that we can wait for, unless that process ends.
    for (const [name, tracked] of this.#tracked)
      if (!plan.servers.has(name)) {
        if (!plan.groups.has(tracked.server.backend)) this.#forget(tracked, "Target.NotInUse");
        else if (tracked.state !== "draining") this.#take(drain(tracked, now));
      }
    this.#drains.restart();
    await this.#tell(steps);
    for (const step of steps) this.#take(step);
    this.#told = plan;
    this.#sweepFiles(plan);
  }

  #exited(which: Process, how: string): void {
    this.#old = this.#old.filter(({ pid, started }) => pid !== which.pid || started !== which.started);
    rmSync(which.socket, { force: true });
    this.#counting.exited(which);
    if (this.#closed || which !== this.#current) return;
    if (which === this.#replaced) {
      this.#current = undefined;
      return;
    }
    this.#options.log.error({ pid: which.pid, how }, "HAProxy ended by itself: starting it again");
    this.#current = undefined;
    this.#told = undefined;
    void this.#inOrder(() => this.#bring()).catch((error: unknown) => this.#options.log.error({ err: error }, "HAProxy does not start"));
  }

  #message(message: string): void {
    const report = readReport(message);
    if (!report || this.#closed) return;
    if (!report.passed) this.#lastReport.set(report.server, report);
    const tracked = this.#tracked.get(report.server);
    if (tracked && this.#told) void this.#follow(report.server, (now) => reported(now, report));
  }

  /** A step that a report asks for; if HAProxy refuses its commands, a reload puts it right. */
  #follow(name: string, decide: (tracked: Tracked) => Step | undefined): Promise<void> {
    return this.#inOrder(async () => {
      const tracked = this.#tracked.get(name);
      const step = tracked && this.#told && decide(tracked);
      if (!step) return;
      // Whoever hears that a target is healthy may send it a request at once: HAProxy must know it first.
      const serves = step.tracked.state === "healthy";
      if (!serves) this.#take(step);
      try {
        await command(this.#socket(), step.commands);
        if (serves) this.#take(step);
        await this.#drains.tryRemove();
      } catch (error) {
        if (serves) this.#take(step);
        this.#options.log.warn({ err: error, target: name }, "HAProxy refused a target's change: reloading");
        this.#told = undefined;
        await this.#bring();
      }
    }).catch((error: unknown) => {
      if (!this.#closed) this.#options.log.error({ err: error, target: name }, "a target's change failed");
    });
  }

  #take({ tracked, removed }: Step): void {
    const before = this.#tracked.get(tracked.server.name);
    this.#tracked.set(tracked.server.name, tracked);
    for (const name of removed) this.#drains.remove(tracked.server.backend, name);
    if (tracked.state === "healthy" || tracked.state === "draining") this.#lastReport.delete(tracked.server.name);
    if (before?.state !== tracked.state || before.reason !== tracked.reason) this.#options.onHealth(healthOf(tracked));
  }

  #forget({ server }: Tracked, reason: "Target.NotInUse" | "Target.NotRegistered"): void {
    this.#tracked.delete(server.name);
    this.#options.onHealth(without(server.group.id, server.address, server.port, reason));
  }

  /** What a process from before our own start knows of the targets. */
  async #recognize(plan: Plan): Promise<void> {
    if (this.#tracked.size > 0 || !this.#current || !isAlive(this.#current)) return;
    const states = readStates(await ask(this.#current.socket, "show servers state").catch(() => ""));
    for (const server of plan.servers.values()) {
      const known = recognized(server, states);
      if (known) this.#take({ tracked: restored(server, known), commands: [], removed: [] });
    }
  }

  #tickSoon(): void {
    this.#cancelTick?.();
    if (this.#closed) return;
    const failed = this.#plan !== undefined && this.#told === undefined;
    const busy = this.#drains.busy() || [...this.#tracked.values()].some(({ state }) => state === "initial" || state === "draining");
    const wait = failed
      ? Math.min(5000, 250 * 2 ** Math.min(5, this.#failures))
      : busy
        ? 200
        : this.#options.namespace || this.#counting.busy()
          ? 1000
          : 5000;
    this.#cancelTick = this.#options.clock.after(wait, () => {
      void this.#inOrder(() => this.#tick())
        .catch((error: unknown) => {
          if (!this.#closed) this.#options.log.warn({ err: error }, "looking after HAProxy failed, trying again");
        })
        .finally(() => this.#tickSoon());
    });
  }

  async #tick(): Promise<void> {
    const { clock, namespace } = this.#options;
    if (!this.#plan) return;
    const inode = namespace === undefined ? undefined : await namespaceInode(namespace);
    if (!this.#told || !this.#current || !isAlive(this.#current) || (inode !== undefined && inode !== this.#current.namespace)) {
      this.#told = undefined;
      await this.#bring();
      return;
    }
    const now = clock.now();
    const steps: Step[] = [];
    await this.#counting.look();
    this.#old = this.#old.filter(isAlive);
    for (const tracked of this.#tracked.values())
      if (tracked.state === "initial" && now >= tracked.until) steps.push(initialOver(tracked, this.#lastReport.get(tracked.server.name)));
    if (now - this.#synced >= 5000) {
      this.#synced = now;
      trimLog(join(this.#options.directory, "haproxy.log"));
      const states = readStates(await ask(this.#socket(), "show servers state"));
      steps.push(...[...this.#tracked.values()].flatMap((tracked) => seen(tracked, states) ?? []));
    }
    for (const step of steps) this.#take(step);
    await this.#tell(steps);
    const draining = [...this.#tracked.values()].filter(({ state }) => state === "draining");
    const { over, ended } = await this.#drains.look(draining, now, this.#old.length > 0);
    await command(this.#socket(), ended);
    for (const tracked of over) this.#forget(tracked, "Target.NotRegistered");
    await this.#drains.tryRemove();
  }

  async #tell(steps: readonly Step[]): Promise<void> {
    await command(
      this.#socket(),
      [...steps].flatMap(({ commands }) => commands),
    );
  }

  #socket(): string {
    if (!this.#current) throw new Error("HAProxy does not run");
    return this.#current.socket;
  }

  #endOldest(): void {
    this.#old = this.#old.filter(isAlive);
    for (const each of this.#old.splice(0, Math.max(0, this.#old.length - mostOld))) signal(each, "SIGTERM");
  }

  /** Certificates and bodies of before; an old process has read them. */
  #sweepFiles(plan: Plan): void {
    for (const name of this.#known) if (!plan.files.has(name)) rmSync(join(this.#options.directory, "files", name), { force: true });
    this.#known = new Set(plan.files.keys());
    this.#remember();
  }
  #known = new Set<string>();

  #remember(): void {
    remember(this.#options.directory, { generation: this.#generation, current: this.#current, old: this.#old, files: [...this.#known] });
  }
}
