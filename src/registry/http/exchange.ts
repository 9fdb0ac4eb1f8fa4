import type { IncomingMessage, ServerResponse } from "node:http";
import type { RawRequestInfo } from "#api/contract.ts";
import type { RegistryCore } from "../registry.ts";
import type { RegistryId, RepositoryRecord } from "../records.ts";
import { OciError } from "./errors.ts";

/** One request for a repository that was found to exist and be allowed. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly info: RawRequestInfo;
  readonly core: RegistryCore;
  readonly registry: RegistryId;
  readonly repository: RepositoryRecord;
  /** The repository's name as the client's paths have it. */
  readonly path: string;
  /** Undefined when who asks may do this to the repository of that name, else AWS's sentence. */
  may(action: string, name: string): Promise<string | undefined>;
}

export function answer(response: ServerResponse, status: number, headers: Readonly<Record<string, string | number>> = {}): void {
  response.writeHead(status, { "content-length": 0, ...headers }).end();
}

export function answerJson(
  { request, response }: Pick<Exchange, "request" | "response">,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(value);
  response.writeHead(200, { "content-type": "application/json", ...headers, "content-length": Buffer.byteLength(body) });
  response.end(request.method === "HEAD" ? undefined : body);
}

export function methodNotAllowed(allow: string): OciError {
  return new OciError(405, "UNSUPPORTED", "The operation is unsupported.", { allow });
}

/** The body piece by piece. Stopping early leaves the connection alone, so that an answer can still be given. Fails when the client goes away. */
export function bodyOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
}

/** Resolves when the piece has left this process: its buffer may be used again. */
export function writePiece(response: ServerResponse, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new ClientGone());
    if (response.destroyed) return gone();
    response.once("close", gone);
    response.write(piece, (error) => {
      response.off("close", gone);
      if (error) reject(new ClientGone());
      else resolve();
    });
  });
}

/** Nobody is left to answer. */
export class ClientGone extends Error {
  constructor() {
    super("the client went away");
    this.name = "ClientGone";
  }
}
