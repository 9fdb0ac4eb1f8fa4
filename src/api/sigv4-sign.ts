import { createHmac, createSecretKey, hash, type KeyObject } from "node:crypto";
import type { Signature, SignedRequest } from "./sigv4.ts";

/** How a signature is made. Source: AWS "Create a signed AWS API request": canonical request, string to sign, derived key. */
export const algorithm = "AWS4-HMAC-SHA256";

export type Scope = Pick<Signature, "date" | "region" | "service">;

/** The signature, lower-case hex. `payloadHash`: see verifySignature. */
export function sign(
  request: SignedRequest,
  scope: Scope & Pick<Signature, "signedHeaders" | "timestamp" | "presigned">,
  secret: string,
  payloadHash: string,
): string {
  let headers = "";
  for (const name of scope.signedHeaders) headers += `${name}:${canonicalValue(request.headers[name])}\n`;
  const path = scope.service === "s3" ? request.rawPath : canonicalPath(request.rawPath);
  const query = canonicalQuery(request.rawQuery, scope.presigned);
  const canonical = `${request.method}\n${path}\n${query}\n${headers}\n${scope.signedHeaders.join(";")}\n${payloadHash}`;
  return hmacHex(signingKey(secret, scope), `${algorithm}\n${scope.timestamp}\n${scopeText(scope)}\n${sha256(canonical)}`);
}

export const scopeText = ({ date, region, service }: Scope) => `${date}/${region}/${service}/aws4_request`;

/** Hex. One call into OpenSSL, without a stream object around it. */
export const sha256 = (data: string | Uint8Array): string => hash("sha256", data);

export const emptyHash = sha256("");

export const hmacHex = (key: KeyObject, text: string): string => createHmac("sha256", key).update(text).digest("hex");

function canonicalValue(value: string | string[] | undefined): string {
  if (Array.isArray(value)) return value.map(canonicalValue).join(",");
  return value === undefined ? "" : value.trim().replace(/\s+/g, " ");
}

/** Every service but S3 signs the path normalized and encoded once more than it stands on the wire. */
function canonicalPath(rawPath: string): string {
  if (rawPath === "/") return rawPath;
  const segments: string[] = [];
  for (const segment of rawPath.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(encode(segment));
  }
  return `/${segments.join("/")}${segments.length > 0 && rawPath.endsWith("/") ? "/" : ""}`;
}

const encode = (text: string) =>
  encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

function canonicalQuery(rawQuery: string, presigned: boolean): string {
  if (rawQuery === "") return "";
  const pairs: [string, string][] = [];
  for (const part of rawQuery.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = safeDecode(equals < 0 ? part : part.slice(0, equals));
    if (presigned && name === "X-Amz-Signature") continue;
    pairs.push([encode(name), encode(safeDecode(equals < 0 ? "" : part.slice(equals + 1)))]);
  }
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The derived key is good for a day, region and service: a few are kept, so that a request costs four HMACs less. */
const keys = new Map<string, KeyObject>();

export function signingKey(secret: string, { date, region, service }: Scope): KeyObject {
  const id = `${secret}/${date}/${region}/${service}`;
  let key = keys.get(id);
  if (!key) {
    const step = (by: string | Buffer, text: string) => createHmac("sha256", by).update(text).digest();
    key = createSecretKey(step(step(step(step(`AWS4${secret}`, date), region), service), "aws4_request"));
    // Region and service come from the client: without a bound it could fill the memory.
    if (keys.size >= 256) keys.clear();
    keys.set(id, key);
  }
  return key;
}
