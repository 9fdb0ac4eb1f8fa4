import type { ExecSessionMessage, HandshakeResponse, Size } from "#agent-protocol/exec/contents.ts";
import {
  acknowledgedSequence,
  acknowledgement,
  type ChannelMessage,
  decodeMessage,
  flags,
  jsonMessage,
  messageTypes,
  parseJson,
  payloadTypes,
} from "#agent-protocol/exec/message.ts";
import { Inbox, Outbox } from "#agent-protocol/exec/streams.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { ContainerProcess, TerminalSize } from "../runtime.ts";
import { challengeOf, type SessionCipher } from "./encryption.ts";
import { agreedOf, handshakeComplete, handshakeRequest } from "./handshake.ts";
import type { SessionLink } from "./link.ts";
import type { Transcript } from "./transcript.ts";

/** Sent and not acknowledged: a client that does not read makes the process wait. */
const windowBytes = 256 * 1024;
const pieceBytes = 8 * 1024;
/** What was typed and not taken by the process. */
const mostInput = 1024 * 1024;
const enoughInput = 128 * 1024;
/** The plugin tells its terminal's size as soon as the handshake is over. */
const sizeWaitMs = 500;
/** How long the last words wait for a client that is connected and one that is not. */
const lastWordsMs = 30_000;
/** How long a server that is away is told the end again. */
const farewellMs = 60_000;

export interface SessionOptions {
  readonly message: ExecSessionMessage;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Throws the sentence for which there is no session. */
  readonly open: (options: { readonly terminal: TerminalSize | undefined }) => Promise<ContainerProcess>;
  readonly transcript: (on: { caughtUp(): void; failed(reason: string): void }) => Promise<Transcript | undefined>;
  /** Only where the cluster names a KMS key. */
  readonly cipher: (ciphertextKey: string) => Promise<SessionCipher>;
  /** The container's process has ended too. */
  readonly containerOver: () => boolean;
  /** Nothing is left of it. */
  readonly gone: () => void;
}

/**
 * The agent's end of a session: the handshake, then the command's streams, to which the client's messages lead. Begins when the client is there; the server only
 * passes messages on. Owns the process and the link.
 */
export class ExecSession {
  readonly #options: SessionOptions;
  readonly #link: SessionLink;
  readonly #out: Outbox;
  readonly #in = new Inbox();
  /** A client is connected. */
  #publishing = false;
  #stage: "waiting" | "handshake" | "challenge" | "running" | "over" = "waiting";
  #began = 0;
  #challenge: ReturnType<typeof challengeOf> | undefined;
  #cipher: SessionCipher | undefined;
  #terminal = true;
  /** The client is `./gantry exec`. */
  #ours = false;
  #process: ContainerProcess | undefined;
  #transcript: Transcript | undefined;
  /** What came before the process was there. */
  readonly #owed: ChannelMessage[] = [];
  #held: ChannelMessage[] = [];
  #heldBytes = 0;
  #size: TerminalSize | undefined;
  #sized: (() => void) | undefined;
  /** Nobody is to have what it still writes. */
  #discarding = false;
  #cancelResend: (() => void) | undefined;
  #emptied: (() => void) | undefined;

  constructor(options: SessionOptions, link: (session: ExecSession) => SessionLink) {
    this.#options = options;
    this.#out = new Outbox(messageTypes.output, () => options.random.uuid(), { silent: true });
    this.#link = link(this);
  }

  /** From the server. */
  receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if (!message || this.#stage === "over") return;
    const { clock } = this.#options;
    switch (message.type) {
      case messageTypes.start:
        this.#publishing = true;
        if (this.#farewell) this.#link.send(this.#farewell);
        if (this.#stage === "waiting") this.#shakeHands();
        else for (const again of this.#out.reconnected(clock.now())) this.#link.send(again);
        this.#resendLater();
        this.pump();
        return;
      case messageTypes.pause:
        this.paused();
        if (this.#farewell) this.#link.send(this.#farewell);
        return;
      case messageTypes.closed:
        this.#leave();
        return;
      case messageTypes.acknowledge: {
        const sequence = acknowledgedSequence(message);
        if (sequence !== undefined) this.#out.acknowledged(sequence, clock.now());
        if (this.#out.waiting === 0) this.#emptied?.();
        this.#resendLater();
        this.pump();
        return;
      }
      case messageTypes.input: {
        const { acknowledge, messages } = this.#in.accept(message, this.#hasRoom());
        if (acknowledge) this.#acknowledge(message);
        for (const each of messages) this.#take(each);
        // It waits for no input that the process may never take.
        if (!acknowledge && isTermination(message)) this.#finish("").catch(() => undefined);
        return;
      }
      default:
    }
  }

  /** While the process has much to take, the client hears of it later, and waits. Refused, every single message would have to be sent again in its time. */
  #acknowledge(message: ChannelMessage): void {
    this.#owed.push(message);
    this.#acknowledgeOwed();
  }

  #acknowledgeOwed(): void {
    const stdin = this.#process?.stdin;
    if (stdin ? stdin.writable && stdin.writableLength > enoughInput : this.#heldBytes > enoughInput) return;
    for (const message of this.#owed.splice(0)) this.#link.send(acknowledgement(message, this.#stamp()));
  }

  /** The client or the server is away. */
  paused(): void {
    this.#publishing = false;
    this.#cancelResend?.();
    this.#cancelResend = undefined;
  }

  /** The server does not know it any more. */
  lost(reason: string): void {
    this.#options.log.info({ reason }, "a session was lost");
    this.#leave();
  }

  /** The process is ended, and the client told why: once the server has heard it, or could not for a minute. */
  end(reason: string): Promise<void> {
    return this.#finish(reason);
  }

  /** Sends what the process wrote, as much as the client can take. */
  pump(): void {
    const process = this.#process;
    if (!process) return;
    for (const [stream, type] of [
      [process.stdout, payloadTypes.output],
      [process.stderr, payloadTypes.stderr],
    ] as const) {
      while (stream && this.#discarding && stream.read() !== null);
      while (
        stream &&
        !this.#discarding &&
        this.#publishing &&
        this.#out.waitingBytes < windowBytes &&
        this.#link.backlog() < windowBytes
      ) {
        if (this.#transcript?.behind) return;
        const piece = stream.read(Math.max(1, Math.min(pieceBytes, stream.readableLength))) as Buffer | null;
        if (!piece) break;
        this.#transcript?.write(piece);
        this.#send(type, piece);
      }
    }
  }

  #stamp() {
    return { now: this.#options.clock.now(), id: this.#options.random.uuid() };
  }

  #send(type: number, payload: Uint8Array): void {
    const secret = type === payloadTypes.output || type === payloadTypes.stderr || type === payloadTypes.exitCode;
    const body = secret && this.#cipher ? this.#cipher.encrypt(payload) : payload;
    const bytes = this.#out.add(type, body, this.#options.clock.now());
    if (this.#publishing) this.#link.send(bytes);
    this.#resendLater();
  }

  #sendJson(type: number, content: unknown): void {
    this.#send(type, Buffer.from(JSON.stringify(content)));
  }

  #resendLater(): void {
    const at = this.#out.dueAt();
    if (this.#cancelResend || at === undefined || !this.#publishing) return;
    const { clock } = this.#options;
    this.#cancelResend = clock.after(Math.max(10, at - clock.now()), () => {
      this.#cancelResend = undefined;
      // Behind a full connection it would only wait once more.
      for (let again; this.#link.backlog() < windowBytes && (again = this.#out.due(clock.now()));) this.#link.send(again);
      // Nothing to see, but to be acknowledged.
      if (this.#out.wantsNew) this.#send(payloadTypes.output, Buffer.alloc(0));
      if (this.#out.waiting === 0) this.#emptied?.();
      this.pump();
      this.#resendLater();
    });
  }

  #shakeHands(): void {
    this.#stage = "handshake";
    this.#began = this.#options.clock.now();
    this.#sendJson(payloadTypes.handshakeRequest, handshakeRequest(this.#options.message));
  }

  #take(message: ChannelMessage): void {
    const { payloadType, payload } = message;
    if (payloadType === payloadTypes.handshakeResponse && this.#stage === "handshake") {
      this.#answered(parseJson(payload) as HandshakeResponse | undefined).catch((error: unknown) => this.#fail(error));
    } else if (payloadType === payloadTypes.challengeResponse && this.#stage === "challenge") {
      const { Challenge = "" } = (parseJson(payload) ?? {}) as { Challenge?: string };
      if (this.#cipher && this.#challenge?.answered(this.#cipher, Buffer.from(Challenge, "base64"))) this.#complete();
      else this.#fail(new Error("Encryption challenge failed: the client does not have the session's key."));
    } else if (this.#process) this.#toProcess(this.#process, message);
    else {
      if (payloadType === payloadTypes.size) this.#sizeOf(payload);
      else if (isTermination(message)) this.#finish("").catch(() => undefined);
      else {
        this.#held.push(message);
        this.#heldBytes += payload.length;
      }
      this.#sized?.();
    }
  }

  #hasRoom(): boolean {
    return this.#process ? this.#process.stdin.writableLength < mostInput : this.#heldBytes < mostInput;
  }

  async #answered(response: HandshakeResponse | undefined): Promise<void> {
    const { ours, terminal, ciphertextKey } = agreedOf(response);
    this.#ours = ours;
    this.#terminal = terminal;
    if (!this.#options.message.logging.kmsKeyId) return this.#complete();
    this.#stage = "challenge";
    this.#cipher = await this.#options.cipher(ciphertextKey);
    this.#challenge = challengeOf();
    this.#sendJson(payloadTypes.challengeRequest, { Challenge: this.#cipher.encrypt(this.#challenge.challenge).toString("base64") });
  }

  #complete(): void {
    this.#stage = "running";
    this.#sendJson(payloadTypes.handshakeComplete, handshakeComplete(this.#options.clock.now() - this.#began, this.#cipher !== undefined));
    this.#run().catch((error: unknown) => this.#fail(error));
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const failed = (reason: string) => void this.#finish(reason).catch(() => undefined);
    this.#transcript = await this.#options.transcript({ caughtUp: () => this.pump(), failed });
    if (this.#terminal && !this.#size) {
      const sized = new Promise<void>((resolve) => (this.#sized = resolve));
      await Promise.race([sized, sleep(clock, sizeWaitMs)]);
    }
    if (this.#over()) return;
    const process = await this.#options.open({ terminal: this.#terminal ? (this.#size ?? { cols: 80, rows: 24 }) : undefined });
    if (this.#over()) {
      await process.kill();
      process.stdout.resume();
      process.stderr?.resume();
      return;
    }
    this.#process = process;
    for (const stream of [process.stdout, process.stderr]) stream?.on("readable", () => this.pump());
    process.stdin.on("error", () => {});
    process.stdin.on("close", () => this.#acknowledgeOwed());
    const held = this.#held;
    this.#held = [];
    for (const message of held) this.#toProcess(process, message);
    this.pump();
    const exitCode = await process.ended;
    if (this.#ours) this.#send(payloadTypes.exitCode, Buffer.from(String(exitCode)));
    // The container's end is told a moment after that of what ran in it.
    for (let wait = 0; exitCode > 128 && wait < 10 && !this.#options.containerOver(); wait++) await sleep(clock, 50);
    await this.#finish(this.#options.containerOver() ? "The container has stopped." : "", exitCode);
  }

  #toProcess(process: ContainerProcess, message: ChannelMessage): void {
    const { payloadType, payload } = message;
    if (payloadType === payloadTypes.output) {
      try {
        process.stdin.write(this.#cipher ? this.#cipher.decrypt(payload) : Buffer.from(payload), () => this.#acknowledgeOwed());
      } catch (error) {
        this.#fail(error);
      }
    } else if (payloadType === payloadTypes.size) {
      this.#sizeOf(payload);
      if (this.#size && this.#terminal) process.resize(this.#size).catch(() => undefined);
    } else if (isTermination(message)) this.#finish("").catch(() => undefined);
    else if (payloadType === payloadTypes.flag && !this.#terminal && flagOf(message) === flags.disconnectToPort)
      process.endInput().catch(() => undefined);
  }

  #sizeOf(payload: Uint8Array): void {
    const { cols, rows } = (parseJson(payload) ?? {}) as Partial<Size>;
    if (isExtent(cols) && isExtent(rows)) this.#size = { cols, rows };
  }

  #fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.log.info({ reason }, "a session could not begin");
    this.#finish(`----------ERROR-------\n${reason}`).catch(() => undefined);
  }

  #over(): boolean {
    return this.#stage === "over" || this.#finishing !== undefined;
  }

  #finishing: Promise<void> | undefined;
  /** That it is over, said on each connection until the server says so too. */
  #farewell: Buffer | undefined;
  #left: (() => void) | undefined;

  /** Once: what was written is delivered, the transcript closed, the server told. */
  #finish(output: string, exitCode?: number): Promise<void> {
    this.#finishing ??= (async () => {
      const { clock, log } = this.#options;
      if (exitCode === undefined) await this.#end();
      else await this.#delivered();
      await this.#transcript?.finish(`Script done on ${new Date(clock.now()).toISOString()} [COMMAND_EXIT_CODE="${exitCode ?? ""}"]`);
      log.info({ exitCode, output }, "a session has ended");
      if (this.#stage === "over") return;
      this.#farewell = jsonMessage(messageTypes.complete, { Output: output }, this.#stamp());
      this.#link.send(this.#farewell);
      const left = new Promise<void>((resolve) => (this.#left = resolve));
      await Promise.race([left, sleep(clock, farewellMs)]);
      this.#leave();
    })();
    return this.#finishing;
  }

  /** All is acknowledged, or the client does not take it. */
  async #delivered(): Promise<void> {
    const { clock } = this.#options;
    const until = clock.now() + lastWordsMs;
    while (this.#out.waiting > 0 && clock.now() < until && this.#stage !== "over") {
      const emptied = new Promise<void>((resolve) => (this.#emptied = resolve));
      await Promise.race([emptied, sleep(clock, 500)]);
    }
  }

  async #end(): Promise<void> {
    const process = this.#process;
    if (!process) return;
    await process.kill();
    this.#discarding = true;
    this.pump();
    await Promise.race([process.ended, sleep(this.#options.clock, 5_000)]);
  }

  #leave(): void {
    if (this.#stage === "over") return;
    this.#stage = "over";
    this.paused();
    this.#emptied?.();
    this.#left?.();
    this.#link.close();
    void this.#end()
      .catch(() => undefined)
      .then(() =>
        this.#finishing
          ? undefined
          : this.#transcript?.finish(`Script done on ${new Date(this.#options.clock.now()).toISOString()} [TERMINATED]`),
      )
      .catch(() => undefined)
      .then(() => this.#options.gone());
  }
}

const isExtent = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535;
const flagOf = ({ payload }: ChannelMessage) => (payload.length === 4 ? Buffer.from(payload).readUInt32BE(0) : 0);
const isTermination = (message: ChannelMessage) => message.payloadType === payloadTypes.flag && flagOf(message) === flags.terminateSession;
