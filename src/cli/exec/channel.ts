import { WebSocket } from "ws";
import type { ChannelClosed, HandshakeRequest, HandshakeResponse } from "#agent-protocol/exec/contents.ts";
import {
  acknowledgedSequence,
  acknowledgement,
  type ChannelMessage,
  decodeMessage,
  flags,
  messageTypes,
  parseJson,
  payloadTypes,
} from "#agent-protocol/exec/message.ts";
import { Inbox, Outbox } from "#agent-protocol/exec/streams.ts";

export interface Opened {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

export interface ChannelOptions {
  readonly opened: Opened;
  readonly terminal: boolean;
  /** A new token, or undefined: the session has ended. */
  readonly resume: () => Promise<string | undefined>;
  readonly ready: () => void;
  /** False: no more for now, `drained` says when. */
  readonly output: (stream: "stdout" | "stderr", bytes: Uint8Array) => boolean;
  /** There is room for input again. */
  readonly roomAgain: () => void;
}

/** The exit code, where the command had one, and what the session ended with. */
export interface Ended {
  readonly exitCode: number | undefined;
  readonly output: string;
}

const windowBytes = 256 * 1024;
const pieceBytes = 8 * 1024;
const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** A server that is started again is back before. */
const patienceMs = 60_000;
const refusedMs = 2_000;

/** The client's end of a session: the plugin's protocol, with what is ours in it. */
export class ExecChannel {
  readonly ended: Promise<Ended>;
  readonly #options: ChannelOptions;
  readonly #out = new Outbox(messageTypes.input, () => crypto.randomUUID());
  readonly #in = new Inbox();
  #end!: (ended: Ended) => void;
  #fail!: (error: Error) => void;
  #socket: WebSocket | undefined;
  #token: string;
  #exitCode: number | undefined;
  #over = false;
  #ready = false;
  #timer: NodeJS.Timeout | undefined;
  /** Without an answer from the server since. */
  #awaySince: number | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#token = options.opened.tokenValue;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    this.#connect();
  }

  /** False: no more for now, `roomAgain` says when. */
  input(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length; at += pieceBytes) this.#send(payloadTypes.output, bytes.subarray(at, at + pieceBytes));
    return this.#out.waitingBytes < windowBytes;
  }

  endInput(): void {
    this.#flag(flags.disconnectToPort);
  }

  terminate(): void {
    this.#flag(flags.terminateSession);
  }

  size(cols: number, rows: number): void {
    if (this.#ready) this.#send(payloadTypes.size, Buffer.from(JSON.stringify({ cols, rows })));
  }

  /** What was shown is taken. */
  drained(): void {
    this.#socket?.resume();
  }

  #flag(flag: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(flag, 0);
    this.#send(payloadTypes.flag, payload);
  }

  #send(type: number, payload: Uint8Array): void {
    this.#write(this.#out.add(type, payload, Date.now()));
    this.#resendLater();
  }

  #write(bytes: Uint8Array): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(bytes);
  }

  #connect(): void {
    const { opened } = this.#options;
    const socket = new WebSocket(opened.streamUrl, { perMessageDeflate: false, handshakeTimeout: 10_000, maxPayload: 2 << 20 });
    this.#socket = socket;
    socket.on("error", () => {});
    let openedAt = Infinity;
    socket.on("open", () => {
      openedAt = Date.now();
      socket.send(
        JSON.stringify({
          MessageSchemaVersion: "1.0",
          RequestId: crypto.randomUUID(),
          TokenValue: this.#token,
          ClientId: crypto.randomUUID(),
          ClientVersion: "gantry",
        }),
      );
      for (const again of this.#out.reconnected(Date.now())) socket.send(again);
    });
    socket.on("message", (data) => {
      this.#awaySince = undefined;
      this.#receive(data as Buffer);
    });
    socket.on("close", () => {
      if (this.#over || this.#socket !== socket) return;
      this.#socket = undefined;
      const now = Date.now();
      // One that is refused is closed sooner.
      if (now - openedAt > refusedMs) this.#awaySince = undefined;
      this.#awaySince ??= now;
      this.#again(this.#awaySince).catch((error: Error) => this.#lose(error));
    });
  }

  async #again(since: number): Promise<void> {
    if (Date.now() - since > patienceMs) throw new Error("the server does not take the session's connection");
    if (Date.now() > since) await delay(200);
    for (let wait = 200; !this.#over; wait = Math.min(2_000, wait * 2)) {
      try {
        const token = await this.#options.resume();
        if (token === undefined)
          return this.#finish(this.#exitCode === undefined ? "The session ended while the connection was broken." : "");
        this.#token = token;
        return this.#connect();
      } catch (error) {
        if (Date.now() - since > patienceMs) throw error;
        await delay(wait);
      }
    }
  }

  #receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if (!message || this.#over) return;
    if (message.type === messageTypes.acknowledge) {
      const before = this.#out.waitingBytes;
      const sequence = acknowledgedSequence(message);
      if (sequence !== undefined) this.#out.acknowledged(sequence, Date.now());
      if (before >= windowBytes && this.#out.waitingBytes < windowBytes) this.#options.roomAgain();
    } else if (message.type === messageTypes.output) {
      const { acknowledge, messages } = this.#in.accept(message);
      for (const each of messages) this.#take(each);
      if (acknowledge) this.#write(acknowledgement(message, { now: Date.now(), id: crypto.randomUUID() }));
    } else if (message.type === messageTypes.closed)
      this.#finish(((parseJson(message.payload) ?? {}) as Partial<ChannelClosed>).Output ?? "");
  }

  #take({ payloadType, payload }: ChannelMessage): void {
    if (payloadType === payloadTypes.handshakeRequest) this.#shakeHands((parseJson(payload) ?? {}) as Partial<HandshakeRequest>);
    else if (payloadType === payloadTypes.handshakeComplete) {
      this.#ready = true;
      this.#options.ready();
    } else if (payloadType === payloadTypes.exitCode) this.#exitCode = Number(Buffer.from(payload).toString());
    else if (payloadType === payloadTypes.output || payloadType === payloadTypes.stderr)
      if (!this.#options.output(payloadType === payloadTypes.output ? "stdout" : "stderr", payload)) this.#socket?.pause();
  }

  #shakeHands({ RequestedClientActions = [] }: Partial<HandshakeRequest>): void {
    const response: HandshakeResponse = {
      ClientVersion: "gantry",
      ProcessedClientActions: RequestedClientActions.map(({ ActionType }) =>
        ActionType === "SessionType"
          ? { ActionType, ActionStatus: 1 }
          : { ActionType, ActionStatus: 3, Error: `./gantry exec does not do ${ActionType}; aws ecs execute-command does` },
      ),
      Gantry: { terminal: this.#options.terminal },
    };
    this.#send(payloadTypes.handshakeResponse, Buffer.from(JSON.stringify(response)));
  }

  #resendLater(): void {
    const at = this.#out.dueAt();
    if (this.#timer || at === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const again = this.#socket ? this.#out.due(Date.now()) : undefined;
        if (again) this.#write(again);
        this.#resendLater();
      },
      Math.max(10, at - Date.now()),
    );
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    const socket = this.#socket;
    setTimeout(() => socket?.terminate(), 500).unref();
  }

  #finish(output: string): void {
    this.#stop();
    this.#end({ exitCode: this.#exitCode, output });
  }

  #lose(error: Error): void {
    this.#stop();
    this.#fail(error);
  }
}
