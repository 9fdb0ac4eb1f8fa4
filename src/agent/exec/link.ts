import { WebSocket } from "ws";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { Backoff } from "../control/backoff.ts";
import type { Random } from "#platform/random.ts";

/** A session's way to the server: a websocket of its own, so that no session waits for another. Made again when it breaks, for a while. */
export interface SessionLink {
  /** False: it is not connected, and nothing was sent. */
  send(bytes: Uint8Array): boolean;
  /** Bytes that the server has not taken yet. */
  backlog(): number;
  close(): void;
}

export interface LinkOptions {
  target(): Promise<{ readonly url: URL; readonly headers: Record<string, string> }>;
  message(bytes: Uint8Array): void;
  /** What was held back can go. */
  drained(): void;
  /** The connection broke, and another is tried. */
  broken(): void;
  /** The server does not know the session, or could not be reached for too long. */
  lost(reason: string): void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A server that is started again is back long before. */
const graceMs = 60_000;
const longestWaitMs = 2_000;
/** A connection that says nothing for so long is looked after. */
const pingMs = 30_000;

export function openLink(options: LinkOptions): SessionLink {
  const { clock, random, log } = options;
  const backoff = new Backoff(random, longestWaitMs);
  let socket: WebSocket | undefined;
  let closed = false;
  /** Without a connection since. */
  let away = clock.now();
  let cancel = () => {};

  const lose = (reason: string) => {
    if (closed) return;
    closed = true;
    cancel();
    options.lost(reason);
  };
  const again = (reason: string) => {
    if (closed) return;
    if (clock.now() - away > graceMs) return lose(reason);
    cancel = clock.after(backoff.next(), () => void connect());
  };

  async function connect(): Promise<void> {
    let target: Awaited<ReturnType<LinkOptions["target"]>>;
    try {
      target = await options.target();
    } catch (error) {
      return again(String(error));
    }
    if (closed) return;
    const made = new WebSocket(target.url, {
      headers: target.headers,
      handshakeTimeout: 10_000,
      perMessageDeflate: false,
      maxPayload: 2 << 20,
    });
    let alive = true;
    let cancelPing = () => {};
    const ping = () => {
      if (!alive) return made.terminate();
      alive = false;
      made.ping();
      cancelPing = clock.after(pingMs, ping);
    };
    socket = made;
    let opened = false;
    made.on("open", () => {
      opened = true;
      backoff.reset();
      ping();
    });
    made.on("pong", () => (alive = true));
    made.on("message", (data) => {
      alive = true;
      options.message(data as Buffer);
    });
    made.on("unexpected-response", (request, response) => {
      request.destroy();
      response.resume();
      const status = response.statusCode ?? 0;
      if (status >= 400 && status < 500) lose(`the server answers ${status}`);
      made.terminate();
    });
    made.on("error", (error) => log.debug({ err: error }, "a session's connection"));
    made.on("close", () => {
      cancelPing();
      if (socket !== made || closed) return;
      socket = undefined;
      if (opened) away = clock.now();
      options.broken();
      again("its connection broke");
    });
  }
  void connect();

  return {
    send(bytes) {
      if (socket?.readyState !== WebSocket.OPEN) return false;
      socket.send(bytes, () => {
        if ((socket?.bufferedAmount ?? 0) === 0) options.drained();
      });
      return true;
    },
    backlog: () => socket?.bufferedAmount ?? 0,
    close() {
      closed = true;
      cancel();
      const last = socket;
      socket = undefined;
      last?.close(1000);
      // A server that is gone does not answer the close.
      if (last) clock.after(1_000, () => last.terminate());
    },
  };
}
