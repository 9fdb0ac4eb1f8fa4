import type { ImageDetail, ImageScanStatus, Repository } from "@aws-sdk/client-ecr";
import type { Repository as PublicRepository } from "@aws-sdk/client-ecr-public";
import { formatArn } from "#model/arn.ts";
import type { Config } from "#platform/config.ts";
import { aliasOf, publicPath, publicRegion } from "#registry/public.ts";
import type { ImageRecord, RegistryId, RepositoryRecord, ScanRecord } from "#registry/records.ts";

type Place = Pick<Config, "port" | "domain" | "tls">;

/** `localhost:<port>`, which every container tool trusts without TLS, or ECR's own form of host under the configured domain. */
export function registryHost({ port, domain }: Place, { account, region }: RegistryId): string {
  return domain ? `${account}.dkr.ecr.${region}.${domain}` : `localhost:${port}`;
}

export function registryUrl(place: Place, registry: RegistryId): string {
  return `${place.domain || place.tls ? "https" : "http"}://${registryHost(place, registry)}`;
}

/** Of public repositories: on the port's own host they have `public/` before their alias, under a domain a host of their own. */
export const publicHost = ({ port, domain }: Place) => (domain ? `public.ecr.${domain}` : `localhost:${port}/${publicPath.slice(0, -1)}`);

export const publicRepositoryView = (place: Place, repository: RepositoryRecord): PublicRepository => ({
  repositoryArn: repositoryArn(repository),
  registryId: repository.account,
  repositoryName: repository.name,
  repositoryUri: `${publicHost(place)}/${aliasOf(repository.account)}/${repository.name}`,
  createdAt: new Date(repository.createdAt),
});

export function repositoryArn({ account, region, name }: Pick<RepositoryRecord, "account" | "region" | "name">): string {
  if (region === publicRegion) return formatArn({ service: "ecr-public", region: "", account, resource: `repository/${name}` });
  return formatArn({ service: "ecr", region, account, resource: `repository/${name}` });
}

export function repositoryView(place: Place, repository: RepositoryRecord): Repository {
  return {
    repositoryArn: repositoryArn(repository),
    registryId: repository.account,
    repositoryName: repository.name,
    repositoryUri: `${registryHost(place, repository)}/${repository.name}`,
    createdAt: new Date(repository.createdAt),
    imageTagMutability: repository.imageTagMutability,
    imageTagMutabilityExclusionFilters: repository.exclusionFilters?.map((filter) => ({ ...filter })),
    imageScanningConfiguration: { scanOnPush: repository.scanOnPush },
    encryptionConfiguration: repository.encryption,
  };
}

/** How ECR says it. Source: Amazon ECR User Guide, "Retrieving the findings for basic scans". */
export function scanStatus(scan: ScanRecord): ImageScanStatus {
  if (scan.state === "PENDING") return { status: "IN_PROGRESS" };
  if (scan.state === "FAILED") return { status: "FAILED", description: scan.reason };
  return { status: "COMPLETE", description: "The scan was completed successfully." };
}

export function imageDetail(repository: RepositoryRecord, image: ImageRecord, tags: readonly string[], scan?: ScanRecord): ImageDetail {
  return {
    registryId: repository.account,
    repositoryName: repository.name,
    imageDigest: image.digest,
    imageTags: tags.length > 0 ? [...tags] : undefined,
    imageSizeInBytes: image.imageSize,
    imagePushedAt: new Date(image.pushedAt),
    imageManifestMediaType: image.mediaType,
    artifactMediaType: image.artifactType,
    lastRecordedPullTime: image.lastPulledAt === undefined ? undefined : new Date(image.lastPulledAt),
    subjectManifestDigest: image.subject,
    imageStatus: "ACTIVE",
    imageScanStatus: scan && scanStatus(scan),
    imageScanFindingsSummary:
      scan?.state === "COMPLETE"
        ? {
            imageScanCompletedAt: new Date(scan.completedAt),
            vulnerabilitySourceUpdatedAt: new Date(scan.sourceUpdatedAt),
            findingSeverityCounts: { ...scan.counts },
          }
        : undefined,
  };
}
