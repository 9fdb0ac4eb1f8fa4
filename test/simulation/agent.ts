import type { FromServer, PayloadTask } from "#agent-protocol/messages.ts";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import type { Channel } from "#services/ecs/agent-endpoint/channel.ts";

/** What the agent reaches of the server that happens to run. Both fail or never answer while there is none. */
export interface ServerDoor {
  /** The server's end of a new connection, or undefined when nobody listens. Throws when the agent is refused. */
  connect(agent: ScriptedAgent): Promise<Channel | undefined>;
  submit(change: StateChange): Promise<void>;
  /** What the health checks say, over telemetry. */
  health(agent: ScriptedAgent, health: readonly Health[]): Promise<void>;
}

export interface Health {
  readonly task: string;
  /** Those with a health check. */
  readonly containers: readonly string[];
  readonly status: "HEALTHY" | "UNHEALTHY";
}

export interface StateChange {
  readonly cluster: string;
  readonly task: string;
  readonly status: string;
  readonly executionStoppedAt?: Date;
  readonly pullStartedAt?: Date;
  readonly containers: readonly {
    readonly containerName: string;
    readonly status: string;
    readonly exitCode?: number;
    readonly reason?: string;
    readonly networkBindings?: readonly {
      readonly bindIP: string;
      readonly containerPort: number;
      readonly hostPort: number;
      readonly protocol: "tcp";
    }[];
  }[];
}

interface Running {
  readonly arn: string;
  readonly family: string;
  readonly containers: readonly string[];
  /** Those with a health check. */
  readonly checked: readonly string[];
  /** Of its first container: any port of the host will do for them. */
  readonly ports: readonly number[];
  health?: Health["status"];
  phase: "pulling" | "running" | "stopped";
  timer: () => void;
}

/**
 * An agent that follows a script drawn from the seed: slow pulls, exit codes, failing starts, reports that come late, twice or again much later,
 * lost connections and silent deaths. What it knows of its tasks outlives its connections, as a real agent's journal does.
 */
export class ScriptedAgent {
  readonly tasks = new Map<string, Running>();
  /** How often each task's containers were started here: never more than once. */
  readonly starts = new Map<string, number>();
  readonly log: string[] = [];
  dismissed = false;
  #nextPort = 32_768;
  #alive = true;
  #channel: Channel | undefined;
  #connecting = false;
  #unsent: StateChange[] = [];
  #sending = false;
  readonly #sent: StateChange[] = [];
  #healthNews = 0;
  #healthTold = 0;
  #tellingHealth = false;
  readonly instance: string;
  readonly cluster: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #door: ServerDoor;
  /** 0: a well-behaved agent. 1: everything that can go wrong does so often. */
  chaos: number;
  /** How long an image takes when nothing goes wrong. */
  pullMs = 200;

  constructor(options: { instance: string; cluster: string; clock: Clock; random: Random; door: ServerDoor; chaos: number }) {
    this.instance = options.instance;
    this.cluster = options.cluster;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#door = options.door;
    this.chaos = options.chaos;
  }

  get connected(): boolean {
    return this.#channel !== undefined;
  }

  /** It would answer. */
  get responsive(): boolean {
    return this.#alive;
  }

  /** Something is still to come from it: an image that it pulls, a report. */
  get busy(): boolean {
    return this.#unsent.length > 0 || [...this.tasks.values()].some(({ phase }) => phase === "pulling");
  }

  get running(): string[] {
    return [...this.tasks.values()].filter(({ phase }) => phase !== "stopped").map(({ arn }) => arn);
  }

  start(): void {
    // A machine that hung has missed what the connection carried: it begins a new one.
    if (!this.#alive) this.drop();
    this.#alive = true;
    void this.#connect();
    void this.#flush();
    this.#tellHealth();
  }

  /** The machine falls silent: no answers, no reports; its containers run on. */
  fallSilent(): void {
    this.#alive = false;
    this.drop();
  }

  /** As fallSilent, but its connection seems to stand: only the missing heartbeats tell. */
  hang(): void {
    this.#alive = false;
  }

  /** The machine loses its power: what ran there has ended, and is reported so when it is back. */
  crash(): void {
    this.fallSilent();
    for (const task of this.tasks.values()) {
      if (task.phase === "stopped") continue;
      const wasRunning = task.phase === "running";
      this.#end(task);
      this.#report(
        task.arn,
        "STOPPED",
        wasRunning ? { exitCode: 137 } : { reason: "CannotStartContainerError: the machine was restarted" },
      );
    }
  }

  /** The task's container ends by itself. */
  exit(arn: string, exitCode: number): void {
    this.#end(this.tasks.get(arn)!);
    this.#report(arn, "STOPPED", { exitCode });
  }

  /** The task's health check fails from here on. */
  sicken(arn: string): void {
    this.tasks.get(arn)!.health = "UNHEALTHY";
    this.#tellHealth();
  }

  /** The connection breaks. Who lives comes back. */
  drop(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.terminate();
    this.#connectSoon();
  }

  #connectSoon(): void {
    this.#clock.after(300, () => void this.#connect());
  }

  /** The server's end has gone. */
  closed(channel: Channel): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    this.#connectSoon();
  }

  async #connect(): Promise<void> {
    if (!this.#alive || this.#channel || this.#connecting || this.dismissed) return;
    this.#connecting = true;
    const channel = await this.#door.connect(this).catch(() => undefined);
    this.#connecting = false;
    if (channel) this.#channel = channel;
    else if (this.#alive && !this.dismissed) this.#clock.after(500 + this.#random.next() * 1000, () => void this.#connect());
  }

  receive(channel: Channel, text: string, reply: (text: string) => void): void {
    if (!this.#alive || this.#channel !== channel) return;
    const frame = JSON.parse(text) as FromServer;
    switch (frame.type) {
      case "HeartbeatMessage":
        reply(JSON.stringify({ type: "HeartbeatAckRequest", message: { messageId: frame.message.messageId } }));
        return;
      case "PayloadMessage": {
        const { messageId, tasks, clusterArn, containerInstanceArn } = frame.message;
        // Stops come before starts.
        for (const task of tasks.toSorted((a, b) => (a.desiredStatus === "STOPPED" ? 0 : 1) - (b.desiredStatus === "STOPPED" ? 0 : 1)))
          this.#take(task);
        if (this.#happens(0.1)) return;
        reply(JSON.stringify({ type: "AckRequest", message: { messageId, cluster: clusterArn, containerInstance: containerInstanceArn } }));
        return;
      }
      case "TaskManifestMessage": {
        const listed = new Set(
          frame.message.tasks.filter(({ desiredStatus }) => desiredStatus === "RUNNING").map(({ taskArn }) => taskArn),
        );
        const stopCandidates = this.running
          .filter((arn) => !listed.has(arn))
          .map((taskArn) => ({ taskArn, taskClusterArn: frame.message.clusterArn }));
        if (stopCandidates.length > 0)
          reply(JSON.stringify({ type: "TaskStopVerificationMessage", message: { messageId: frame.message.messageId, stopCandidates } }));
        return;
      }
      case "TaskStopVerificationAck":
        for (const { taskArn } of frame.message.stopTasks) this.#stop(taskArn);
        return;
      case "InactiveInstanceException":
        this.dismissed = true;
        return;
      default:
        return;
    }
  }

  #take(task: PayloadTask): void {
    const known = this.tasks.get(task.arn);
    if (task.desiredStatus === "STOPPED") {
      if (known) this.#stop(task.arn);
      else {
        const containers = task.containers.map(({ name }) => name);
        this.tasks.set(task.arn, {
          arn: task.arn,
          family: task.family,
          containers,
          checked: [],
          ports: [],
          phase: "stopped",
          timer: () => {},
        });
        this.#report(task.arn, "STOPPED", {});
      }
      return;
    }
    if (known) return;
    const running: Running = {
      arn: task.arn,
      family: task.family,
      containers: task.containers.map(({ name }) => name),
      checked: task.containers.filter(({ healthCheckType }) => healthCheckType !== undefined).map(({ name }) => name),
      ports: (task.containers[0]?.portMappings ?? []).flatMap(({ hostPort, containerPort }) =>
        hostPort === 0 && containerPort !== undefined ? [containerPort] : [],
      ),
      phase: "pulling",
      timer: () => {},
    };
    this.tasks.set(task.arn, running);
    const pullMs = this.#happens(0.2) ? 90_000 * this.#random.next() : this.pullMs;
    running.timer = this.#clock.after(pullMs, () => {
      if (/-nostart$/.test(task.family) || this.#happens(0.15)) {
        running.phase = "stopped";
        this.#report(task.arn, "STOPPED", { reason: "CannotPullContainerError: no such image" });
        return;
      }
      this.starts.set(task.arn, (this.starts.get(task.arn) ?? 0) + 1);
      running.phase = "running";
      this.#report(task.arn, "RUNNING", {});
      this.#live(running);
    });
  }

  /** What becomes of a task that runs, by the name of its family. */
  #live(task: Running): void {
    const exit = (ms: number, exitCode: number) => {
      task.timer = this.#clock.after(ms, () => {
        this.#end(task);
        this.#report(task.arn, "STOPPED", { exitCode });
      });
    };
    const check = (ms: number, status: Health["status"], then = () => {}) => {
      task.timer = this.#clock.after(ms, () => {
        task.health = status;
        this.#tellHealth();
        then();
      });
    };
    const r = () => this.#random.next();
    if (/-job$/.test(task.family)) exit(r() * 20_000, Math.floor(r() * 3));
    else if (/-crash$/.test(task.family)) exit(r() * 1500, 1);
    else if (/-ill$/.test(task.family)) check(2000 + r() * 3000, "UNHEALTHY");
    else if (/-sick$/.test(task.family)) check(1000 + r() * 2000, "HEALTHY", () => check(5000 + r() * 25_000, "UNHEALTHY"));
    else if (task.checked.length > 0)
      check(1000 + r() * 2000, "HEALTHY", () => {
        if (this.#happens(0.1)) this.#perhapsLater(task, () => check(0, "UNHEALTHY"));
      });
    else if (this.#happens(0.05)) this.#perhapsLater(task, () => exit(0, 1));
  }

  /** Unless all is well again by then. */
  #perhapsLater(task: Running, action: () => void): void {
    task.timer = this.#clock.after(60_000 * this.#random.next(), () => {
      if (this.chaos > 0) action();
    });
  }

  #end(task: Running): void {
    task.timer();
    task.phase = "stopped";
    task.health = undefined;
  }

  #stop(arn: string): void {
    const task = this.tasks.get(arn);
    if (!task || task.phase === "stopped") return;
    task.timer();
    const wasRunning = task.phase === "running";
    task.timer = this.#clock.after(this.#random.next() * 3000, () => {
      this.#end(task);
      this.#report(arn, "STOPPED", wasRunning ? { exitCode: 143 } : {});
    });
  }

  #report(arn: string, status: string, container: { exitCode?: number; reason?: string }): void {
    const task = this.tasks.get(arn)!;
    const bindings = status === "RUNNING" && task.ports.length > 0 ? { networkBindings: task.ports.map((port) => this.#bind(port)) } : {};
    const containers = task.containers.map((containerName, at) => ({ containerName, status, ...container, ...(at === 0 ? bindings : {}) }));
    const time = new Date(this.#clock.now());
    const change: StateChange = {
      cluster: this.cluster,
      task: arn,
      status,
      containers,
      ...(status === "STOPPED" ? { executionStoppedAt: time } : { pullStartedAt: time }),
    };
    // Late: what comes after it overtakes it.
    if (this.#happens(0.1)) this.#clock.after(20_000 * this.#random.next(), () => this.#queue(change));
    else this.#queue(change);
  }

  #bind(containerPort: number) {
    return { bindIP: "0.0.0.0", containerPort, hostPort: this.#nextPort++, protocol: "tcp" as const };
  }

  #queue(change: StateChange): void {
    this.#unsent.push(change);
    if (this.#happens(0.2)) this.#unsent.push(change);
    // An old report once more, out of order.
    if (this.#happens(0.2) && this.#sent.length > 0) this.#unsent.push(this.#sent[Math.floor(this.#random.next() * this.#sent.length)]!);
    if (this.#happens(0.2)) this.#unsent.reverse();
    void this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#alive && this.#unsent.length > 0) {
      const change = this.#unsent[0]!;
      const sent = await this.#attempt(change);
      if (sent) {
        this.#unsent.splice(this.#unsent.indexOf(change), 1);
        this.#sent.push(change);
      } else await new Promise<void>((resolve) => void this.#clock.after(1000, resolve));
    }
    this.#sending = false;
  }

  /** False when the server failed or did not answer in time. */
  #attempt(change: StateChange): Promise<boolean> {
    return this.#inTime(
      this.#door.submit(change).then(
        () => !this.#happens(0.05),
        (error: { code?: string }) => error.code === "InvalidParameterException",
      ),
    );
  }

  #inTime(answer: Promise<boolean>): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(5000, () => resolve(false));
      void answer.then((heard) => {
        cancel();
        resolve(heard);
      });
    });
  }

  /** All that is known, again and again until it is heard. */
  #tellHealth(): void {
    this.#healthNews++;
    if (!this.#tellingHealth) void this.#tellHealthOn();
  }

  async #tellHealthOn(): Promise<void> {
    this.#tellingHealth = true;
    while (this.#alive && this.#healthTold < this.#healthNews) {
      const news = this.#healthNews;
      const known = [...this.tasks.values()].flatMap(({ arn, checked, health }) =>
        health ? [{ task: arn, containers: checked, status: health }] : [],
      );
      const heard =
        known.length === 0 ||
        (await this.#inTime(
          this.#door.health(this, known).then(
            () => !this.#happens(0.1),
            () => false,
          ),
        ));
      if (heard) this.#healthTold = news;
      else await new Promise<void>((resolve) => void this.#clock.after(3000, resolve));
    }
    this.#tellingHealth = false;
  }

  #happens(probability: number): boolean {
    return this.#random.next() < probability * this.chaos;
  }
}
