import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { access, rm } from "node:fs/promises";
import { join } from "node:path";
import type { InstanceIdentity, InstanceReport, InstanceReportMessage, LocalInstance } from "#agent-protocol/instances.ts";
import type { Clock } from "#platform/clock.ts";
import { sleep } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { AgentConfig } from "../config.ts";
import { socketDirectory } from "../containerd/daemon.ts";
import type { Network } from "../network/network.ts";
import type { Attachment } from "../task/state.ts";
import { apiPlaceOf, updateInstanceFile, writeIdentity, writeInstanceFiles } from "./files.ts";
import {
  endMachine,
  instanceMain,
  isAlive,
  isOfEarlierBoot,
  readConsole,
  removeMachineFiles,
  shutDownMachine,
  sourcesOf,
  startMachine,
  type MachineProcess,
} from "./machine.ts";
import { startRelay, type Relay } from "./relay.ts";

/**
 * The local EC2 instances of this machine: what is to be comes from the control plane, whole; what is, is reported back. Each has a directory, and a record in it that is written before
 * anything is made and removed after everything is gone:
 *
 *     <home>/instances/<id>/instance.json   the record    shared/   what the instance reads of itself
 *     <home>/instances/<id>/disk/, work/    its own files  console.log
 *
 * An instance outlives this process, as tasks do. After a crash at any point the records, the kernel's processes and cgroups are the truth.
 */
export interface Instances {
  /** Records of an earlier life. Before the network's `reconcile`. */
  adopt(): void;
  start(): Promise<void>;
  update(instances: readonly LocalInstance[]): void;
  /** Who the instances are, whole; before they are to be. Kept in memory and in the instances themselves. */
  identify(identities: readonly InstanceIdentity[]): void;
  connected(send: (message: InstanceReportMessage) => void): void;
  disconnected(): void;
  /** Instances run on. */
  close(): Promise<void>;
  tearDown(): Promise<void>;
}

interface Kept {
  readonly instance: LocalInstance;
  readonly attachment: Attachment;
  /** The boot that was begun last. */
  readonly boot: number;
  readonly machine?: MachineProcess;
  /** It ended by itself in this boot. */
  readonly ended?: boolean;
}

interface Own {
  kept: Kept | undefined;
  wanted: LocalInstance | undefined;
  report: InstanceReport | undefined;
  work: Promise<void>;
  /** Whatever waits stops waiting: another state is wanted. */
  interrupt: AbortController;
}

const graceMs = 3_000;
const lookMs = 250;
const readyLookMs = 50;
const retryMs = 2_000;

export function createInstances(options: {
  readonly config: AgentConfig;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}): Instances {
  const { config, network, clock, random, log } = options;
  const root = join(config.home, "instances");
  const api = join(socketDirectory(config.home), "instances");
  const all = new Map<string, Own>();
  const over = new AbortController();
  let identities: ReadonlyMap<string, InstanceIdentity> = new Map();
  let relay: Promise<Relay> | undefined;
  let send: ((message: InstanceReportMessage) => void) | undefined;
  let told = "";
  let cancelLook = () => {};

  const directoryOf = (id: string) => join(root, id);
  const cgroupOf = (id: string) => `/gantry-${config.instance}/instances/${id}`;

  const place = apiPlaceOf(config.endpoint);
  const attempt = (id: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      log.warn({ err: error, instance: id }, "what the instance is to know of itself could not be written");
    }
  };

  const write = (own: Own, kept: Kept): Kept => {
    own.kept = kept;
    const directory = directoryOf(kept.instance.instanceId);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const draft = join(directory, "instance.json.new");
    writeFileSync(draft, JSON.stringify(kept), { mode: 0o600 });
    renameSync(draft, join(directory, "instance.json"));
    return kept;
  };

  const say = (own: Own, report: InstanceReport | undefined) => {
    own.report = report;
    const instances = [...all.values()].flatMap(({ report: each }) => each ?? []);
    const text = JSON.stringify(instances);
    if (!send || text === told) return;
    told = text;
    send({ messageId: random.uuid(), instances });
  };

  /** What API the instances reach: this machine's own, through a socket. */
  const openRelay = () => {
    const { hostname } = new URL(config.endpoint);
    return (relay ??= startRelay({ path: join(api, "api.sock") }, { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: place.apiPort }));
  };

  async function pass(id: string, own: Own): Promise<void> {
    const { wanted, interrupt } = own;
    const { signal } = interrupt;
    if (!wanted) return remove(id, own);
    let kept = own.kept;
    const alive = kept?.machine !== undefined && isAlive(kept.machine);
    if (wanted.desired === "stopped") {
      if (alive || kept?.machine) await stop(id, own, kept!);
      kept = write(own, { instance: wanted, attachment: own.kept?.attachment ?? allocate(wanted), boot: wanted.boot });
      say(own, { instanceId: id, state: "stopped", boot: kept.boot, ready: false });
      return;
    }
    if (kept && kept.boot === wanted.boot) {
      if (alive) return watch(id, own, kept, signal);
      if (kept.ended) return say(own, await endedReport(id, kept));
      if (kept.machine && !isOfEarlierBoot(kept.machine)) {
        await endMachine(directoryOf(id), cgroupOf(id));
        kept = write(own, { ...kept, machine: undefined, ended: true });
        log.info({ instance: id }, "the instance has ended by itself");
        return say(own, await endedReport(id, kept));
      }
    } else if (alive) await stop(id, own, kept!);
    await boot(id, own, wanted, signal);
    if (own.kept) await watch(id, own, own.kept, signal);
  }

  /** From the first report on an instance of an earlier life is named: one that is not named counts as gone. */
  const foundReport = (id: string, { instance, boot: number, machine, ended }: Kept): InstanceReport => {
    const runs = machine !== undefined && isAlive(machine);
    const state = runs ? "running" : ended ? "ended" : instance.desired === "stopped" ? "stopped" : "pending";
    return { instanceId: id, state, boot: number, ready: runs && existsSync(join(directoryOf(id), "shared", "ready")) };
  };

  const endedReport = async (id: string, { boot: number }: Kept): Promise<InstanceReport> => ({
    instanceId: id,
    state: "ended",
    boot: number,
    ready: false,
    console: await readConsole(directoryOf(id)),
  });

  /** Into the files of an instance that has some. */
  function identifyOne(id: string): void {
    const identity = identities.get(id);
    const directory = directoryOf(id);
    if (identity && existsSync(join(directory, "shared", "instance.json"))) writeIdentity(directory, identity);
  }

  /** What it is called, may be asked and by whom can change while it runs. */
  function refresh(own: Own, wanted: LocalInstance): void {
    const { kept } = own;
    if (!kept?.machine || JSON.stringify(kept.instance) === JSON.stringify(wanted)) return;
    updateInstanceFile(directoryOf(wanted.instanceId), { instance: wanted, ...place });
    write(own, { ...kept, instance: wanted });
  }

  const allocate = ({ instanceId, networkInterface }: LocalInstance): Attachment => network.allocateOwn(instanceId, networkInterface);

  async function boot(id: string, own: Own, wanted: LocalInstance, signal: AbortSignal): Promise<void> {
    const directory = directoryOf(id);
    const since = clock.now();
    const { attachment } = own.kept ?? { attachment: allocate(wanted) };
    const kept = write(own, { instance: wanted, attachment, boot: wanted.boot });
    say(own, { instanceId: id, state: "pending", boot: wanted.boot, ready: false });
    await openRelay();
    await network.attach(attachment, signal);
    await endMachine(directory, cgroupOf(id));
    writeInstanceFiles(
      directory,
      { instance: wanted, ...place },
      {
        home: config.home,
        api,
        sources: sourcesOf(),
        node: process.execPath,
        main: instanceMain,
        compileCache: process.env.NODE_COMPILE_CACHE,
        authority: config.authority,
      },
    );
    signal.throwIfAborted();
    identifyOne(id);
    const machine = await startMachine(directory, attachment.namespace!, {
      cgroup: cgroupOf(id),
      vcpus: wanted.vcpus,
      memoryMiB: wanted.memoryMiB,
    });
    write(own, { ...kept, machine });
    if (own.wanted?.boot === wanted.boot) attempt(id, () => refresh(own, own.wanted!));
    say(own, { instanceId: id, state: "running", boot: wanted.boot, ready: false });
    log.info({ instance: id, type: wanted.instanceType, ms: clock.now() - since }, "the instance is started");
  }

  /** Until it has told that it is ready; from then on `look` sees whether it lives. */
  async function watch(id: string, own: Own, { boot: number, machine }: Kept, signal: AbortSignal): Promise<void> {
    const ready = join(directoryOf(id), "shared", "ready");
    for (;;) {
      const isReady = await access(ready).then(
        () => true,
        () => false,
      );
      if (isReady && !own.report?.ready)
        say(own, { instanceId: id, state: "running", boot: number, ready: true, console: await readConsole(directoryOf(id)) });
      else if (!own.report || own.report.state !== "running") say(own, { instanceId: id, state: "running", boot: number, ready: isReady });
      if (isReady || signal.aborted || over.signal.aborted || !machine || !isAlive(machine)) return;
      await sleep(clock, readyLookMs, signal).catch(() => {});
    }
  }

  async function stop(id: string, own: Own, kept: Kept): Promise<void> {
    say(own, { instanceId: id, state: "stopping", boot: kept.boot, ready: false });
    if (kept.machine) await shutDownMachine(kept.machine, graceMs);
    await endMachine(directoryOf(id), cgroupOf(id));
    write(own, { ...kept, machine: undefined });
  }

  async function remove(id: string, own: Own): Promise<void> {
    const { kept } = own;
    if (kept) {
      if (own.report) say(own, { ...own.report, state: "stopping", ready: false });
      if (kept.machine) await shutDownMachine(kept.machine, graceMs);
      await endMachine(directoryOf(id), cgroupOf(id));
      await network.detach(kept.attachment);
    }
    await removeMachineFiles(directoryOf(id));
    own.kept = undefined;
    if (own.wanted) return;
    all.delete(id);
    say(own, undefined);
  }

  /** One after the other for each instance; what fails is tried again. */
  function wake(id: string, own: Own): void {
    own.work = own.work.then(async () => {
      if (over.signal.aborted) return;
      try {
        await pass(id, own);
      } catch (error) {
        if (own.interrupt.signal.aborted || over.signal.aborted) return;
        log.warn({ err: error, instance: id }, "the instance could not be made as it is to be, it is tried again");
        if (own.report) say(own, { ...own.report, reason: (error as Error).message.slice(0, 300) });
        clock.after(retryMs, () => wake(id, own));
      }
    });
  }

  function look(): void {
    cancelLook = clock.after(lookMs, () => {
      for (const [id, own] of all) if (own.report?.state === "running" && own.kept?.machine && !isAlive(own.kept.machine)) wake(id, own);
      look();
    });
  }

  const newOwn = (): Own => ({
    kept: undefined,
    wanted: undefined,
    report: undefined,
    work: Promise.resolve(),
    interrupt: new AbortController(),
  });

  return {
    adopt() {
      for (const id of list(root)) {
        try {
          const kept = JSON.parse(readFileSync(join(directoryOf(id), "instance.json"), "utf8")) as Kept;
          all.set(id, { ...newOwn(), kept, wanted: kept.instance, report: foundReport(id, kept) });
          network.adopt(kept.attachment);
        } catch {
          // A directory without its record: its making or its end was interrupted, and nothing else is left of it.
          all.set(id, { ...newOwn(), report: { instanceId: id, state: "stopping", boot: 0, ready: false } });
        }
      }
    },
    async start() {
      if (all.size > 0) await openRelay();
      for (const [id, own] of all) wake(id, own);
      look();
    },
    update(instances) {
      const named = new Map(instances.map((each) => [each.instanceId, each]));
      for (const id of named.keys()) if (!all.has(id)) all.set(id, newOwn());
      for (const [id, own] of all) {
        const wanted = named.get(id);
        const same = wanted && own.wanted && own.wanted.desired === wanted.desired && own.wanted.boot === wanted.boot;
        own.wanted = wanted;
        if (same && own.kept?.boot === wanted.boot) {
          if (wanted.desired === "running") attempt(wanted.instanceId, () => refresh(own, wanted));
          continue;
        }
        own.interrupt.abort();
        own.interrupt = new AbortController();
        wake(id, own);
      }
    },
    identify(given) {
      identities = new Map(given.map((each) => [each.instanceId, each]));
      for (const id of identities.keys()) attempt(id, () => identifyOne(id));
    },
    connected(sender) {
      send = sender;
      told = "";
      for (const own of all.values()) {
        if (own.report) say(own, own.report);
      }
      if (told === "") sender({ messageId: random.uuid(), instances: [] });
    },
    disconnected() {
      send = undefined;
    },
    async close() {
      over.abort();
      cancelLook();
      for (const { interrupt } of all.values()) interrupt.abort();
      await Promise.all([...all.values()].map(({ work }) => work));
      await (await relay)?.close();
      await rm(join(api, "api.sock"), { force: true });
    },
    async tearDown() {
      cancelLook();
      for (const [id, own] of all) {
        own.wanted = undefined;
        own.interrupt.abort();
        own.interrupt = new AbortController();
        wake(id, own);
      }
      await Promise.all([...all.values()].map(({ work }) => work));
      await rm(root, { recursive: true, force: true });
    },
  };
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^i-[0-9a-f]+$/.test(name));
  } catch {
    return [];
  }
}
