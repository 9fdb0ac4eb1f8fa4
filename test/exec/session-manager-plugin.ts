/**
 * A stand-in for AWS's session-manager-plugin, which this machine need not have: written after its published source (github.com/aws/session-manager-plugin: message,
 * datachannel, session, shellsession), with a codec of its own and none of the server's code, so that a mistake of ours is not made twice. It does what the plugin does in the same order, with
 * its peculiarities: it does not acknowledge what it has had already, it drops output while its session handler is not ready, it sends again only its oldest message, a lone newline becomes a
 * carriage return, and it asks SSM's ResumeSession for a new token when its connection breaks.
 */
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { GenerateDataKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { ResumeSessionCommand, SSMClient } from "@aws-sdk/client-ssm";
import { WebSocket } from "ws";
import { deserialize, type Message, serialize } from "./plugin-message.ts";

export interface PluginOptions {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
  /** Of SSM, for ResumeSession. */
  readonly endpoint: string;
  readonly region: string;
  readonly target: string;
  /** The terminal's, asked every 500 ms. */
  size(): { readonly cols: number; readonly rows: number };
  display(bytes: Uint8Array): void;
  /** Default: at once. */
  readonly handlerReadyAfterMs?: number;
  /** Default, and the plugin's: 5, about five seconds; more where a busy machine may need longer to start a server. */
  readonly resumeRetries?: number;
  /** Test's hand: what arrives may be held back (a terminal that does not read). */
  readonly gate?: () => Promise<void> | undefined;
}

/** config.go */
const resendSleepMs = 100;
const defaultTimeoutMs = 200;
const maxTimeoutMs = 1000;

export class Plugin {
  readonly options: PluginOptions;
  /** The text that the plugin prints at the end. */
  readonly closed: Promise<string>;
  sessionType = "";
  agentVersion = "";
  customerMessage = "";
  resumed = 0;
  acknowledgedTwice = 0;
  #socket: WebSocket | undefined;
  #token: string;
  #expected = 0;
  #next = 0;
  #incoming = new Map<number, Uint8Array>();
  #outgoing: { bytes: Uint8Array; sequence: number; lastSent: number; attempts: number }[] = [];
  #roundTrip = 100;
  #variation = 0;
  #timeout = defaultTimeoutMs;
  #handlerReady = false;
  #encryption: { encrypt(bytes: Uint8Array): Buffer; decrypt(bytes: Uint8Array): Buffer } | undefined;
  #close!: (text: string) => void;
  #over = false;
  #working: Promise<void> = Promise.resolve();
  #lastSize = "";

  constructor(options: PluginOptions) {
    this.options = options;
    this.#token = options.tokenValue;
    this.closed = new Promise((resolve) => (this.#close = resolve));
    void this.closed.then(() => {
      this.#over = true;
      this.#socket?.terminate();
    });
    void this.#resendScheduler();
  }

  async open(): Promise<void> {
    const socket = new WebSocket(this.options.streamUrl, { perMessageDeflate: false });
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    socket.on("error", () => {});
    socket.on("message", (data: Buffer) => {
      // One after the other, as the plugin's own reading does.
      const gate = this.options.gate?.();
      if (gate) {
        socket.pause();
        void gate.then(() => socket.resume());
      }
      this.#working = this.#working.then(() => gate).then(() => this.#receive(new Uint8Array(data)));
      this.#working.catch((error: unknown) => process.stderr.write(`plugin: ${String(error)}\n`));
    });
    socket.on("close", () => {
      if (!this.#over && this.#socket === socket) void this.#resume();
    });
    socket.send(
      JSON.stringify({
        MessageSchemaVersion: "1.0",
        RequestId: randomUUID(),
        TokenValue: this.#token,
        ClientId: randomUUID(),
        ClientVersion: "1.2.707.0",
      }),
    );
  }

  /** The network fails. */
  breakConnection(): void {
    this.#socket?.terminate();
  }

  /** GetResumeSessionParams, then Reconnect: once, and five times again (retry.ExponentialRetryer); each request as often as the SDK for Go does it. */
  async #resume(): Promise<void> {
    const { endpoint, region, sessionId } = this.options;
    const ssm = new SSMClient({ endpoint, region, maxAttempts: 4 });
    const { resumeRetries = 5 } = this.options;
    for (let attempt = 0; attempt <= resumeRetries && !this.#over; attempt++) {
      try {
        const { TokenValue } = await ssm.send(new ResumeSessionCommand({ SessionId: sessionId }));
        if (!TokenValue) return this.#close(`Session: ${sessionId} timed out.\n`);
        this.#token = TokenValue;
        await this.open();
        this.resumed++;
        return;
      } catch {
        await delay(Math.min(5000, 150 * 2 ** attempt));
      }
    }
    if (!this.#over) this.#close("the plugin could not resume");
  }

  send(payloadType: number, given: Uint8Array): void {
    let input = given.length === 1 && given[0] === 10 ? new Uint8Array([13]) : given;
    if (this.#encryption && payloadType === 1) input = this.#encryption.encrypt(input);
    const sequence = this.#next++;
    const bytes = serialize({
      messageType: "input_stream_data",
      sequenceNumber: sequence,
      flags: 0,
      messageId: randomUUID(),
      payloadType,
      payload: input,
    });
    this.#write(bytes);
    this.#outgoing.push({ bytes, sequence, lastSent: Date.now(), attempts: 0 });
  }

  type(text: string): void {
    this.send(1, new TextEncoder().encode(text));
  }

  sendFlag(flag: number): void {
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, flag);
    this.send(10, payload);
  }

  #write(bytes: Uint8Array): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(bytes);
  }

  async #resendScheduler(): Promise<void> {
    while (!this.#over) {
      await delay(resendSleepMs, undefined, { ref: false });
      const front = this.#outgoing[0];
      if (!front || Date.now() - front.lastSent <= this.#timeout) continue;
      front.attempts++;
      this.#write(front.bytes);
    }
  }

  async #receive(raw: Uint8Array): Promise<void> {
    const message = deserialize(raw);
    if (message.messageType === "output_stream_data") await this.#output(message, raw);
    else if (message.messageType === "acknowledge") this.#acknowledged(message);
    else if (message.messageType === "channel_closed") {
      const { Output, SessionId } = json(message) as { Output: string; SessionId: string };
      if (SessionId !== this.options.sessionId) throw new Error("another session's end");
      this.#close(Output === "" ? `\n\nExiting session with sessionId: ${SessionId}.\n\n` : `\n\nSessionId: ${SessionId} : ${Output}\n\n`);
    }
  }

  #acknowledged(message: Message): void {
    const { AcknowledgedMessageSequenceNumber: sequence, AcknowledgedMessageType } = json(message) as {
      AcknowledgedMessageSequenceNumber: number;
      AcknowledgedMessageType: string;
    };
    if (AcknowledgedMessageType !== "input_stream_data") throw new Error("an acknowledgement of nothing that was sent");
    const at = this.#outgoing.findIndex((sent) => sent.sequence === sequence);
    if (at < 0) {
      this.acknowledgedTwice++;
      return;
    }
    const [sent] = this.#outgoing.splice(at, 1);
    const roundTrip = Date.now() - sent!.lastSent;
    this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#roundTrip - roundTrip);
    this.#roundTrip = 0.875 * this.#roundTrip + 0.125 * roundTrip;
    this.#timeout = Math.min(maxTimeoutMs, this.#roundTrip + Math.max(10, 4 * this.#variation));
  }

  #acknowledge(message: Message): void {
    const payload = new TextEncoder().encode(
      JSON.stringify({
        AcknowledgedMessageType: message.messageType,
        AcknowledgedMessageId: message.messageId,
        AcknowledgedMessageSequenceNumber: message.sequenceNumber,
        IsSequentialMessage: true,
      }),
    );
    this.#write(serialize({ messageType: "acknowledge", sequenceNumber: 0, flags: 3, messageId: randomUUID(), payloadType: 0, payload }));
  }

  /** HandleOutputMessage */
  async #output(message: Message, raw: Uint8Array): Promise<void> {
    if (message.sequenceNumber > this.#expected) {
      if (this.#incoming.size < 10_000) {
        this.#acknowledge(message);
        this.#incoming.set(message.sequenceNumber, raw);
      }
      return;
    }
    // What it has had already is not acknowledged again.
    if (message.sequenceNumber < this.#expected) return;
    if (message.payloadType === 5) {
      this.#acknowledge(message);
      await this.#handshakeRequest(message);
    } else if (message.payloadType === 7) {
      this.#acknowledge(message);
      this.#handshakeComplete(message);
    } else if (message.payloadType === 8) {
      this.#acknowledge(message);
      const { Challenge } = json(message) as { Challenge: string };
      const challenge = this.#encryption!.encrypt(this.#encryption!.decrypt(Buffer.from(Challenge, "base64")));
      this.send(9, new TextEncoder().encode(JSON.stringify({ Challenge: challenge.toString("base64") })));
    } else {
      // "processed … as session handler is not ready": neither acknowledged nor kept.
      if (!this.#handlerReady) return;
      this.#display(message);
      this.#acknowledge(message);
    }
    this.#expected++;
    for (let next = this.#incoming.get(this.#expected); next; next = this.#incoming.get(this.#expected)) {
      this.#incoming.delete(this.#expected++);
      this.#display(deserialize(next));
    }
  }

  #display(message: Message): void {
    const secret = this.#encryption && [1, 11, 12].includes(message.payloadType);
    this.options.display(secret ? this.#encryption!.decrypt(message.payload) : message.payload);
  }

  async #handshakeRequest(message: Message): Promise<void> {
    const request = json(message) as {
      AgentVersion: string;
      RequestedClientActions: { ActionType: string; ActionParameters: Record<string, string> }[];
    };
    this.agentVersion = request.AgentVersion;
    const processed = [];
    const errors: string[] = [];
    for (const { ActionType, ActionParameters } of request.RequestedClientActions) {
      try {
        if (ActionType === "SessionType") {
          const { SessionType = "" } = ActionParameters;
          if (!["Standard_Stream", "InteractiveCommands", "NonInteractiveCommands"].includes(SessionType))
            throw new Error(`Unknown session type ${SessionType}`);
          this.sessionType = "Standard_Stream";
          processed.push({ ActionType, ActionStatus: 1, ActionResult: null, Error: "" });
        } else if (ActionType === "KMSEncryption") {
          const ciphertext = await this.#encrypt(ActionParameters["KMSKeyId"]!);
          processed.push({
            ActionType,
            ActionStatus: 1,
            ActionResult: { KMSCipherTextKey: ciphertext, KMSCipherTextHash: null },
            Error: "",
          });
        } else throw new Error(`Unsupported action ${ActionType}`);
      } catch (error) {
        const text = `Failed to process action ${ActionType}: ${(error as Error).message}`;
        processed.push({ ActionType, ActionStatus: 2, ActionResult: null, Error: text });
        errors.push(text);
      }
    }
    const response = { ClientVersion: "1.2.707.0", ProcessedClientActions: processed, Errors: errors.length > 0 ? errors : null };
    this.send(6, new TextEncoder().encode(JSON.stringify(response)));
  }

  async #encrypt(KeyId: string): Promise<string> {
    const { endpoint, region, sessionId, target } = this.options;
    const kms = new KMSClient({ endpoint, region });
    const { Plaintext, CiphertextBlob } = await kms.send(
      new GenerateDataKeyCommand({
        KeyId,
        NumberOfBytes: 64,
        EncryptionContext: { "aws:ssm:SessionId": sessionId, "aws:ssm:TargetId": target },
      }),
    );
    const half = Plaintext!.length / 2;
    const [decryptionKey, encryptionKey] = [Plaintext!.slice(0, half), Plaintext!.slice(half)];
    this.#encryption = {
      encrypt(bytes) {
        const nonce = randomBytes(12);
        const cipher = createCipheriv("aes-256-gcm", encryptionKey, nonce);
        return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
      },
      decrypt(bytes) {
        const cipher = createDecipheriv("aes-256-gcm", decryptionKey, bytes.subarray(0, 12)).setAuthTag(bytes.subarray(-16));
        return Buffer.concat([cipher.update(bytes.subarray(12, -16)), cipher.final()]);
      },
    };
    return Buffer.from(CiphertextBlob!).toString("base64");
  }

  #handshakeComplete(message: Message): void {
    const complete = json(message) as { HandshakeTimeToComplete: number; CustomerMessage: string };
    if (!(complete.HandshakeTimeToComplete > 0)) throw new Error("no duration of the handshake");
    this.customerMessage = complete.CustomerMessage;
    if (this.customerMessage !== "") this.options.display(new TextEncoder().encode(`${this.customerMessage}\n`));
    if (this.sessionType === "") return this.#close("unable to determine SessionType");
    // The handlers are set by another goroutine than the one that reads.
    setTimeout(() => {
      this.#handlerReady = true;
      void this.#watchSize();
    }, this.options.handlerReadyAfterMs ?? 0);
  }

  async #watchSize(): Promise<void> {
    while (!this.#over) {
      const size = JSON.stringify(this.options.size());
      if (size !== this.#lastSize) {
        this.#lastSize = size;
        this.send(3, new TextEncoder().encode(size));
      }
      await delay(500, undefined, { ref: false });
    }
  }
}

const json = (message: Message): unknown => JSON.parse(new TextDecoder().decode(message.payload));

/** session.go, ValidateInputAndStartSession: as the AWS CLI calls it. */
async function main(args: readonly string[]): Promise<void> {
  const [given = "", region = "", operation = "", , parameters = "{}", endpoint = ""] = args;
  if (args.length === 0) {
    process.stdout.write("\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n");
    return;
  }
  if (args.length === 1 && given === "--version") {
    process.stdout.write("1.2.707.0\n");
    return;
  }
  if (operation !== "StartSession") {
    process.stdout.write("Invalid Operation");
    return;
  }
  const text = given.startsWith("AWS_SSM_START_SESSION_RESPONSE") ? process.env[given]! : given;
  // Go's JSON does not tell capitals from small letters: ECS answers `sessionId`, SSM `SessionId`.
  const response = Object.fromEntries(Object.entries(JSON.parse(text) as object).map(([name, value]) => [name.toLowerCase(), value])) as {
    sessionid: string;
    streamurl: string;
    tokenvalue: string;
  };
  const sizeFile = process.env["PLUGIN_SIZE_FILE"];
  const plugin = new Plugin({
    sessionId: response.sessionid,
    streamUrl: response.streamurl,
    tokenValue: response.tokenvalue,
    endpoint,
    region,
    target: (JSON.parse(parameters) as { Target: string }).Target,
    size() {
      if (sizeFile) return JSON.parse(readFileSync(sizeFile, "utf8")) as { cols: number; rows: number };
      const { columns, rows } = process.stdout;
      return columns && rows ? { cols: columns, rows } : { cols: 300, rows: 100 };
    },
    display: (bytes) => void process.stdout.write(bytes),
  });
  process.stdout.write(`\nStarting session with SessionId: ${response.sessionid}\n`);
  for (const [signal, byte] of [
    ["SIGINT", 3],
    ["SIGQUIT", 28],
    ["SIGTSTP", 26],
  ] as const)
    process.on(signal, () => plugin.send(1, new Uint8Array([byte])));
  await plugin.open();
  void (async () => {
    // handleKeyboardInput begins with the session's handlers.
    while (plugin.sessionType === "") await delay(20);
    await delay(100);
    for await (const piece of process.stdin) {
      const bytes = piece as Buffer;
      for (let at = 0; at < bytes.length; at += 1024) {
        plugin.send(1, new Uint8Array(bytes.subarray(at, at + 1024)));
        await delay(1);
      }
    }
  })();
  const last = await plugin.closed;
  process.stdout.write(last, () => process.exit(0));
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
