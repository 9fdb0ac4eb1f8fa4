/**
 * The agent's session, the hub and a client in one process and a time of their own, with a network that breaks and a server that is killed: nothing is lost, nothing comes twice, and the
 * client hears how it ended.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, test } from "node:test";
import fc from "fast-check";
import { ExecSession } from "#agent/exec/session.ts";
import type { SessionLink } from "#agent/exec/link.ts";
import type { ContainerProcess } from "#agent/runtime.ts";
import type { ExecSessionMessage } from "#agent-protocol/exec/contents.ts";
import {
  acknowledgedSequence,
  acknowledgement,
  decodeMessage,
  flags,
  messageTypes,
  parseJson,
  payloadTypes,
} from "#agent-protocol/exec/message.ts";
import { Inbox, Outbox } from "#agent-protocol/exec/streams.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createExecHub, type ExecHub } from "#reconcilers/exec/hub.ts";
import type { Peer } from "#reconcilers/exec/relay.ts";
import { Links } from "#reconcilers/links.ts";
import { openSqliteStore } from "#store/sqlite.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const instance = "/ecs/000000000000/us-east-1/container-instance/default/i1";
const home = await mkdtemp(join(tmpdir(), "gantry-session-"));
after(() => rm(home, { recursive: true }));
let count = 0;

/** A connection: the server's end is a Peer, the other a listener. What is on its way when it breaks is lost. */
class Wire implements Peer {
  up = true;
  readonly #clock: FakeClock;
  readonly #delayMs: number;
  readonly #there: { message(bytes: Uint8Array): void; closed(): void };
  #message: (bytes: Uint8Array) => void = () => {};
  #close: () => void = () => {};

  constructor(clock: FakeClock, delayMs: number, there: { message(bytes: Uint8Array): void; closed(): void }) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#there = there;
  }

  /** From the far end. */
  says(bytes: Uint8Array): void {
    this.#later(() => this.#message(bytes));
  }
  send(bytes: Uint8Array, sent?: () => void): void {
    this.#later(() => this.#there.message(bytes));
    sent?.();
  }
  buffered = () => 0;
  pause(): void {}
  resume(): void {}
  close(): void {
    this.#later(() => this.terminate());
  }
  terminate(): void {
    if (!this.up) return;
    this.up = false;
    this.#close();
    this.#there.closed();
  }
  onMessage = (listener: (bytes: Uint8Array) => void) => void (this.#message = listener);
  onClose = (listener: () => void) => void (this.#close = listener);
  #later(action: () => void): void {
    this.#clock.after(this.#delayMs, () => void (this.up && action()));
  }
}

/** The far ends come back by themselves, at their own pace. */
class World {
  readonly clock = new FakeClock();
  readonly random = seededRandom(11);
  readonly wires: { agent?: Wire; client?: Wire } = {};
  readonly stdin = new PassThrough({ highWaterMark: 1024 });
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly got: Buffer[] = [];
  readonly typed: Buffer[] = [];
  inputEnded = false;
  killed = false;
  /** The client's own end. */
  over: { readonly output: string | undefined } | undefined;
  exitCode: string | undefined;
  session!: ExecSession;
  hub: ExecHub | undefined;
  gone = false;
  #id = "";
  #ended!: (exitCode: number) => void;
  #store!: Awaited<ReturnType<typeof openSqliteStore>>;
  readonly out = new Outbox(messageTypes.input, () => this.random.uuid());
  readonly #in = new Inbox();
  readonly #delayMs: number;
  readonly #silent: boolean;
  #seen = 0;
  /** A client that reads nothing. */
  stalled = false;
  readonly #links = new Links();

  /** `silent`: the client is a plugin, which acknowledges nothing that it has had. */
  constructor(delayMs = 5, silent = false) {
    this.#delayMs = delayMs;
    this.#silent = silent;
  }

  #makeHub = () =>
    createExecHub({
      store: this.#store,
      clock: this.clock,
      random: this.random,
      sealer: createSealer(Buffer.alloc(32, 1)),
      log: silentLogger,
      links: this.#links,
    });

  async begin(): Promise<void> {
    this.#store = await openSqliteStore({ path: join(home, `${++count}.sqlite`), clock: this.clock });
    this.hub = this.#makeHub();
    await this.hub.start();
    this.#links.open(instance, {
      id: 1,
      endpoint: "http://localhost",
      send: (frame) => void (frame.type === "ExecSessionMessage" && this.#agent(frame.message)),
      close() {},
    });
    const opening = this.hub.open({
      scope,
      owner: "root",
      target: "ecs:default_t_r",
      taskArn: "t",
      container: "main",
      instance,
      command: "x",
      logging: { kind: "NONE" },
    });
    await this.clock.advance(100);
    this.#id = (await opening)!.id;
    this.#client();
    this.#resend();
  }

  async stop(): Promise<void> {
    await this.hub?.stop();
    await this.#store.close();
  }

  /** SIGKILL, and back later. */
  async killServer(awayMs: number): Promise<void> {
    if (!this.hub) return;
    const killed = this.hub;
    this.hub = undefined;
    for (const wire of [this.wires.agent, this.wires.client]) wire?.terminate();
    await killed.stop();
    this.clock.after(awayMs, () => {
      const hub = this.#makeHub();
      void hub.start().then(() => (this.hub = hub));
    });
  }

  #agent(message: ExecSessionMessage): void {
    const process: ContainerProcess = {
      stdin: this.stdin,
      stdout: this.stdout,
      stderr: this.stderr,
      resize: async () => {},
      endInput: async () => void (this.inputEnded = true),
      kill: async () => {
        this.killed = true;
        this.exits(137);
      },
      ended: new Promise((resolve) => (this.#ended = resolve)),
    };
    this.session = new ExecSession(
      {
        message,
        clock: this.clock,
        random: this.random,
        log: silentLogger,
        open: async () => process,
        transcript: async () => undefined,
        cipher: () => assert.fail("nothing is encrypted"),
        containerOver: () => false,
        gone: () => (this.gone = true),
      },
      (own): SessionLink => {
        let closed = false;
        const connect = () => {
          if (closed) return;
          if (!this.hub) return void this.clock.after(250, connect);
          if (!this.hub.forAgent(message.sessionId, instance)) return own.lost("400");
          const wire = new Wire(this.clock, this.#delayMs, {
            message: (bytes) => own.receive(bytes),
            closed: () => {
              if (closed) return;
              own.paused();
              this.clock.after(250, connect);
            },
          });
          this.wires.agent = wire;
          this.hub.agent(message.sessionId, wire);
        };
        this.clock.after(1, connect);
        return {
          send: (bytes) => {
            if (closed || !this.wires.agent?.up) return false;
            this.wires.agent.says(bytes);
            return true;
          },
          backlog: () => 0,
          close: () => {
            closed = true;
            this.wires.agent?.close();
          },
        };
      },
    );
  }

  /** The process has ended, and all that it wrote is read. */
  exits(exitCode: number): void {
    this.#ended(exitCode);
  }

  /** As the plugin does it: a token, or it is over. */
  #client = (): void => {
    if (this.over) return;
    const hub = this.hub;
    if (!hub) return void this.clock.after(200, this.#client);
    if (!hub.remembers(this.#id)) return void (this.over = { output: undefined });
    const wire = new Wire(this.clock, this.#delayMs, {
      message: (bytes) => this.#reads(wire, bytes),
      closed: () => void this.clock.after(150, this.#client),
    });
    this.wires.client = wire;
    hub.client(this.#id, wire);
    for (const again of this.out.reconnected(this.clock.now())) wire.says(again);
  };

  #resend = (): void => {
    const again = this.out.due(this.clock.now());
    if (again) this.#write(again);
    if (!this.over) this.clock.after(100, this.#resend);
  };

  #write(bytes: Uint8Array): void {
    if (this.wires.client?.up) this.wires.client.says(bytes);
  }

  say(payloadType: number, payload: Uint8Array): void {
    this.#write(this.out.add(payloadType, payload, this.clock.now()));
  }

  flag(flag: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(flag);
    this.say(payloadTypes.flag, payload);
  }

  #reads(wire: Wire, bytes: Uint8Array): void {
    if (!wire.up) return;
    if (this.stalled) this.clock.after(100, () => this.#reads(wire, bytes));
    else this.#receive(bytes);
  }

  #receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if (!message || this.over) return;
    if (message.type === messageTypes.acknowledge) this.out.acknowledged(acknowledgedSequence(message)!, this.clock.now());
    else if (message.type === messageTypes.closed) this.over = { output: (parseJson(message.payload) as { Output: string }).Output };
    else if (message.type === messageTypes.output) {
      const { acknowledge, messages } = this.#in.accept(message);
      if (acknowledge && !(this.#silent && message.sequence < this.#seen))
        this.#write(acknowledgement(message, { now: this.clock.now(), id: this.random.uuid() }));
      this.#seen += messages.length;
      for (const { payloadType, payload } of messages)
        if (payloadType === payloadTypes.handshakeRequest)
          this.say(
            payloadTypes.handshakeResponse,
            Buffer.from(JSON.stringify({ ClientVersion: "x", ProcessedClientActions: [], Gantry: { terminal: false } })),
          );
        else if (payloadType === payloadTypes.exitCode) this.exitCode = Buffer.from(payload).toString();
        else if (payloadType === payloadTypes.output) this.got.push(Buffer.from(payload));
    }
  }

  /** In a time of their own, at most so long. */
  async until(what: () => boolean, mostMs = 90_000): Promise<void> {
    for (let passed = 0; !what() && passed < mostMs; passed += 100) await this.clock.advance(100);
  }
}

async function world<T>(use: (made: World) => Promise<T>, delayMs?: number, silent?: boolean): Promise<T> {
  const made = new World(delayMs, silent);
  await made.begin();
  try {
    return await use(made);
  } finally {
    await made.stop();
  }
}

const piece = fc.record({ size: fc.integer({ min: 1, max: 20_000 }), gapMs: fc.nat(300) });
const trouble = fc.record({ afterMs: fc.nat(1_500), who: fc.constantFrom("client", "agent", "server"), awayMs: fc.nat(4_000) });

test("whenever connections break and the server is killed, in the last moment too: all output, all input, the exit code, the end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { minLength: 1, maxLength: 6 }),
      fc.array(piece, { minLength: 1, maxLength: 6 }),
      fc.array(trouble, { maxLength: 5 }),
      fc.nat(40),
      fc.boolean(),
      (outputs, inputs, troubles, delayMs, silent) =>
        world(
          async (made) => {
            const { clock } = made;
            made.stdin.on("data", (bytes: Buffer) => made.typed.push(bytes));
            let at = 0;
            for (const { afterMs, who, awayMs } of troubles) {
              at += afterMs;
              clock.after(at, () => (who === "server" ? void made.killServer(awayMs) : made.wires[who]?.terminate()));
            }
            const written: Buffer[] = [];
            at = 0;
            for (const { size, gapMs } of outputs)
              clock.after((at += gapMs), () => {
                written.push(Buffer.alloc(size, written.length));
                made.stdout.write(written.at(-1)!);
              });
            const lastOutput = at;
            const said: Buffer[] = [];
            at = 0;
            for (const { size, gapMs } of inputs)
              clock.after((at += gapMs), () => {
                said.push(Buffer.alloc(size, said.length + 100));
                for (let from = 0; from < size; from += 8192) made.say(payloadTypes.output, said.at(-1)!.subarray(from, from + 8192));
              });
            clock.after(at + 1, () => made.flag(flags.disconnectToPort));
            // As `cat` would: it ends at the end of its input, once everything was read.
            await made.until(
              () => made.inputEnded && clock.now() > lastOutput && made.stdout.readableLength === 0 && written.length === outputs.length,
            );
            made.exits(7);
            await made.until(() => made.over !== undefined && made.gone);
            assert.deepEqual(made.over, { output: "" });
            assert.equal(made.exitCode, "7");
            assert.ok(Buffer.concat(made.got).equals(Buffer.concat(written)), "the output");
            assert.ok(Buffer.concat(made.typed).equals(Buffer.concat(said)), "the input");
            assert.equal(made.gone, true);
          },
          delayMs,
          silent,
        ),
    ),
    { numRuns: 100 },
  );
});

test("a process that does not read its input can be ended", async () => {
  await world(async (made) => {
    await made.clock.advance(200);
    for (let at = 0; at < 200; at++) {
      made.say(payloadTypes.output, Buffer.alloc(8192));
      if (at % 20 === 0) await made.clock.advance(50);
    }
    await made.clock.advance(5_000);
    assert.ok(made.out.waitingBytes > 0, "not all of it was taken");
    made.flag(flags.terminateSession);
    await made.until(() => made.over !== undefined, 10_000);
    assert.deepEqual([made.over, made.killed], [{ output: "" }, true]);
  });
});

test("a client whose connection breaks with the last word on its way hears it", async () => {
  await world(async (made) => {
    await made.clock.advance(200);
    // Neither the client nor the server notices before the end was said.
    await made.hub!.end((await made.hub!.list(scope))[0]!.id, "the reason");
    made.wires.client!.terminate();
    await made.until(() => made.over !== undefined, 5_000);
    assert.deepEqual(made.over, { output: "the reason" });
    // The agent's end as well.
    await made.until(() => made.gone, 5_000);
    assert.deepEqual([made.gone, made.killed], [true, true]);
  });
});

test("the end is told to a server that was away", async () => {
  await world(async (made) => {
    await made.clock.advance(200);
    await made.killServer(10_000);
    void made.session.end("The agent of the task's machine stops.");
    await made.until(() => made.over !== undefined, 20_000);
    assert.deepEqual(made.over, { output: "The agent of the task's machine stops." });
    assert.equal(made.hub!.active, 0);
  });
});

test("what a plugin has had before its connection broke holds nothing up", async () => {
  await world(
    async (made) => {
      await made.clock.advance(1_000);
      // All of it arrives, and no acknowledgement leaves.
      made.stdout.write(Buffer.alloc(200_000, "a"));
      await made.clock.advance(120);
      assert.equal(Buffer.concat(made.got).length, 200_000);
      made.wires.client!.terminate();
      await made.clock.advance(200);
      made.stdout.write(Buffer.alloc(400_000, "b"));
      const began = made.clock.now();
      await made.until(() => Buffer.concat(made.got).length === 600_000);
      made.exits(0);
      await made.until(() => made.over !== undefined);
      assert.equal(Buffer.concat(made.got).length, 600_000);
      assert.ok(made.clock.now() - began < 3_000, `${made.clock.now() - began} ms`);
    },
    50,
    true,
  );
});

test("a plugin that reads nothing for a minute, whose connection breaks meanwhile, misses nothing", async () => {
  await world(
    async (made) => {
      await made.clock.advance(200);
      made.stalled = true;
      made.stdout.write(Buffer.alloc(100_000, "a"));
      for (let broken = 0; broken < 2; broken++) {
        await made.clock.advance(30_000);
        made.wires.client!.terminate();
      }
      made.stalled = false;
      await made.until(() => Buffer.concat(made.got).length === 100_000, 5_000);
      assert.equal(Buffer.concat(made.got).length, 100_000);
    },
    5,
    true,
  );
});
