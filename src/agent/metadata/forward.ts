import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent as TlsAgent, request as httpsRequest } from "node:https";

/**
 * The API as tasks reach it: a request to the metadata address that is signed for AWS goes on to Gantry's endpoint as it came, under the name that it was
 * signed for. So `AWS_ENDPOINT_URL=http://169.254.170.2` works in every network mode, wherever the server listens.
 */
export interface Forward {
  /** Whether it is one: signed by SigV4, in a header or in the query. */
  takes(request: IncomingMessage): boolean;
  handle(request: IncomingMessage, response: ServerResponse): void;
  close(): void;
}

/** Of one connection to the next, and not the client's to say. */
const hopByHop: ReadonlySet<string> = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"]);
const mostAtOnce = 256;
const idleMs = 120_000;

export function createForward(endpoint: string): Forward {
  const to = new URL(endpoint);
  const secure = to.protocol === "https:";
  const agent = secure ? new TlsAgent({ keepAlive: true, maxSockets: mostAtOnce }) : new Agent({ keepAlive: true, maxSockets: mostAtOnce });
  return {
    takes: ({ headers, url = "" }) => headers.authorization?.startsWith("AWS4-") === true || /[?&]X-Amz-Algorithm=AWS4-/.test(url),
    handle(request, response) {
      const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !hopByHop.has(name)));
      const fail = () => {
        if (response.headersSent) response.destroy();
        else response.writeHead(503, { "content-type": "text/plain" }).end("Gantry's endpoint does not answer\n");
      };
      const onward = (secure ? httpsRequest : httpRequest)(
        { host: to.hostname, port: to.port, path: request.url, method: request.method, headers, agent, timeout: idleMs },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.on("error", fail);
          answer.pipe(response);
        },
      );
      onward.on("timeout", () => onward.destroy(new Error("no answer")));
      onward.on("error", fail);
      response.on("close", () => onward.destroy());
      request.pipe(onward);
    },
    close: () => agent.destroy(),
  };
}
