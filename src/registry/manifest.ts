import { isDigest, type Digest } from "./blobs/digest.ts";
import { RegistryError } from "./errors.ts";

/** Source: OCI image specification, "Content Descriptors". */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly urls?: readonly string[];
}

/** What the registry needs to know of a manifest. Its bytes are never changed. */
export interface Manifest {
  readonly mediaType: string;
  /** Of an artifact; of an image the type of its config. */
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers: readonly Descriptor[];
  /** Of an index or manifest list. */
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const mediaTypes = {
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
} as const;

/** Bytes. Source: OCI distribution specification, "Pushing Manifests"; Amazon ECR API Reference, PutImage. */
export const manifestLimit = 4 * 1024 * 1024;

/**
 * Reads and checks a manifest or index of OCI or Docker's schema 2. `declared` is the media type the client named, which has to agree with the manifest's own.
 * Throws RegistryError `ManifestInvalid`.
 */
export function parseManifest(bytes: Uint8Array, declared: string | undefined): Manifest {
  if (bytes.length > manifestLimit)
    throw new RegistryError("ManifestTooLarge", `The manifest has ${bytes.length} bytes, more than ${manifestLimit}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid("Invalid JSON syntax");
  }
  const root = object(value, "the manifest");
  const own = optionalText(root.mediaType, "mediaType");
  const mediaType = own ?? declared;
  if (root.schemaVersion === 1) throw invalid("manifests of schema version 1 are not supported");
  if (root.schemaVersion !== 2) throw invalid("schemaVersion is not 2");
  if (!mediaType) throw invalid("image manifest mediatype not provided in manifest or parameter");
  if (declared && own && declared !== own) throw invalid(`the manifest says it is '${own}', the request says '${declared}'`);
  const subject = root.subject === undefined || root.subject === null ? undefined : descriptor(root.subject, "subject");
  const annotations = texts(root.annotations, "annotations");
  const artifactType = optionalText(root.artifactType, "artifactType") || undefined;
  switch (mediaType) {
    case mediaTypes.ociManifest:
    case mediaTypes.dockerManifest: {
      if (root.manifests !== undefined) throw invalid("an image has no 'manifests'");
      const config = descriptor(root.config, "config");
      const layers = list(root.layers, "layers").map((each, index) => descriptor(each, `layers[${index}]`));
      return { mediaType, artifactType: artifactType ?? config.mediaType, config, layers, subject, annotations };
    }
    case mediaTypes.ociIndex:
    case mediaTypes.dockerList: {
      if (root.config !== undefined || root.layers !== undefined) throw invalid("an index has no 'config' and no 'layers'");
      const manifests = list(root.manifests, "manifests").map((each, index) => descriptor(each, `manifests[${index}]`));
      return { mediaType, artifactType, layers: [], manifests, subject, annotations };
    }
    default:
      throw invalid(`manifests of type '${mediaType.slice(0, 200)}' are not supported`);
  }
}

/** Config and layers that the registry has to hold: all but those that are fetched from elsewhere. Each once. */
export function requiredBlobs({ config, layers }: Manifest): Digest[] {
  const here = layers.filter(({ urls }) => !urls?.length);
  return [...new Set([...(config ? [config.digest] : []), ...here.map(({ digest }) => digest)])];
}

export function imageSize({ config, layers }: Manifest): number {
  return layers.reduce((sum, { size }) => sum + size, config?.size ?? 0);
}

const invalid = (why: string) =>
  new RegistryError("ManifestInvalid", `Invalid parameter at 'ImageManifest' failed to satisfy constraint: '${why}'`);

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${what} is not an object`);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} is not a list`);
  return value;
}

function optionalText(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string" || value.length > 1024) throw invalid(`${what} is not a short text`);
  return value;
}

function texts(value: unknown, what: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  const entries = Object.entries(object(value, what));
  for (const [key, text] of entries) if (typeof text !== "string") throw invalid(`${what} '${key.slice(0, 100)}' is not a text`);
  return Object.fromEntries(entries) as Record<string, string>;
}

function descriptor(value: unknown, what: string): Descriptor {
  const { mediaType, digest, size, urls, ...rest } = object(value, what);
  if (typeof mediaType !== "string" || mediaType === "" || mediaType.length > 1024) throw invalid(`${what} has no mediaType`);
  if (typeof digest !== "string" || !isDigest(digest)) throw invalid(`${what} has no sha256 digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw invalid(`${what} has no size`);
  if (urls !== undefined && urls !== null && !list(urls, `${what}.urls`).every((url) => typeof url === "string"))
    throw invalid(`${what}.urls is not a list of texts`);
  return {
    mediaType,
    digest,
    size,
    urls: (urls as string[] | null | undefined) ?? undefined,
    artifactType: optionalText(rest.artifactType, `${what}.artifactType`),
    annotations: texts(rest.annotations, `${what}.annotations`),
  };
}
