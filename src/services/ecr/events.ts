import type { DraftEvent } from "#reconcilers/events/deliveries.ts";
import type { EventSource, Reading } from "#reconcilers/events/publishing.ts";
import { isScanKey, parseKey } from "#registry/keys.ts";
import type { ImageRecord, RepositoryRecord, ScanRecord, TagRecord } from "#registry/records.ts";
import { repositoryArn } from "./views.ts";

const detailType = "ECR Image Action";
const scanType = "ECR Image Scan";
const repositories = /^\/ecr\/(\d{12})\/([^/]+)\/repositories\//;

/**
 * Images that come and go, each by each of its tags, or by its digest alone when it has none. Every change of an image writes its repository's record too, so the
 * transaction says its name. Source: ECR User Guide, "Amazon ECR events and EventBridge".
 */
export const ecrEvents: EventSource = {
  concerns: (key) => repositories.test(key) || isScanKey(key) || /^\/ecr\/\d{12}\/[^/]+\/(images|tags)\//.test(key),
  async eventsOf(reading) {
    const events: DraftEvent[] = [];
    for (const key of reading.keys) {
      if (isScanKey(key)) events.push(...(await scanEvents(reading, key)));
      const [, account = "", region = ""] = repositories.exec(key) ?? [];
      if (region === "" || region === "public" || !reading.wanted({ account, region }, "aws.ecr", detailType)) continue;
      const repository = await reading.after<RepositoryRecord>(key);
      if (!repository) continue;
      const say = (type: "PUSH" | "DELETE", digest: string, image: ImageRecord | undefined, tag?: string) =>
        events.push({
          account,
          region,
          source: "aws.ecr",
          detailType,
          resources: [],
          detail: {
            result: "SUCCESS",
            "repository-name": repository.name,
            "image-digest": digest,
            "action-type": type,
            ...(tag === undefined ? {} : { "image-tag": tag }),
            ...(image ? { "manifest-media-type": image.mediaType } : {}),
            ...((image?.artifactType ?? image?.configMediaType)
              ? { "artifact-media-type": image.artifactType ?? image.configMediaType }
              : {}),
          },
        });
      const told = new Set<string>();
      const own = reading.keys
        .map((each) => ({ each, parsed: parseKey(each) }))
        .filter(({ parsed }) => parsed?.repository === repository.id);
      const imageKeyOf = (digest: string) => `/ecr/${account}/${region}/images/${repository.id}/${digest}`;
      for (const { each, parsed } of own) {
        if (parsed!.kind !== "tags") continue;
        const before = await reading.before<TagRecord>(each);
        const after = await reading.after<TagRecord>(each);
        if (before?.digest === after?.digest) continue;
        const digest = (after ?? before)!.digest;
        told.add(digest);
        const image = await (after ? reading.after : reading.before)<ImageRecord>(imageKeyOf(digest));
        say(after ? "PUSH" : "DELETE", digest, image, parsed!.last);
      }
      for (const { each, parsed } of own) {
        if (parsed!.kind !== "images" || told.has(parsed!.last)) continue;
        const before = await reading.before<ImageRecord>(each);
        const after = await reading.after<ImageRecord>(each);
        if (!before !== !after) say(after ? "PUSH" : "DELETE", parsed!.last, after ?? before);
      }
    }
    return events;
  },
};

/** A scan that has come to its end, whichever: once, for its record is PENDING before and never again without somebody asking. Source: same, "Event for a completed image scan". */
async function scanEvents(reading: Reading, key: string): Promise<readonly DraftEvent[]> {
  const scan = await reading.after<ScanRecord>(key);
  if (!scan || scan.state === "PENDING" || !reading.wanted(scan, "aws.ecr", scanType)) return [];
  if ((await reading.before<ScanRecord>(key))?.state !== "PENDING") return [];
  const { account, region, repository: name, digest, tags } = scan;
  return [
    {
      account,
      region,
      source: "aws.ecr",
      detailType: scanType,
      resources: [repositoryArn({ account, region, name })],
      detail: {
        "scan-status": scan.state,
        "repository-name": name,
        "finding-severity-counts": scan.state === "COMPLETE" ? scan.counts : {},
        "image-digest": digest,
        "image-tags": tags,
      },
    },
  ];
}
