import { wildcardMatches } from "#model/wildcard.ts";
import type { Unit } from "#store/unit.ts";
import type { Digest } from "./blobs/digest.ts";
import { registryScanningKey } from "./keys.ts";
import { type Manifest, mediaTypes } from "./manifest.ts";
import { publicRegion } from "./public.ts";
import type { RegistryScanningRecord, RepositoryRecord, ScanningRule, ScanRecord } from "./records.ts";

export interface AppliedScanning {
  readonly scanOnPush: boolean;
  readonly scanFrequency: ScanningRule["scanFrequency"];
  /** The filters of the registry's rules that match. */
  readonly filters: ScanningRule["repositoryFilters"];
}

/**
 * Where the registry has rules they decide, and a repository that none matches is scanned by hand; else the repository's own setting does. Source: Amazon ECR User Guide, "Filters to choose which
 * repositories are scanned": "Any repositories not matching a basic scanning scan on push filter will be set to the manual scan frequency".
 */
export function appliedScanning(
  repository: Pick<RepositoryRecord, "name" | "scanOnPush">,
  registry: RegistryScanningRecord | undefined,
): AppliedScanning {
  const rules = registry?.rules ?? [];
  if (rules.length === 0) {
    const { scanOnPush } = repository;
    return { scanOnPush, scanFrequency: scanOnPush ? "SCAN_ON_PUSH" : "MANUAL", filters: [] };
  }
  const matching = rules.map(({ scanFrequency, repositoryFilters }) => ({
    scanFrequency,
    filters: repositoryFilters.filter(({ filter }) => filterMatches(filter, repository.name)),
  }));
  const onPush = matching.find(({ scanFrequency, filters }) => scanFrequency === "SCAN_ON_PUSH" && filters.length > 0);
  const filters = (onPush ?? matching.find((each) => each.filters.length > 0))?.filters ?? [];
  return { scanOnPush: onPush !== undefined, scanFrequency: onPush ? "SCAN_ON_PUSH" : "MANUAL", filters };
}

/** Without a `*` it matches every name that contains it. Source: same, "Filter wildcards". */
const filterMatches = (filter: string, name: string) => (filter.includes("*") ? wildcardMatches(filter, name) : name.includes(filter));

const configTypes = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const layerTypes = /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(diff|foreign\.diff)\.tar)/;

/** An image made of layers: no index, no artifact. */
export const isScannable = ({ mediaType, artifactType, config, layers }: Manifest) =>
  (mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.dockerManifest) &&
  configTypes.includes(config?.mediaType ?? "") &&
  (artifactType === undefined || artifactType === config?.mediaType) &&
  layers.every((layer) => layerTypes.test(layer.mediaType));

export async function isScannedOnPush(unit: Unit, repository: RepositoryRecord, manifest: Manifest): Promise<boolean> {
  if (repository.region === publicRegion || !isScannable(manifest)) return false;
  return appliedScanning(repository, await unit.get<RegistryScanningRecord>(registryScanningKey(repository))).scanOnPush;
}

export const scanRequest = ({ account, region, name, id }: RepositoryRecord, digest: Digest, requestedAt: number): ScanRecord => ({
  account,
  region,
  repository: name,
  repositoryId: id,
  digest,
  requestedAt,
  state: "PENDING",
  begun: 0,
});
