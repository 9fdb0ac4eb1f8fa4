import { timingSafeEqual } from "node:crypto";
import { algorithm, sign } from "./sigv4-sign.ts";

/** A request as it was signed. Source: AWS "Signature Version 4 signing process". */
export interface SignedRequest {
  readonly method: string;
  /** As on the wire, still encoded. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** Lower-case names; values as received. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Signature {
  readonly accessKeyId: string;
  /** `yyyymmdd`. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  /** Lower-case hex. */
  readonly signature: string;
  /** `yyyymmddThhmmssZ`. */
  readonly timestamp: string;
  readonly presigned: boolean;
  /** Seconds, presigned requests only. */
  readonly expires: number | undefined;
  readonly sessionToken: string | undefined;
}

/** Why a signature is no good. Which code the client sees is a matter of its protocol. */
export type SignatureProblem = {
  readonly problem: "missing" | "incomplete" | "expired" | "notYet" | "mismatch" | "presignExpired";
  readonly message: string;
};

/** AWS allows five minutes of difference between clocks. */
export const allowedSkewMs = 5 * 60_000;

const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(",") : value);

/** Reads the signature out of the Authorization header or the query. */
export function parseSignature(request: SignedRequest): Signature | SignatureProblem {
  const header = one(request.headers.authorization);
  if (header !== undefined) return parseHeader(request, header);
  const query = new URLSearchParams(request.rawQuery);
  if (query.has("X-Amz-Algorithm") || query.has("X-Amz-Signature")) return parseQuery(query);
  return { problem: "missing", message: "Missing Authentication Token" };
}

function parseHeader(request: SignedRequest, header: string): Signature | SignatureProblem {
  const space = header.indexOf(" ");
  const scheme = space < 0 ? header : header.slice(0, space);
  if (scheme !== algorithm) return incomplete(`Unsupported ${algorithm} 'algorithm': '${scheme.slice(0, 64)}'.`);
  const fields = new Map<string, string>();
  for (const part of header.slice(space + 1).split(",")) {
    const equals = part.indexOf("=");
    if (equals > 0) fields.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const absent = ["Credential", "Signature", "SignedHeaders"].filter((name) => !fields.get(name));
  const timestamp = one(request.headers["x-amz-date"]) ?? headerDate(one(request.headers.date));
  if (absent.length > 0 || !timestamp) {
    const names = absent.map((name) => `Authorization header requires '${name}' parameter.`);
    if (!timestamp) names.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
    return incomplete(`${names.join(" ")} Authorization=${algorithm}`);
  }
  return assemble(
    fields.get("Credential")!,
    fields.get("SignedHeaders")!,
    fields.get("Signature")!,
    timestamp,
    one(request.headers["x-amz-security-token"]),
    false,
    undefined,
  );
}

function parseQuery(query: URLSearchParams): Signature | SignatureProblem {
  const get = (name: string) => query.get(name) ?? "";
  const absent = ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"].filter((name) => !get(name));
  if (get("X-Amz-Algorithm") !== algorithm || absent.length > 0)
    return incomplete(`AWS query-string parameters must include '${absent[0] ?? "X-Amz-Algorithm"}'.`);
  const expires = Number(query.get("X-Amz-Expires") ?? "900");
  if (!Number.isInteger(expires) || expires < 1 || expires > 604_800)
    return incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800.");
  return assemble(
    get("X-Amz-Credential"),
    get("X-Amz-SignedHeaders"),
    get("X-Amz-Signature"),
    get("X-Amz-Date"),
    query.get("X-Amz-Security-Token") ?? undefined,
    true,
    expires,
  );
}

function assemble(
  credential: string,
  signedHeaders: string,
  signature: string,
  timestamp: string,
  sessionToken: string | undefined,
  presigned: boolean,
  expires: number | undefined,
): Signature | SignatureProblem {
  const scope = credential.split("/");
  if (scope.length !== 5 || scope[4] !== "aws4_request" || scope.some((part) => part === ""))
    return incomplete(
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential.slice(0, 128)}'`,
    );
  if (!/^\d{8}T\d{6}Z$/.test(timestamp)) return incomplete(`Date must be in ISO-8601 'basic format'. Got '${timestamp.slice(0, 64)}'.`);
  const [accessKeyId, date, region, service] = scope as [string, string, string, string];
  if (date !== timestamp.slice(0, 8))
    return {
      problem: "mismatch",
      message: `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${date}' != '${timestamp.slice(0, 8)}', from '${timestamp}'.`,
    };
  return {
    accessKeyId,
    date,
    region,
    service,
    signedHeaders: signedHeaders.toLowerCase().split(";"),
    signature,
    timestamp,
    presigned,
    expires,
    sessionToken,
  };
}

const incomplete = (message: string): SignatureProblem => ({ problem: "incomplete", message });

function headerDate(text: string | undefined): string | undefined {
  if (!text) return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : basicDate(date.getTime());
}

/** `yyyymmddThhmmssZ`. */
export const basicDate = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, "");

const parseBasicDate = (text: string) =>
  Date.parse(`${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6, 11)}:${text.slice(11, 13)}:${text.slice(13, 15)}Z`);

/**
 * Whether `signature` is what the holder of `secret` makes of this request. `payloadHash`: hex SHA-256 of the body, or the literal that
 * the client put into x-amz-content-sha256 (UNSIGNED-PAYLOAD, STREAMING-…).
 */
export function verifySignature(
  request: SignedRequest,
  signature: Signature,
  secret: string,
  payloadHash: string,
  now: number,
): SignatureProblem | undefined {
  const signedAt = parseBasicDate(signature.timestamp);
  if (Number.isNaN(signedAt)) return incomplete(`Date must be in ISO-8601 'basic format'. Got '${signature.timestamp}'.`);
  if (signedAt - now > allowedSkewMs)
    return {
      problem: "notYet",
      message: `Signature not yet current: ${signature.timestamp} is still later than ${basicDate(now)} (${basicDate(now + allowedSkewMs)} - 5 min.)`,
    };
  if (signature.presigned) {
    if (now > signedAt + (signature.expires ?? 0) * 1000) return { problem: "presignExpired", message: "Request has expired." };
  } else if (now - signedAt > allowedSkewMs) {
    return {
      problem: "expired",
      message: `Signature expired: ${signature.timestamp} is now earlier than ${basicDate(now - allowedSkewMs)} (${basicDate(now)} - 5 min.)`,
    };
  }
  if (!signature.signedHeaders.includes("host"))
    return { problem: "mismatch", message: "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization." };
  if (sameText(sign(request, signature, secret, payloadHash), signature.signature)) return undefined;
  return {
    problem: "mismatch",
    message:
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
  };
}

/** Takes the same time wherever the texts differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
