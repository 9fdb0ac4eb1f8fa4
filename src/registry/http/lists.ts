import type { Store } from "#store/store.ts";
import { isDigest } from "../blobs/digest.ts";
import { referrersPrefix, tagsPrefix } from "../keys.ts";
import { mediaTypes } from "../manifest.ts";
import type { ReferrerRecord } from "../records.ts";
import { answerJson, type Exchange, methodNotAllowed } from "./exchange.ts";
import { OciError } from "./errors.ts";

const tagsPerPage = 10_000;
const referrersPerPage = 1000;

/** The repository's tags in order of bytes, `n` at most behind `last`. Source: OCI distribution specification 1.1, "Listing Tags". */
export async function handleTags(exchange: Exchange, store: Store): Promise<void> {
  const { request, info, repository } = exchange;
  if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed("GET, HEAD");
  const n = info.query.get("n");
  if (n !== null && !/^\d{1,9}$/.test(n)) throw new OciError(400, "UNSUPPORTED", "The parameter n is not a number.");
  const limit = Math.min(n === null ? tagsPerPage : Number(n), tagsPerPage);
  const prefix = tagsPrefix(repository);
  const last = info.query.get("last") ?? "";
  const { entries, more } =
    limit === 0 ? { entries: [], more: false } : await store.list(prefix, { limit, after: last === "" ? undefined : `${prefix}${last}` });
  const tags = entries.map(({ key }) => key.slice(prefix.length));
  const next: Record<string, string> = more
    ? { link: `</v2/${exchange.path}/tags/list?n=${limit}&last=${encodeURIComponent(tags.at(-1)!)}>; rel="next"` }
    : {};
  answerJson(exchange, { name: repository.name, tags }, next);
}

/** What names `digest` as its subject. Source: OCI distribution specification 1.1, "Listing Referrers". */
export async function handleReferrers(exchange: Exchange, store: Store, digest: string): Promise<void> {
  const { request, info, repository } = exchange;
  if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed("GET, HEAD");
  if (!isDigest(digest)) throw new OciError(400, "DIGEST_INVALID", "The digest is not a sha256 digest.");
  const prefix = referrersPrefix(repository, digest);
  const last = info.query.get("last");
  const after = last !== null && isDigest(last) ? `${prefix}${last}` : undefined;
  const { entries, more } = await store.list<ReferrerRecord>(prefix, { limit: referrersPerPage, after });
  const type = info.query.get("artifactType");
  const manifests = entries.map(({ value }) => value).filter(({ artifactType }) => type === null || artifactType === type);
  const query = new URLSearchParams({ last: entries.at(-1)?.value.digest ?? "", ...(type === null ? {} : { artifactType: type }) });
  answerJson(
    exchange,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    {
      "content-type": mediaTypes.ociIndex,
      ...(type === null ? {} : { "oci-filters-applied": "artifactType" }),
      ...(more ? { link: `</v2/${exchange.path}/referrers/${digest}?${query.toString()}>; rel="next"` } : {}),
    },
  );
}
