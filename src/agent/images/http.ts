import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { createSecureContext, getCACertificates } from "node:tls";

/** Plain requests with a bound on silence; redirects and authentication are the caller's. HTTP_PROXY, HTTPS_PROXY and NO_PROXY are respected. */
export interface Http {
  request(url: URL, options: RequestOptions): Promise<IncomingMessage>;
  close(): void;
}

export interface RequestOptions {
  readonly method: "GET" | "HEAD";
  readonly headers: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** The connection failed or fell silent: worth another attempt. */
export class NetworkError extends Error {}

export function createHttp(options: { silenceMs?: number } = {}): Http {
  const silence = options.silenceMs ?? 60_000;
  const plain = new HttpAgent({ keepAlive: true, maxSockets: 16, proxyEnv: process.env } as ConstructorParameters<typeof HttpAgent>[0]);
  let secure: HttpsAgent | undefined;
  return {
    request(url, { method, headers, signal }) {
      return new Promise((resolve, reject) => {
        const send = url.protocol === "https:" ? httpsRequest : httpRequest;
        const agent = url.protocol === "https:" ? (secure ??= secureAgent()) : plain;
        const outgoing = send(url, { method, headers: { "user-agent": "gantry", ...headers }, agent, signal }, resolve);
        outgoing.setTimeout(silence, () => outgoing.destroy(new Error("i/o timeout")));
        outgoing.on("error", (error: NodeJS.ErrnoException) => {
          if (signal?.aborted) reject(error);
          else reject(new NetworkError(describe(url, error), { cause: error }));
        });
        outgoing.end();
      });
    },
    close() {
      plain.destroy();
      secure?.destroy();
    },
  };
}

/** Trusts what the machine trusts, as Docker does, beside Node's own list. One context for all connections: reading the certificates takes a while. */
function secureAgent(): HttpsAgent {
  const ca = [...new Set([...getCACertificates("default"), ...getCACertificates("system")])];
  const options = { keepAlive: true, maxSockets: 16, secureContext: createSecureContext({ ca }), proxyEnv: process.env };
  return new HttpsAgent(options as ConstructorParameters<typeof HttpsAgent>[0]);
}

/** Go's words, which people who read ECS's stop reasons know how to search for. */
function describe(url: URL, error: NodeJS.ErrnoException): string {
  const code = error.code ?? (error as { errors?: NodeJS.ErrnoException[] }).errors?.[0]?.code;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `dial tcp: lookup ${url.hostname}: no such host`;
  if (code === "ECONNREFUSED") return `dial tcp ${url.hostname}:${port}: connect: connection refused`;
  if (code === "EHOSTUNREACH") return `dial tcp ${url.hostname}:${port}: connect: no route to host`;
  if (code === "ENETUNREACH") return `dial tcp ${url.hostname}:${port}: connect: network is unreachable`;
  if (code === "ETIMEDOUT") return `dial tcp ${url.hostname}:${port}: i/o timeout`;
  if (code === "ECONNRESET") return `${error.message === "socket hang up" ? "EOF" : "read: connection reset by peer"}`;
  return error.message || code || "connection failed";
}

/** Reads a whole body of at most `limit` bytes. */
export async function readBody(response: IncomingMessage, limit: number, what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > limit) throw new TooLarge(`${what} is larger than ${limit} bytes`);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof TooLarge) throw error;
    throw new NetworkError(`${what}: ${(error as Error).message === "aborted" ? "unexpected EOF" : (error as Error).message}`, {
      cause: error,
    });
  }
  return Buffer.concat(parts);
}

export class TooLarge extends Error {}

/** Lets the connection be used again, or closes it when much is left to read. */
export function discard(response: IncomingMessage): void {
  const length = Number(response.headers["content-length"] ?? "0");
  response.on("error", () => {});
  if (length > 64 * 1024) response.destroy();
  else response.resume();
}
