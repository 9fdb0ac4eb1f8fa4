import type { ServerResponse } from "node:http";
import { RegistryError, type RegistryErrorKind } from "../errors.ts";

/** Source: OCI distribution specification 1.1, "Error Codes". */
export type OciCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "UNAUTHORIZED"
  | "DENIED"
  | "UNSUPPORTED"
  | "TOOMANYREQUESTS"
  | "UNKNOWN";

/** An answer that ends the request. */
export class OciError extends Error {
  readonly status: number;
  readonly code: OciCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly detail: unknown;
  constructor(status: number, code: OciCode, message: string, headers: Readonly<Record<string, string>> = {}, detail?: unknown) {
    super(message);
    this.name = "OciError";
    this.status = status;
    this.code = code;
    this.headers = headers;
    this.detail = detail;
  }
}

const kinds: Readonly<Record<RegistryErrorKind, readonly [status: number, code: OciCode]>> = {
  RepositoryUnknown: [404, "NAME_UNKNOWN"],
  RepositoryExists: [409, "DENIED"],
  RepositoryNotEmpty: [409, "DENIED"],
  RepositoryNameInvalid: [400, "NAME_INVALID"],
  ImageUnknown: [404, "MANIFEST_UNKNOWN"],
  ImageExists: [409, "DENIED"],
  ImageReferenced: [409, "DENIED"],
  ImageDigestMismatch: [400, "DIGEST_INVALID"],
  ManifestInvalid: [400, "MANIFEST_INVALID"],
  ManifestTooLarge: [413, "MANIFEST_INVALID"],
  TagInvalid: [400, "TAG_INVALID"],
  TagImmutable: [400, "TAG_INVALID"],
  DigestInvalid: [400, "DIGEST_INVALID"],
  LayersMissing: [400, "MANIFEST_BLOB_UNKNOWN"],
  ReferencedImagesMissing: [400, "MANIFEST_BLOB_UNKNOWN"],
  LayerUnknown: [404, "BLOB_UNKNOWN"],
  LayerReferenced: [409, "DENIED"],
  LayerDigestMismatch: [400, "DIGEST_INVALID"],
  UploadUnknown: [404, "BLOB_UPLOAD_UNKNOWN"],
  LimitExceeded: [429, "TOOMANYREQUESTS"],
};

/** Undefined: not the client's fault. */
export function asOciError(error: unknown): OciError | undefined {
  if (error instanceof OciError) return error;
  if (!(error instanceof RegistryError)) return undefined;
  const [status, code] = kinds[error.kind];
  return new OciError(status, code, error.message, {}, error.detail);
}

export function answerError(response: ServerResponse, { status, code, message, headers, detail }: OciError): void {
  const body = JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] });
  response.writeHead(status, { ...headers, "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** From the file system, or from the store. */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT" || code === "Full";
}
