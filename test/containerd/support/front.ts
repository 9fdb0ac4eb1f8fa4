import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * A server before the real registry that misbehaves on demand: asks for tokens, redirects blobs to another host, cuts connections, answers
 * errors. Whatever `intercept` does not answer is passed on.
 */
export interface Front {
  readonly host: string;
  /** `METHOD /path` of each request, in order. */
  readonly requests: string[];
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
  stop(): Promise<void>;
}

export async function startFront(backend: string): Promise<Front> {
  const requests: string[] = [];
  const server: Server = createServer((incoming, response) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    response.on("error", () => {});
    void (async () => {
      if (await front.intercept(incoming, response)) return;
      pass(backend, incoming, response);
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const front: Front = {
    host: `127.0.0.1:${port}`,
    requests,
    intercept: () => false,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return front;
}

/** Forwards to the registry; `cutAfter` destroys the connection after that many bytes of the body. */
export function pass(
  backend: string,
  incoming: IncomingMessage,
  response: ServerResponse,
  options: { cutAfter?: number; dropRange?: boolean } = {},
): void {
  const headers: Record<string, string | string[] | undefined> = { ...incoming.headers, host: backend, authorization: undefined };
  if (options.dropRange) headers.range = undefined;
  for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name];
  const outgoing = request(
    `http://${backend}${incoming.url}`,
    { method: incoming.method, headers: headers as Record<string, string> },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      let sent = 0;
      answer.on("data", (part: Buffer) => {
        if (options.cutAfter === undefined || sent + part.length <= options.cutAfter) {
          sent += part.length;
          response.write(part);
          return;
        }
        response.write(part.subarray(0, options.cutAfter - sent), () => response.destroy());
        answer.destroy();
      });
      answer.on("end", () => response.end());
      answer.on("error", () => response.destroy());
    },
  );
  outgoing.on("error", () => response.destroy());
  outgoing.end();
}
