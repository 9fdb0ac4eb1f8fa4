/** Sessions between their two ends, without sockets and in a time of their own: who is waited for, how long, and what the other is told. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, afterEach, test } from "node:test";
import { decodeMessage, encodeMessage, jsonMessage, messageTypes, parseJson, payloadTypes } from "#agent-protocol/exec/message.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createExecHub, type ExecHub, type NewSession } from "#reconcilers/exec/hub.ts";
import type { Peer } from "#reconcilers/exec/relay.ts";
import { Links } from "#reconcilers/links.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const instance = "/ecs/000000000000/us-east-1/container-instance/default/i1";
const asked: NewSession = {
  scope,
  owner: "arn:aws:iam::000000000000:root",
  target: "ecs:default_t_r",
  taskArn: "arn:aws:ecs:us-east-1:000000000000:task/default/t",
  container: "main",
  instance,
  command: "sh",
  logging: { kind: "NONE" },
};
const random = seededRandom(7);
const home = await mkdtemp(join(tmpdir(), "gantry-hub-"));
let count = 0;
let clock: FakeClock;
let store: Store;
let links: Links;
let hub: ExecHub;

class FakePeer implements Peer {
  readonly got: ReturnType<typeof decodeMessage>[] = [];
  waiting = 0;
  paused = false;
  closed: number | undefined;
  #message: (bytes: Uint8Array) => void = () => {};
  #close: () => void = () => {};
  readonly #sent: (() => void)[] = [];
  reads = true;
  send(bytes: Uint8Array, sent?: () => void) {
    this.got.push(decodeMessage(bytes));
    if (this.reads) sent?.();
    else {
      this.waiting += bytes.length;
      if (sent) this.#sent.push(sent);
    }
  }
  drain() {
    this.reads = true;
    this.waiting = 0;
    for (const sent of this.#sent.splice(0)) sent();
  }
  buffered = () => this.waiting;
  pause = () => void (this.paused = true);
  resume = () => void (this.paused = false);
  close(code: number) {
    this.closed ??= code;
    this.#close();
  }
  terminate() {
    this.close(1006);
  }
  onMessage = (listener: (bytes: Uint8Array) => void) => void (this.#message = listener);
  onClose = (listener: () => void) => void (this.#close = listener);
  says(bytes: Uint8Array) {
    this.#message(bytes);
  }
  types(type: string, payloadType: number = payloadTypes.output, size = 3) {
    this.says(
      encodeMessage({ type, createdAt: 1, sequence: 0, flags: 0, id: random.uuid(), payloadType, payload: Buffer.alloc(size, "x") }),
    );
  }
  get last() {
    return this.got.at(-1);
  }
}

const make = () => createExecHub({ store, clock, random, sealer: createSealer(Buffer.alloc(32, 1)), log: silentLogger, links });
beforeEach(async () => {
  clock = new FakeClock();
  store = await openSqliteStore({ path: join(home, `${++count}.sqlite`), clock });
  links = new Links();
  hub = make();
  await hub.start();
});
afterEach(async () => {
  await hub.stop();
  await store.close();
});
after(() => rm(home, { recursive: true }));

/** The agent takes up what it is told. */
function agentTakes(): { agent: FakePeer } {
  const found = { agent: new FakePeer() };
  links.open(instance, {
    id: 1,
    endpoint: "http://localhost",
    send(frame) {
      if (frame.type === "ExecSessionMessage") hub.agent(frame.message.sessionId, found.agent);
    },
    close() {},
  });
  return found;
}
const closing = (peer: FakePeer) => {
  const message = peer.got.find((each) => each?.type === messageTypes.closed);
  return message && (parseJson(message.payload) as { Output: string }).Output;
};

test("twenty minutes without a word, and not a moment less: sizes and acknowledgements are no words", async () => {
  const { agent } = agentTakes();
  const session = (await hub.open(asked))!;
  const client = new FakePeer();
  hub.client(session.id, client);
  assert.equal(agent.last!.type, messageTypes.start);
  for (let minute = 0; minute < 19; minute++) {
    await clock.advance(60_000);
    client.types(messageTypes.input, payloadTypes.size);
    client.types(messageTypes.acknowledge, 0);
  }
  client.types(messageTypes.input);
  await clock.advance(19 * 60_000);
  agent.types(messageTypes.output);
  await clock.advance(19.9 * 60_000);
  assert.equal(closing(client), undefined);
  await clock.advance(20_000);
  assert.equal(closing(client), "Your session timed out due to inactivity and has been terminated.");
  assert.equal(closing(agent), closing(client));
  const record = (await hub.find(scope, session.id))!;
  assert.equal(record.output, closing(client));
  // A client that was away may still come to hear it.
  assert.equal(hub.byToken(hub.tokenOf(record), session.id)!.output, record.output);
  await clock.advance(60_000);
  assert.equal(hub.byToken(hub.tokenOf(record), session.id), undefined);
});

test("an agent that does not know the message, or is not there, is not connected", async () => {
  assert.equal(await hub.open(asked), undefined);
  links.open(instance, { id: 1, endpoint: "", send() {}, close() {} });
  const opening = hub.open(asked);
  await clock.advance(5_000);
  assert.equal(await opening, undefined);
  const [record] = await hub.list(scope);
  assert.equal(record!.failed, true);
});

test("an agent that goes is waited for a minute; its return finds the client; no other machine's agent is let in", async () => {
  const found = agentTakes();
  const session = (await hub.open(asked))!;
  const client = new FakePeer();
  hub.client(session.id, client);
  found.agent.terminate();
  await clock.advance(50_000);
  const again = new FakePeer();
  assert.equal(hub.forAgent(session.id, `${instance}-other`), undefined);
  hub.agent(session.id, again);
  assert.equal(again.last!.type, messageTypes.start);
  again.types(messageTypes.output);
  assert.equal(client.last!.type, messageTypes.output);
  again.terminate();
  await clock.advance(71_000);
  assert.equal(closing(client), "The connection to the task's machine was lost.");
});

test("a server that is started again knows its sessions; a client that is away is resumed; the end has the agent's words", async () => {
  const { agent } = agentTakes();
  const session = (await hub.open(asked))!;
  await hub.stop();
  assert.equal(agent.closed, 1012);
  hub = make();
  await hub.start();
  assert.equal(hub.byToken(hub.tokenOf(session), session.id)?.id, session.id);
  assert.equal(hub.byToken(hub.tokenOf({ ...session, id: "other" }), session.id), undefined);
  const again = new FakePeer();
  hub.agent(session.id, again);
  assert.equal(again.last!.type, messageTypes.pause);
  const client = new FakePeer();
  hub.client(session.id, client);
  const newer = new FakePeer();
  hub.client(session.id, newer);
  assert.equal(client.closed, 1006);
  assert.equal(again.last!.type, messageTypes.start);
  again.says(jsonMessage(messageTypes.complete, { Output: "over" }, { now: 1, id: random.uuid() }));
  assert.equal(closing(newer), "over");
  await clock.advance(3_000);
  assert.equal(newer.closed, 1000);
  assert.equal(hub.active, 0);
  // Its history lasts 30 days.
  await clock.advance(29 * 86_400_000);
  assert.equal((await hub.list(scope)).length, 1);
  await clock.advance(2 * 86_400_000);
  assert.equal((await hub.list(scope)).length, 0);
});

test("who reads slowly makes the other wait, and is not forgotten", async () => {
  const { agent } = agentTakes();
  const session = (await hub.open(asked))!;
  const client = new FakePeer();
  hub.client(session.id, client);
  client.reads = false;
  for (let sent = 0; sent < 100 && !agent.paused; sent++) agent.types(messageTypes.output, payloadTypes.output, 8_192);
  assert.equal(agent.paused, true);
  assert.ok(client.waiting < 600_000);
  client.drain();
  assert.equal(agent.paused, false);
  client.reads = false;
  for (let sent = 0; sent < 100; sent++) agent.types(messageTypes.output, payloadTypes.output, 8_192);
  assert.equal(agent.paused, true);
  client.terminate();
  assert.equal(agent.paused, false);
});
