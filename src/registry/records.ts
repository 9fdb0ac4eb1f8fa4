import type { Digest } from "./blobs/digest.ts";

/** `<account>/<region>`: where repositories have their names. ECR's `registryId` is the account. */
export interface RegistryId {
  readonly account: string;
  readonly region: string;
}

export type TagMutability = "MUTABLE" | "IMMUTABLE" | "MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION";

export interface ExclusionFilter {
  readonly filterType: "WILDCARD";
  readonly filter: string;
}

/** Written by ECR's operations, and by every change to the repository's images: its revision orders them all. */
export interface RepositoryRecord extends RegistryId {
  readonly name: string;
  /** Tells this repository from an earlier one of the same name: whatever belongs to it has this in its key. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly imageTagMutability: TagMutability;
  readonly exclusionFilters?: readonly ExclusionFilter[];
  readonly scanOnPush: boolean;
  readonly encryption: { readonly encryptionType: "AES256" | "KMS" | "KMS_DSSE"; readonly kmsKey?: string };
  readonly tags: Readonly<Record<string, string>>;
  /** Who else may use it: the text of SetRepositoryPolicy, as it was given. */
  readonly policy?: string;
  /** Which images go by themselves: the text of PutLifecyclePolicy, as it was given. */
  readonly lifecyclePolicy?: string;
  /** Of a public repository. */
  readonly catalog?: CatalogRecord;
  /** How many images it holds. */
  readonly images: number;
}

/** What ECR Public's gallery says of a repository. */
export interface CatalogRecord {
  readonly description?: string;
  readonly aboutText?: string;
  readonly usageText?: string;
  readonly architectures?: readonly string[];
  readonly operatingSystems?: readonly string[];
  /** Base64. */
  readonly logo?: string;
}

/** Writer: PutRegistryCatalogData. */
export interface RegistryCatalogRecord {
  readonly displayName?: string;
}

/** Writer: PutRegistryPolicy and DeleteRegistryPolicy. */
export interface RegistryPolicyRecord {
  readonly policy: string;
}

/** Writer: the lifecycle reconciler. */
export interface LifecycleRecord {
  readonly evaluatedAt: number;
}

/** Writer: StartLifecyclePolicyPreview. */
export interface LifecyclePreviewRecord {
  readonly policy: string;
  readonly startedAt: number;
}

/** Which repositories are scanned when images are pushed. Writer: PutRegistryScanningConfiguration. */
export interface RegistryScanningRecord {
  readonly rules: readonly ScanningRule[];
}

export interface ScanningRule {
  readonly scanFrequency: "SCAN_ON_PUSH" | "MANUAL";
  readonly repositoryFilters: readonly { readonly filterType: "WILDCARD"; readonly filter: string }[];
}

/** The last scan of an image. Writers: whoever asks for one (PENDING), then the scanner. */
export type ScanRecord = ScanRequest & (PendingScan | CompleteScan | FailedScan);

interface ScanRequest extends RegistryId {
  readonly repository: string;
  readonly repositoryId: string;
  readonly digest: Digest;
  readonly requestedAt: number;
}

export interface PendingScan {
  readonly state: "PENDING";
  /** How often it was begun: what ends the server each time is not begun for ever. */
  readonly begun: number;
}

export interface CompleteScan {
  readonly state: "COMPLETE";
  readonly completedAt: number;
  /** The image's tags then. */
  readonly tags: readonly string[];
  /** Newest change of what is known of the image's release. */
  readonly sourceUpdatedAt: number;
  /** When the database that it was compared with was imported. */
  readonly importedAt: number;
  readonly counts: Readonly<Record<string, number>>;
  /** The blob with the findings, which is kept while this record is; undefined for none. */
  readonly findings?: Digest;
}

export interface FailedScan {
  readonly state: "FAILED";
  readonly completedAt: number;
  readonly tags: readonly string[];
  readonly reason: string;
}

/** A manifest in a repository. Its bytes are a blob. */
export interface ImageRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the manifest. */
  readonly manifestSize: number;
  /** Bytes of config and layers; of an index, the largest image of it. */
  readonly imageSize: number;
  readonly pushedAt: number;
  readonly artifactType?: string;
  readonly configMediaType?: string;
  /** Config and layers, each once. */
  readonly blobs: readonly Digest[];
  /** Of an index: the manifests it names. */
  readonly manifests?: readonly Digest[];
  readonly subject?: Digest;
  readonly lastPulledAt?: number;
}

export interface TagRecord {
  readonly digest: Digest;
}

/** A descriptor of the referrers list of `subject`, kept so that the list needs no manifest to be read. */
export interface ReferrerRecord {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** That a repository holds a blob. Only then may it be read, mounted from or named by a manifest there. */
export interface LayerRecord {
  readonly size: number;
  /** When somebody last relied on its being here, to within half the grace period: the collector leaves it alone for a whole one. */
  readonly touched: number;
}
