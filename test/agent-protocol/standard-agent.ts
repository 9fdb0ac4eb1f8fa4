import { WebSocket } from "ws";
import type { FromServer, PayloadMessage, PayloadTask } from "#agent-protocol/messages.ts";
import { scope } from "#test/simulation/records.ts";
import { instanceId } from "./server.ts";

/**
 * An agent at the level of frames, with the standard ECS agent's rules as the shared facts give them: frames without their required
 * members are dropped, a manifest must be newer than all before, each message is acknowledged as it wants to be. It runs nothing: the test says
 * what to report.
 */
export class StandardAgent {
  readonly frames: FromServer[] = [];
  readonly payloads: PayloadMessage[] = [];
  readonly running = new Set<string>();
  /** Tasks that it cannot read: their messages are never acknowledged. */
  readonly unreadable = new Set<string>();
  acknowledge = true;
  closed: { code: number } | undefined;
  #latest = 0;
  readonly socket: WebSocket;
  #waiters: (() => void)[] = [];

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => this.#receive((data as Buffer).toString("utf8")));
    socket.on("close", (code) => {
      this.closed = { code };
      this.#wake();
    });
    socket.on("error", () => {});
  }

  static acsUrl(endpoint: string, instance = instanceId, cluster = "default"): string {
    const query = new URLSearchParams({
      agentHash: "abc",
      agentVersion: "1.83.0",
      clusterArn: cluster,
      containerInstanceArn: instance.startsWith("arn:")
        ? instance
        : `arn:aws:ecs:${scope.region}:${scope.account}:container-instance/default/${instance}`,
      dockerVersion: "DockerVersion: 24.0.0",
      protocolVersion: "2",
      sendCredentials: "true",
      seqNum: "1",
    });
    // As the Go signer writes it: a space is %20.
    return `${endpoint.replace("http", "ws")}/ws?${query.toString().replaceAll("+", "%20")}`;
  }

  static async connect(
    url: string,
    setUp: (agent: StandardAgent) => void = () => {},
    headers: Record<string, string> = {},
  ): Promise<StandardAgent> {
    const socket = new WebSocket(url, { headers });
    const agent = new StandardAgent(socket);
    setUp(agent);
    await new Promise<void>((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return agent;
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as FromServer;
    this.frames.push(frame);
    if (frame.type === "HeartbeatMessage") this.#send("HeartbeatAckRequest", { messageId: frame.message.messageId });
    if (frame.type === "PayloadMessage") this.#payload(frame.message);
    if (frame.type === "TaskManifestMessage") this.#manifest(frame.message);
    if (frame.type === "TaskStopVerificationAck") for (const { taskArn } of frame.message.stopTasks) this.running.delete(taskArn);
    this.#wake();
  }

  #payload(message: PayloadMessage): void {
    if (!message.messageId || !message.clusterArn || !message.containerInstanceArn) return;
    this.payloads.push(message);
    this.#latest = Math.max(this.#latest, message.seqNum);
    for (const task of message.tasks) {
      checkTask(task);
      if (task.desiredStatus === "STOPPED") this.running.delete(task.arn);
      else this.running.add(task.arn);
    }
    if (!this.acknowledge || message.tasks.some(({ arn }) => this.unreadable.has(arn))) return;
    this.#send("AckRequest", {
      cluster: message.clusterArn,
      containerInstance: message.containerInstanceArn,
      messageId: message.messageId,
    });
  }

  #manifest(message: Extract<FromServer, { type: "TaskManifestMessage" }>["message"]): void {
    if (message.timeline <= this.#latest) throw new Error(`a manifest of the past: ${message.timeline} after ${this.#latest}`);
    this.#latest = message.timeline;
    this.#send("AckRequest", {
      cluster: message.clusterArn,
      containerInstance: message.containerInstanceArn,
      messageId: message.messageId,
    });
    const listed = new Set(message.tasks.filter(({ desiredStatus }) => desiredStatus === "RUNNING").map(({ taskArn }) => taskArn));
    const stopCandidates = [...this.running]
      .filter((arn) => !listed.has(arn))
      .map((taskArn) => ({ taskArn, taskClusterArn: message.clusterArn }));
    if (stopCandidates.length > 0) this.#send("TaskStopVerificationMessage", { messageId: message.messageId, stopCandidates });
  }

  #send(type: string, message: object): void {
    this.socket.send(JSON.stringify({ type, message }));
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  /** Waits until `seen` gives something. */
  async until<T>(what: string, seen: () => T | undefined | false, timeoutMs = 60_000): Promise<T> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const value = seen();
      if (value !== undefined && value !== false) return value;
      const left = end - Date.now();
      if (left <= 0) throw new Error(`${what}: not within ${timeoutMs} ms; frames: ${JSON.stringify(this.frames).slice(0, 2000)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  payloadOf(arn: string, desiredStatus: "RUNNING" | "STOPPED"): Promise<PayloadTask> {
    return this.until(`${desiredStatus} of ${arn}`, () =>
      this.payloads.flatMap(({ tasks }) => tasks).find((task) => task.arn === arn && task.desiredStatus === desiredStatus),
    );
  }

  /** The server has read all that was sent so far: it answers a ping after that. */
  async heard(): Promise<void> {
    const answered = new Promise((resolve) => this.socket.once("pong", resolve));
    this.socket.ping();
    await answered;
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.until("close", () => this.closed);
  }
}

/** Members without which the standard agent cannot make a task of it, and texts that it parses. */
function checkTask(task: PayloadTask): void {
  for (const member of ["arn", "taskClusterArn", "family", "version", "desiredStatus"] as const)
    if (typeof task[member] !== "string") throw new Error(`a task without ${member}`);
  for (const container of task.containers) {
    if (!container.name || !container.image) throw new Error("a container without name or image");
    if (typeof container.cpu !== "number" || typeof container.memory !== "number") throw new Error("cpu and memory are numbers");
    if (Array.isArray(container.environment)) throw new Error("environment is a map");
    JSON.parse(container.dockerConfig.config);
    JSON.parse(container.dockerConfig.hostConfig);
    JSON.parse(container.overrides ?? "{}");
  }
}
