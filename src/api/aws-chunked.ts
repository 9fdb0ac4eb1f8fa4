import type { KeyObject } from "node:crypto";
import { ApiError } from "./contract.ts";
import { type Signature, sameText } from "./sigv4.ts";
import { emptyHash, hmacHex, scopeText, sha256 } from "./sigv4-sign.ts";

/** What proves the chunks: the request's own signature is the first link of their chain. */
export interface ChunkProof {
  readonly signature: Signature;
  readonly key: KeyObject;
}

/**
 * `aws-chunked` bodies (STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER], STREAMING-UNSIGNED-PAYLOAD-TRAILER): chunk sizes, chunk signatures
 * and trailers are taken out and checked. Source: Amazon S3, "Signature calculations: transferring payload in multiple chunks" and "…
 * including trailing headers". Without a proof, signatures are not looked at (open mode, unsigned payload).
 */
export function decodeAwsChunked(body: Uint8Array, trailers: boolean, proof: ChunkProof | undefined): Uint8Array {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const parts: Buffer[] = [];
  let previous = proof?.signature.signature ?? "";
  let at = 0;
  const line = (limit: number) => {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0 || end - at > limit) throw incomplete("A chunk has no header.");
    const text = bytes.toString("latin1", at, end);
    at = end + 2;
    return text;
  };
  for (;;) {
    const header = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line(256));
    if (!header) throw incomplete("A chunk's header is malformed.");
    const size = Number.parseInt(header[1]!, 16);
    if (size > bytes.length - at) throw incomplete("The body ends within a chunk.");
    const data = bytes.subarray(at, at + size);
    at += size;
    if (proof) {
      previous = expected(proof, "AWS4-HMAC-SHA256-PAYLOAD", `${previous}\n${emptyHash}\n${sha256(data)}`);
      if (!sameText(previous, header[2] ?? "")) throw mismatch();
    }
    if (size === 0) break;
    if (line(0) !== "") throw incomplete("A chunk is longer than its header says.");
    parts.push(data);
  }
  if (trailers) readTrailers(line, () => at < bytes.length, proof, previous);
  else if (at < bytes.length) line(0);
  if (at < bytes.length) throw incomplete("The body goes on behind its last chunk.");
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Trailing headers, then their signature, then an empty line (which some clients leave out). Checksums in them are not ours to verify. */
function readTrailers(line: (limit: number) => string, more: () => boolean, proof: ChunkProof | undefined, previous: string): void {
  let signed = "";
  let given = "";
  while (more()) {
    const text = line(8192);
    if (text === "") break;
    const colon = text.indexOf(":");
    if (colon < 1) throw incomplete("A trailer is malformed.");
    const [name, value] = [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()];
    if (name === "x-amz-trailer-signature") given = value;
    else signed += `${name}:${value}\n`;
  }
  if (proof && !sameText(expected(proof, "AWS4-HMAC-SHA256-TRAILER", `${previous}\n${sha256(signed)}`), given)) throw mismatch();
}

const expected = ({ signature, key }: ChunkProof, kind: string, rest: string) =>
  hmacHex(key, `${kind}\n${signature.timestamp}\n${scopeText(signature)}\n${rest}`);

const incomplete = (message: string) => new ApiError("IncompleteBody", message, 400);
const mismatch = () => new ApiError("SignatureDoesNotMatch", "A chunk's signature does not match.", 403);
