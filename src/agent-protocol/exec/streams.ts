import { encodeMessage, type ChannelMessage } from "./message.ts";

/**
 * The two directions of a data channel, each numbered from 0. Pure: time and identifiers are given. What was sent is kept until it is acknowledged, each
 * message by itself, and sent again; what came is handed on in order, once. The numbers are the plugin's own.
 * Source: aws/session-manager-plugin, datachannel/streaming.go and config.go.
 */

const firstRoundTripMs = 100;
const firstTimeoutMs = 200;
const longestTimeoutMs = 1_000;
/** A plugin that does not read is not helped by the same bytes again and again; an agent that had no room is. */
const longestBackoffMs = { silent: 10_000, open: 1_000 };
const granularityMs = 10;

interface Sent {
  readonly sequence: number;
  readonly bytes: Buffer;
  sentAt: number;
  /** On this connection. */
  attempts: number;
  /** An earlier connection carried it: the other side may have it. */
  carried: boolean;
  /** When it first went, counted in messages, on this connection. */
  order: number;
}

/** On this connection, before a message that an earlier one carried too is taken as received: the plugin drops the first output while it is not ready for it. */
const attemptsOfCarried = 2;

export class Outbox {
  readonly #type: string;
  readonly #uuid: () => string;
  readonly #silent: boolean;
  readonly #sent = new Map<number, Sent>();
  #next = 0;
  #bytes = 0;
  #order = 0;
  /** The last in `order` that was acknowledged: a connection delivers in order, so that it has delivered all before. */
  #heard = -1;
  #roundTrip = firstRoundTripMs;
  #variation = 0;
  #timeout = firstTimeoutMs;

  /** `silent`: the other side is a plugin, which does not acknowledge what it has already. */
  constructor(type: string, uuid: () => string, { silent = false }: { readonly silent?: boolean } = {}) {
    this.#type = type;
    this.#uuid = uuid;
    this.#silent = silent;
  }

  /** Of what is not acknowledged yet. */
  get waiting(): number {
    return this.#sent.size;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  /** The next message of the stream, to be sent now. */
  add(payloadType: number, payload: Uint8Array, now: number): Buffer {
    const sequence = this.#next++;
    const bytes = encodeMessage({
      type: this.#type,
      createdAt: now,
      sequence,
      flags: sequence === 0 ? 1 : 0,
      id: this.#uuid(),
      payloadType,
      payload,
    });
    this.#sent.set(sequence, { sequence, bytes, sentAt: now, attempts: 1, carried: false, order: this.#order++ });
    this.#bytes += bytes.length;
    return bytes;
  }

  acknowledged(sequence: number, now: number): void {
    const sent = this.#sent.get(sequence);
    if (!sent) return;
    this.#heard = Math.max(this.#heard, sent.order);
    if (sent.attempts === 1) this.#measured(now - sent.sentAt);
    this.#forget(sent);
  }

  /**
   * A message whose time has come; asked until there is none. It is the oldest, for the other side keeps the later ones; with a silent one it may be any that an earlier
   * connection carried: it has some of these, and nobody knows which.
   */
  due(now: number): Buffer | undefined {
    for (const sent of this.#again()) {
      if (now < this.#dueAt(sent)) continue;
      if (sent.carried && sent.attempts >= attemptsOfCarried && this.#proven(sent)) {
        this.#forget(sent);
        continue;
      }
      sent.sentAt = now;
      sent.attempts++;
      return sent.bytes;
    }
    return undefined;
  }

  /** When `due` will have something. */
  dueAt(): number | undefined {
    const times = this.#again().map((sent) => this.#dueAt(sent));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** The silent other side may have all that waits: only a message that is new to it will tell. */
  get wantsNew(): boolean {
    const sent = [...this.#sent.values()];
    return (
      this.#silent && sent.some((each) => each.attempts >= attemptsOfCarried && !this.#proven(each)) && sent.every(({ carried }) => carried)
    );
  }

  /** All that is not acknowledged, in order: a new connection has seen nothing of it. */
  reconnected(now: number): readonly Buffer[] {
    return [...this.#sent.values()].map((sent) => {
      Object.assign(sent, { sentAt: now, attempts: 1, carried: true, order: this.#order++ });
      return sent.bytes;
    });
  }

  /** What may be sent again: all carried ones come before what is new. */
  #again(): readonly Sent[] {
    const found: Sent[] = [];
    for (const sent of this.#sent.values()) {
      if (found.length > 0 && !(this.#silent && sent.carried)) break;
      found.push(sent);
    }
    return found;
  }

  /** It has come on this connection, whatever was said of it. */
  #proven({ order }: Sent): boolean {
    return this.#silent && order < this.#heard;
  }

  #dueAt({ sentAt, attempts }: Sent): number {
    return sentAt + Math.min(longestBackoffMs[this.#silent ? "silent" : "open"], this.#timeout * 2 ** (attempts - 1));
  }

  #forget({ sequence, bytes }: Sent): void {
    this.#sent.delete(sequence);
    this.#bytes -= bytes.length;
  }

  #measured(roundTrip: number): void {
    this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#roundTrip - roundTrip);
    this.#roundTrip = 0.875 * this.#roundTrip + 0.125 * roundTrip;
    this.#timeout = Math.min(longestTimeoutMs, this.#roundTrip + Math.max(granularityMs, 4 * this.#variation));
  }
}

const mostBuffered = 10_000;
const mostBufferedBytes = 4 * 1024 * 1024;

export interface Accepted {
  /** To be acknowledged; otherwise it comes again. */
  readonly acknowledge: boolean;
  /** In order, each once. */
  readonly messages: readonly ChannelMessage[];
}

const refused: Accepted = { acknowledge: false, messages: [] };

export class Inbox {
  #expected = 0;
  #buffered = new Map<number, ChannelMessage>();
  #bytes = 0;

  /** `room`: false while nothing can be taken; then the message is as one that never came. */
  accept(message: ChannelMessage, room = true): Accepted {
    const { sequence } = message;
    // Said again: the acknowledgement may have been lost with its connection.
    if (sequence < this.#expected || this.#buffered.has(sequence)) return { acknowledge: true, messages: [] };
    if (!room) return refused;
    if (sequence > this.#expected) {
      if (this.#buffered.size >= mostBuffered || this.#bytes + message.payload.length > mostBufferedBytes) return refused;
      this.#buffered.set(sequence, message);
      this.#bytes += message.payload.length;
      return { acknowledge: true, messages: [] };
    }
    const messages = [message];
    this.#expected++;
    for (let next = this.#buffered.get(this.#expected); next; next = this.#buffered.get(this.#expected)) {
      this.#buffered.delete(this.#expected++);
      this.#bytes -= next.payload.length;
      messages.push(next);
    }
    return { acknowledge: true, messages };
  }
}
