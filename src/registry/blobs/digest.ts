import { createHash } from "node:crypto";

/** `sha256:` and 64 lower-case hex digits. Source: OCI image specification, "Digests"; ECR knows no other algorithm. */
export type Digest = string;

export function isDigest(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
