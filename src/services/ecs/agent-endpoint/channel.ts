import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";

/** A message connection with an agent: a websocket, or in the simulation a scripted agent in the same process. */
export interface Channel {
  send(text: string): void;
  /** Asks for the sign of life that `onAlive` tells of. */
  ping(): void;
  close(code: number): void;
  /** Ends it at once, when the other side does not answer any more. */
  terminate(): void;
  onMessage(listener: (text: string) => void): void;
  /** Any sign of life beside messages. */
  onAlive(listener: () => void): void;
  /** Called once. */
  onClose(listener: () => void): void;
}

const maxFrameBytes = 1024 * 1024;

/** An agent that does not read what it is sent is dropped before that fills the memory. */
const maxBufferedBytes = 16 * 1024 * 1024;
const server = new WebSocketServer({ noServer: true, maxPayload: maxFrameBytes, perMessageDeflate: false, clientTracking: false });

/** Finishes the websocket's handshake. */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer, accepted: (channel: Channel) => void): void {
  server.handleUpgrade(request, socket, head, (webSocket) => accepted(channelOf(webSocket)));
}

/**
 * Answers an upgrade with an error instead: the agent reads `{"<error>": "<message>"}` from the body.
 * Source: amazon-ecs-agent, wsclient, the unframed form of an error.
 */
export function refuseUpgrade(socket: Duplex, status: 400 | 403 | 500, error: string, message: string): void {
  const body = JSON.stringify({ [error]: message });
  const reason = { 400: "Bad Request", 403: "Forbidden", 500: "Internal Server Error" }[status];
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function channelOf(webSocket: WebSocket): Channel {
  // Without a listener an error (a broken frame, one too long) would end the process; `close` follows it.
  webSocket.on("error", () => {});
  return {
    send(text) {
      if (webSocket.bufferedAmount > maxBufferedBytes) webSocket.terminate();
      else webSocket.send(text, () => {});
    },
    ping: () => webSocket.ping(undefined, undefined, () => {}),
    close: (code) => webSocket.close(code),
    terminate: () => webSocket.terminate(),
    onMessage: (listener) => void webSocket.on("message", (data) => listener((data as Buffer).toString("utf8"))),
    onAlive: (listener) => void webSocket.on("pong", listener).on("ping", listener),
    onClose: (listener) => void webSocket.once("close", listener),
  };
}
