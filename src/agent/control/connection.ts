import { WebSocket } from "ws";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { Backoff } from "./backoff.ts";

export interface ConnectionOptions {
  readonly name: "ACS" | "TCS";
  /** Where to connect, signed; asked anew for each attempt. */
  target(): Promise<{ readonly url: URL; readonly headers: Record<string, string> }>;
  opened(socket: Socket): void;
  frame(type: string, message: unknown, socket: Socket): void;
  closed?(): void;
  /** The server refused the upgrade or ended the connection naming an exception; true: don't reconnect, `run` returns. */
  refused(text: string): boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Socket {
  send(frame: { readonly type: string; readonly message: unknown }): void;
  sendText(text: string): void;
  close(): void;
}

/** The standard agent waits up to 2 min; a server that was restarted should find its agents within seconds. */
const longestWaitMs = 5_000;

const gapsKnown = 3;
const shortestSilenceMs = 2_000;

/**
 * Keeps one websocket to the control plane until `signal` aborts or a refusal ends it. Without a message for 60–120 s it connects
 * anew, and after 30–35 min in any case; close codes 1000, 1001, 1006 and 1011 mean at once, everything else a back-off.
 */
export async function runConnection(options: ConnectionOptions, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff(options.random, longestWaitMs);
  while (!signal.aborted) {
    const end = await once(options, signal);
    if (signal.aborted || end.fatal) return;
    if (end.opened && end.lived > 2_000) backoff.reset();
    const immediate = end.opened && end.lived > 2_000 && [1000, 1001, 1006, 1011].includes(end.code);
    const wait = immediate ? 50 * options.random.next() : backoff.next();
    options.log.debug({ connection: options.name, code: end.code, reason: end.reason, wait }, "disconnected");
    await sleep(options.clock, wait, signal).catch(() => {});
  }
}

interface End {
  readonly code: number;
  readonly reason: string;
  readonly opened: boolean;
  readonly lived: number;
  readonly fatal: boolean;
}

async function once(options: ConnectionOptions, signal: AbortSignal): Promise<End> {
  const { clock, random } = options;
  const began = clock.now();
  let target: Awaited<ReturnType<ConnectionOptions["target"]>>;
  try {
    target = await options.target();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const fatal = options.refused(`${(error as { code?: string }).code ?? ""}: ${reason}`);
    return { code: 0, reason, opened: false, lived: 0, fatal };
  }
  return new Promise((resolve) => {
    const socket = new WebSocket(target.url, {
      headers: target.headers,
      handshakeTimeout: 10_000,
      perMessageDeflate: false,
      maxPayload: 64 << 20,
    });
    let opened = false;
    let fatal = false;
    let reason = "";
    let cancelIdle = () => {};
    let pinged: number | undefined;
    let gaps: readonly number[] = [];
    const alive = () => {
      cancelIdle();
      const rhythm = gaps.length === gapsKnown ? Math.max(shortestSilenceMs, 4 * Math.max(...gaps)) : Number.POSITIVE_INFINITY;
      cancelIdle = clock.after(Math.min(rhythm, 60_000 + 60_000 * random.next()), () => socket.terminate());
    };
    const cancelLife = clock.after(1_800_000 + 300_000 * random.next(), () => socket.close(1000));
    const onAbort = () => {
      socket.close(1001);
      // A server that is gone does not answer the close.
      clock.after(500, () => socket.terminate());
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const handle: Socket = {
      send: (frame) => handle.sendText(JSON.stringify(frame)),
      sendText: (text) => void (socket.readyState === WebSocket.OPEN && socket.send(text)),
      close: () => socket.close(1000),
    };
    socket.on("open", () => {
      opened = true;
      alive();
      options.log.info({ connection: options.name }, "connected");
      options.opened(handle);
    });
    // A server that pings is missed after four of its pings: a connection that a cut network left hanging is found out, and a new one made.
    socket.on("ping", () => {
      const now = clock.now();
      if (pinged !== undefined) gaps = [...gaps, now - pinged].slice(-gapsKnown);
      pinged = now;
      alive();
    });
    socket.on("message", (data) => {
      alive();
      let frame: { type?: unknown; message?: unknown };
      try {
        frame = JSON.parse((data as Buffer).toString("utf8")) as typeof frame;
      } catch {
        options.log.warn({ connection: options.name }, "a frame that is not JSON was dropped");
        return;
      }
      if (typeof frame.type !== "string") return;
      if (/Exception$/.test(frame.type)) fatal = options.refused(`${frame.type}: ${JSON.stringify(frame.message)}`);
      try {
        options.frame(frame.type, frame.message, handle);
      } catch (error) {
        options.log.error({ connection: options.name, type: frame.type, err: error }, "a frame could not be handled");
      }
      if (fatal) socket.close(1000);
    });
    socket.on("unexpected-response", (_request, response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.length < 16 && pieces.push(piece));
      const done = () => {
        reason = `${response.statusCode} ${Buffer.concat(pieces).toString("utf8")}`;
        fatal = options.refused(reason);
        socket.terminate();
        finish(0);
      };
      response.on("end", done);
      response.on("error", done);
    });
    socket.on("error", (error) => {
      reason ||= error.message;
    });
    const finish = (code: number) => {
      cancelIdle();
      cancelLife();
      signal.removeEventListener("abort", onAbort);
      if (opened) options.closed?.();
      resolve({ code, reason, opened, lived: clock.now() - began, fatal });
    };
    socket.on("close", finish);
  });
}
