import type { IncomingMessage } from "node:http";

export type Body = { readonly bytes: Buffer } | { readonly refused: "tooLarge" | "tooSlow" };

/** A client that sends nothing for so long while its body is due has gone or means harm. */
const idleLimitMs = 30_000;

/** The body as one buffer; what is longer than `limit` bytes is not read. Rejects when the client goes away. */
export function readBody(request: IncomingMessage, limit: number, idleMs = idleLimitMs): Promise<Body> {
  const declared = request.headers["content-length"];
  if (Number(declared ?? 0) > limit) return Promise.resolve({ refused: "tooLarge" });
  if (request.destroyed && !request.complete) return Promise.reject(new Error("the client went away"));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    // Most bodies are there with the head: the timer is for those that are not.
    let timer: NodeJS.Timeout | undefined;
    const settle = (body: Body | Error) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("error", settle).off("close", onClose);
      if (body instanceof Error) reject(body);
      else resolve(body);
    };
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        request.pause();
        settle({ refused: "tooLarge" });
        return;
      }
      chunks.push(chunk);
      timer?.refresh();
    };
    const onEnd = () => settle({ bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length) });
    const onClose = () => settle(new Error("the client went away"));
    request.on("data", onData).on("end", onEnd).on("error", settle).on("close", onClose);
    if (declared !== "0" && (declared !== undefined || request.headers["transfer-encoding"] !== undefined))
      timer = setTimeout(() => settle({ refused: "tooSlow" }), idleMs).unref();
  });
}

/** Reads and forgets what the client still sends, so that it reads our answer before it sees the connection end: `bytes` or `ms` at most. */
export function drain(request: IncomingMessage, bytes: number, ms: number): void {
  if (request.complete || request.destroyed) return;
  let left = bytes;
  const timer = setTimeout(() => request.destroy(), ms).unref();
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.once("close", () => clearTimeout(timer));
  request.resume();
}
