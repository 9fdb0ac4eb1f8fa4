import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { OpenDataChannel } from "#agent-protocol/exec/contents.ts";
import { parseJson } from "#agent-protocol/exec/message.ts";
import type { TokenDoor } from "#api/contract.ts";
import type { Clock } from "#platform/clock.ts";
import type { ExecHub } from "#reconcilers/exec/hub.ts";
import type { Peer } from "#reconcilers/exec/relay.ts";
import type { AgentArrival } from "../agent-endpoint/doors.ts";
import { refuseUpgrade } from "../agent-endpoint/channel.ts";

/** Where AWS has `wss://ssmmessages.<region>.amazonaws.com/v1/data-channel/<session>?role=publish_subscribe`. */
const prefix = "/v1/data-channel/";

/** The plugin says its token at once. */
const tokenWaitMs = 10_000;
/** A client whose machine is gone without a word. */
const pingMs = 30_000;
const server = new WebSocketServer({ noServer: true, maxPayload: 1024 * 1024, perMessageDeflate: false, clientTracking: false });

/** `endpoint`: as the client reached us. */
export const streamUrlOf = (endpoint: string, sessionId: string) =>
  `${endpoint.replace(/^http/, "ws").replace(/\/+$/, "")}${prefix}${sessionId}?role=publish_subscribe`;

/** The clients' door: whoever has the session's token. Newer plugins sign the request, older ones do not; the token is what counts. */
export function dataChannelDoor({ hub, clock }: { readonly hub: ExecHub; readonly clock: Clock }): TokenDoor {
  return {
    prefix,
    accept(request, socket, head, path) {
      const id = path.slice(prefix.length);
      server.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on("error", () => {});
        const cancel = clock.after(tokenWaitMs, () => webSocket.close(1008));
        webSocket.once("close", cancel);
        webSocket.once("message", (data) => {
          cancel();
          const { TokenValue } = (parseJson(data as Buffer) ?? {}) as OpenDataChannel;
          const record = typeof TokenValue === "string" ? hub.byToken(TokenValue, id) : undefined;
          if (!record) webSocket.close(1008, "The session's token is not valid.");
          else hub.client(record.id, peerOf(webSocket, clock));
        });
      });
    },
  };
}

/** The agent's door: it was admitted as its instance, and the session is one of its tasks'. */
export const execDoor =
  ({ hub, clock }: { readonly hub: ExecHub; readonly clock: Clock }) =>
  ({ request, socket, head, instance, query }: AgentArrival): void => {
    const record = hub.forAgent(query.get("session") ?? "", instance);
    if (!record) refuseUpgrade(socket, 400, "InvalidParameterException", "There is no such session.");
    else accept(request, socket, head, (webSocket) => hub.agent(record.id, peerOf(webSocket, clock)));
  };

function accept(request: IncomingMessage, socket: Duplex, head: Buffer, accepted: (webSocket: WebSocket) => void): void {
  server.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on("error", () => {});
    accepted(webSocket);
  });
}

function peerOf(webSocket: WebSocket, clock: Clock): Peer {
  let alive = true;
  let cancel = () => {};
  const look = () => {
    // One that is paused cannot answer.
    if (!alive && !webSocket.isPaused) return webSocket.terminate();
    alive = false;
    webSocket.ping(undefined, undefined, () => {});
    cancel = clock.after(pingMs, look);
  };
  webSocket.on("pong", () => (alive = true)).once("close", () => cancel());
  look();
  return {
    send: (bytes, sent) => webSocket.send(bytes, { binary: true }, () => sent?.()),
    buffered: () => webSocket.bufferedAmount,
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    close: (code) => webSocket.close(code),
    terminate: () => webSocket.terminate(),
    onMessage: (listener) =>
      void webSocket.on("message", (data) => {
        alive = true;
        listener(data as Buffer);
      }),
    onClose: (listener) => void webSocket.once("close", listener),
  };
}
