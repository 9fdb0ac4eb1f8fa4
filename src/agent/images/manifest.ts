import type { Image } from "#agent/runtime.ts";
import { createHash } from "node:crypto";
import { isDigest } from "./reference.ts";

/** The OCI image format and Docker's schema 2, as far as a puller reads them. Everything here comes from a registry: nothing is trusted. */

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

export interface Manifest {
  readonly kind: "manifest";
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Index {
  readonly kind: "index";
  readonly manifests: readonly (Descriptor & { readonly platform: Platform | undefined; readonly attestation: boolean })[];
}

export interface ImageConfig {
  readonly diffIds: readonly string[];
  readonly platform: Platform;
  readonly config: Image["config"];
}

export class InvalidImage extends Error {}

export const manifestTypes = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

export const maxManifestBytes = 4 * 1024 * 1024;
export const maxConfigBytes = 8 * 1024 * 1024;
const maxLayers = 512;

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

type Json = Record<string, unknown>;

function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidImage(`${what} is not an object`);
  return value as Json;
}

function parseJson(bytes: Uint8Array, what: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new InvalidImage(`${what} is not JSON`);
  }
  return object(value, what);
}

function parseDescriptor(value: unknown, what: string): Descriptor {
  const { mediaType, digest, size } = object(value, what);
  if (typeof mediaType !== "string") throw new InvalidImage(`${what} has no media type`);
  if (typeof digest !== "string" || !isDigest(digest)) throw new InvalidImage(`${what} has no valid digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw new InvalidImage(`${what} has no valid size`);
  return { mediaType, digest, size };
}

function parsePlatform(value: unknown): Platform | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { os, architecture, variant } = value as Json;
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  return { os, architecture, variant: typeof variant === "string" && variant !== "" ? variant : undefined };
}

/** A manifest or an index. `contentType` is the registry's word for it; the document's own `mediaType` and shape must not contradict it. */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest | Index {
  const document = parseJson(bytes, "manifest");
  const own = typeof document.mediaType === "string" ? document.mediaType : undefined;
  const given = contentType?.split(";")[0]?.trim();
  const known = Object.values(manifestTypes) as string[];
  const type = own ?? (given && known.includes(given) ? given : undefined);
  if (document.schemaVersion === 1)
    throw new InvalidImage("manifest schema version 1 is no longer supported: push the image again with a current tool");
  if (type !== undefined && !known.includes(type)) throw new InvalidImage(`unsupported manifest media type ${type}`);
  const isIndex = type ? type === manifestTypes.ociIndex || type === manifestTypes.dockerList : Array.isArray(document.manifests);
  if (isIndex) {
    // A document that is both would be read as another image by another tool (CVE-2021-41190).
    if (document.config !== undefined || document.layers !== undefined)
      throw new InvalidImage("index with a configuration or layers is ambiguous");
    if (!Array.isArray(document.manifests)) throw new InvalidImage("index has no manifests");
    const manifests = document.manifests.map((entry: unknown, at) => {
      const annotations = object(entry, `manifest ${at}`).annotations as Json | undefined;
      return {
        ...parseDescriptor(entry, `manifest ${at} of the index`),
        platform: parsePlatform((entry as Json).platform),
        attestation: annotations?.["vnd.docker.reference.type"] !== undefined,
      };
    });
    return { kind: "index", manifests };
  }
  if (document.manifests !== undefined) throw new InvalidImage("manifest with manifests is ambiguous");
  const config = parseDescriptor(document.config, "configuration");
  if (!Array.isArray(document.layers)) throw new InvalidImage("manifest has no layers");
  if (document.layers.length > maxLayers) throw new InvalidImage(`manifest has more than ${maxLayers} layers`);
  const layers = document.layers.map((entry: unknown, at) => parseDescriptor(entry, `layer ${at}`));
  return { kind: "manifest", config, layers };
}

/** Compression of a layer by its media type. */
export function layerCompression(mediaType: string): "none" | "gzip" | "zstd" {
  const match =
    /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(gzip|zstd))?$/.exec(mediaType) ??
    /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(gzip|zstd))?$/.exec(mediaType);
  if (!match) throw new InvalidImage(`unsupported layer media type ${mediaType}`);
  return (match[1] as "gzip" | "zstd" | undefined) ?? "none";
}

export function parseConfig(bytes: Uint8Array): ImageConfig {
  const document = parseJson(bytes, "image configuration");
  const rootfs = object(document.rootfs, "rootfs of the image configuration");
  if (rootfs.type !== "layers" || !Array.isArray(rootfs.diff_ids)) throw new InvalidImage("image configuration has no diff_ids");
  for (const id of rootfs.diff_ids as unknown[])
    if (typeof id !== "string" || !isDigest(id)) throw new InvalidImage("diff_id is not a digest");
  const platform = parsePlatform(document) ?? { os: "linux", architecture: hostPlatform().architecture, variant: undefined };
  const config = document.config == null ? {} : object(document.config, "config of the image configuration");
  const volumes = config.Volumes == null ? {} : object(config.Volumes, "Volumes");
  return {
    diffIds: rootfs.diff_ids as string[],
    platform,
    config: {
      entrypoint: strings(config.Entrypoint, "Entrypoint"),
      cmd: strings(config.Cmd, "Cmd"),
      env: strings(config.Env, "Env").filter((entry) => entry.includes("=") && !entry.startsWith("=") && !entry.includes("\0")),
      user: string(config.User, "User"),
      workingDir: string(config.WorkingDir, "WorkingDir"),
      stopSignal: string(config.StopSignal, "StopSignal") || undefined,
      healthcheck: parseHealthcheck(config.Healthcheck),
      volumes: Object.keys(volumes),
    },
  };
}

function strings(value: unknown, what: string): string[] {
  if (value == null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) throw new InvalidImage(`${what} is not a list of strings`);
  return value;
}

function string(value: unknown, what: string): string {
  if (value == null) return "";
  if (typeof value !== "string") throw new InvalidImage(`${what} is not a string`);
  return value;
}

function parseHealthcheck(value: unknown): Image["config"]["healthcheck"] {
  if (value == null) return undefined;
  const check = object(value, "Healthcheck");
  const test = strings(check.Test, "Healthcheck.Test");
  if (test.length === 0) return undefined;
  const number = (field: unknown) => (typeof field === "number" && Number.isFinite(field) && field > 0 ? field : undefined);
  return {
    test,
    intervalNs: number(check.Interval),
    timeoutNs: number(check.Timeout),
    retries: number(check.Retries),
    startPeriodNs: number(check.StartPeriod),
  };
}

export function hostPlatform(): Platform {
  if (process.arch === "arm64") return { os: "linux", architecture: "arm64", variant: "v8" };
  if (process.arch === "arm") return { os: "linux", architecture: "arm", variant: "v7" };
  return { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch, variant: undefined };
}

/**
 * The index's manifest for `platform`: the same variant first, then lower ones (arm v7 runs v6), then one without.
 * Throws InvalidImage with the words ECS shows.
 */
export function selectManifest(index: Index, platform: Platform): Descriptor {
  const rank = (entry: Platform | undefined): number => {
    if (!entry || entry.os !== platform.os || entry.architecture !== platform.architecture) return -1;
    const has = variantNumber(entry, platform);
    const want = variantNumber(platform, platform);
    return has > want ? -1 : 100 - (want - has);
  };
  let best: Descriptor | undefined;
  let bestRank = -1;
  for (const entry of index.manifests) {
    if (entry.attestation || entry.platform?.os === "unknown") continue;
    const value = rank(entry.platform);
    if (value > bestRank) [best, bestRank] = [entry, value];
  }
  // An index that names no platform at all, with one manifest, is what some builders push for a single architecture.
  const only = index.manifests.length === 1 && !index.manifests[0]?.platform ? index.manifests[0] : undefined;
  best ??= only;
  if (!best) {
    const offered = index.manifests.filter((entry) => entry.platform && !entry.attestation).map((entry) => platformName(entry.platform!));
    const list = offered.length > 0 ? ` (the image has ${[...new Set(offered)].join(", ")})` : "";
    throw new InvalidImage(`image Manifest does not contain descriptor matching platform '${platform.os}/${platform.architecture}'${list}`);
  }
  return { mediaType: best.mediaType, digest: best.digest, size: best.size };
}

function variantNumber(platform: Platform, host: Platform): number {
  const match = /^v(\d+)$/.exec(platform.variant ?? "");
  if (match) return Number(match[1]);
  return platform.architecture === "arm64" ? 8 : platform.architecture === "arm" ? Math.min(7, variantOr(host)) : 1;
}

function variantOr(host: Platform): number {
  const match = /^v(\d+)$/.exec(host.variant ?? "");
  return match ? Number(match[1]) : 7;
}

function platformName(platform: Platform): string {
  return `${platform.os}/${platform.architecture}${platform.variant ? `/${platform.variant}` : ""}`;
}

/** The names of the snapshots after each layer (OCI image spec, "ChainID"). */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const [at, id] of diffIds.entries()) chain.push(at === 0 ? id : digestOf(Buffer.from(`${chain[at - 1]} ${id}`)));
  return chain;
}
