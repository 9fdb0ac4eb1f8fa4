import { createHmac, timingSafeEqual } from "node:crypto";
import { ApiError } from "./contract.ts";
import { type Signature, sha256 } from "./sigv4.ts";

/**
 * `aws-chunked` bodies (STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER], STREAMING-UNSIGNED-PAYLOAD-TRAILER): chunk sizes, chunk signatures
 * and trailers are taken out and checked. Source: Amazon S3, "Signature calculations: transferring payload in multiple chunks".
 * `key`: the derived signing key; undefined leaves chunk signatures unchecked (open mode, unsigned payload).
 */
export function decodeAwsChunked(body: Uint8Array, signature: Signature | undefined, key: Buffer | undefined): Uint8Array {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const bad = (message: string) => new ApiError("IncompleteBody", message, 400);
  const parts: Buffer[] = [];
  let previous = signature?.signature ?? "";
  let at = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0 || end - at > 256) throw bad("A chunk has no header.");
    const header = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(bytes.toString("latin1", at, end));
    if (!header) throw bad("A chunk's header is malformed.");
    const size = Number.parseInt(header[1]!, 16);
    const start = end + 2;
    if (start + size > bytes.length) throw bad("The body ends within a chunk.");
    const data = bytes.subarray(start, start + size);
    if (key && signature) {
      const scope = `${signature.date}/${signature.region}/${signature.service}/aws4_request`;
      const text = ["AWS4-HMAC-SHA256-PAYLOAD", signature.timestamp, scope, previous, sha256(""), sha256(data)].join("\n");
      const expected = createHmac("sha256", key).update(text).digest("hex");
      if (!header[2] || !timingSafeEqual(Buffer.from(expected), Buffer.from(header[2])))
        throw new ApiError("SignatureDoesNotMatch", "A chunk's signature does not match.", 403);
      previous = header[2];
    }
    at = start + size;
    if (size === 0) return Buffer.concat(parts);
    if (bytes.toString("latin1", at, at + 2) !== "\r\n") throw bad("A chunk is longer than its header says.");
    at += 2;
    parts.push(data);
  }
}
