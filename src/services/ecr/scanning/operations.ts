import type { ImageIdentifier, ImageScanFinding } from "@aws-sdk/client-ecr";
import { ApiError } from "#api/contract.ts";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import type { Finding } from "#model/vulnerabilities/findings.ts";
import { imageUnknown } from "#registry/errors.ts";
import { imageKey, scanKey } from "#registry/keys.ts";
import { parseManifest } from "#registry/manifest.ts";
import type { CompleteScan, ImageRecord, RepositoryRecord, ScanRecord } from "#registry/records.ts";
import { isScannable, scanRequest } from "#registry/scanning.ts";
import { decodeFindings } from "./messages.ts";
import { databaseChangedAt } from "#vulnerabilities/places.ts";
import { invalidParameter } from "../errors.ts";
import { malformed, resolve } from "../image-ids.ts";
import type { EcrPart } from "../part.ts";
import { badToken, maxResults, registryOf, repositoryName } from "../validate.ts";
import { scanStatus } from "../views.ts";

/** Source: Amazon ECR API Reference, StartImageScan: "An image scan can only be started once per 24 hours on an individual image". */
const scanQuotaMs = 24 * 60 * 60 * 1000;

/** Basic scans: asking for one, and what it found. Source: Amazon ECR API Reference, StartImageScan and DescribeImageScanFindings. */
export function scanHandlers({ registry, store, sealer, clock, config }: EcrPart) {
  async function imageOf(repository: RepositoryRecord, imageId: ImageIdentifier): Promise<ImageRecord> {
    const wrong = malformed(imageId);
    if (wrong) throw invalidParameter("imageId", wrong.failureReason ?? "is not valid");
    const result = await resolve(registry.images, repository, imageId);
    if ("failure" in result) throw imageUnknown(repository, { digest: imageId.imageDigest, tag: imageId.imageTag });
    return result.image;
  }

  async function checkScannable(repository: RepositoryRecord, image: ImageRecord): Promise<void> {
    const bytes = await registry.manifests.read(image.digest);
    if (bytes && isScannable(parseManifest(bytes, image.mediaType))) return;
    const message = `The image with digest '${image.digest}' in the repository with name '${repository.name}' in the registry with id '${repository.account}' is of a type that cannot be scanned: ${image.manifests ? "scan the images that it names" : (image.artifactType ?? image.configMediaType ?? image.mediaType)}`;
    throw new ApiError("UnsupportedImageTypeException", message);
  }

  /** A failed scan is not counted, nor is one that knew less than a new one would. */
  async function checkQuota(known: ScanRecord | undefined): Promise<void> {
    if (!known || known.state === "FAILED") return;
    const again =
      known.state === "COMPLETE" &&
      (clock.now() - known.completedAt >= scanQuotaMs || ((await databaseChangedAt(config.home)) ?? 0) > known.completedAt);
    if (!again) throw new ApiError("LimitExceededException", "The scan quota per image has been exceeded. Wait and try again.");
  }

  async function findingsOf({ findings }: CompleteScan): Promise<readonly Finding[]> {
    if (findings === undefined) return [];
    const read = await registry.blobs.read(findings);
    const pieces: Buffer[] = [];
    if (read) for await (const piece of read.pieces()) pieces.push(Buffer.from(piece));
    else throw new ApiError("ServerException", `The findings of the scan are lost (blob ${findings}). Start the scan again.`, 500);
    return decodeFindings(Buffer.concat(pieces));
  }

  return {
    async StartImageScan(input, context) {
      const repository = await registry.repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const imageId = input.imageId ?? {};
      for (;;) {
        const image = await imageOf(repository, imageId);
        await checkScannable(repository, image);
        const [key, held] = [scanKey(repository, image.digest), imageKey(repository, image.digest)];
        const [entry, there] = await Promise.all([store.get<ScanRecord>(key), store.get(held)]);
        await checkQuota(entry?.value);
        if (!there) continue;
        const value = scanRequest(repository, image.digest, clock.now());
        const compare = [
          { key, revision: entry?.revision ?? 0 },
          { key: held, revision: there.revision },
        ];
        if (!(await store.transaction({ compare, writes: [{ put: key, value }] })).ok) continue;
        return {
          registryId: repository.account,
          repositoryName: repository.name,
          imageId: { ...imageId, imageDigest: image.digest },
          imageScanStatus: scanStatus(value),
        };
      }
    },

    async DescribeImageScanFindings(input, context) {
      const limit = maxResults(input.maxResults);
      const repository = await registry.repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const image = await imageOf(repository, input.imageId ?? {});
      const imageId = { imageDigest: image.digest, imageTag: input.imageId?.imageTag };
      const scan = (await store.get<ScanRecord>(scanKey(repository, image.digest)))?.value;
      if (!scan) {
        const named = `{imageDigest:'${image.digest}', imageTag:'${input.imageId?.imageTag ?? "null"}'}`;
        const message = `Image scan does not exist for the image with '${named}' in the repository with name '${repository.name}' in the registry with id '${repository.account}'`;
        throw new ApiError("ScanNotFoundException", message);
      }
      const answer = { registryId: repository.account, repositoryName: repository.name, imageId, imageScanStatus: scanStatus(scan) };
      if (scan.state !== "COMPLETE") return answer;
      const all = (await findingsOf(scan)).map((finding, index) => ({ finding, position: String(index).padStart(9, "0") }));
      const scope = `ecr:DescribeImageScanFindings:${repository.id}:${image.digest}:${scan.completedAt}`;
      const { items, nextToken } = pageOf(sealer, all, ({ position }) => position, { scope, limit, token: input.nextToken, badToken });
      return {
        ...answer,
        imageScanFindings: {
          imageScanCompletedAt: new Date(scan.completedAt),
          vulnerabilitySourceUpdatedAt: new Date(scan.sourceUpdatedAt),
          findingSeverityCounts: { ...scan.counts },
          findings: items.map(({ finding }) => findingView(finding)),
        },
        nextToken,
      };
    },
  } satisfies Handlers<EcrOperations>;
}

function findingView({ name, description, uri, severity, packageName, packageVersion, vector, score }: Finding): ImageScanFinding {
  const attributes = {
    package_version: packageVersion,
    package_name: packageName,
    ...(vector === undefined ? {} : { CVSS3_VECTOR: vector, CVSS3_SCORE: score!.toFixed(1) }),
  };
  return { name, description, uri, severity, attributes: Object.entries(attributes).map(([key, value]) => ({ key, value })) };
}
