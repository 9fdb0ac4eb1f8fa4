/**
 * The registry's records in the store:
 *
 *     /ecr/<account>/<region>/repositories/<name>                   RepositoryRecord
 *     /ecr/<account>/<region>/policy                                RegistryPolicyRecord
 *     /ecr/<account>/public/catalog                                 RegistryCatalogRecord
 *     /ecr/<account>/<region>/images/<repository id>/<digest>       ImageRecord
 *     /ecr/<account>/<region>/tags/<repository id>/<tag>            TagRecord
 *     /ecr/<account>/<region>/referrers/<repository id>/<subject>/<digest>  ReferrerRecord
 *     /ecr/<account>/<region>/layers/<repository id>/<digest>       LayerRecord
 *     /ecr/<account>/<region>/scanning                              RegistryScanningRecord
 *     /ecr/<account>/<region>/scans/<repository id>/<digest>        ScanRecord
 *     /ecr/<account>/<region>/lifecycle/<repository id>/evaluated   LifecycleRecord
 *     /ecr/<account>/<region>/lifecycle/<repository id>/preview     LifecyclePreviewRecord
 */
import type { Digest } from "./blobs/digest.ts";
import { publicRegistry } from "./public.ts";
import type { RegistryId, RepositoryRecord } from "./records.ts";

export const everything = "/ecr/";

const base = ({ account, region }: RegistryId) => `${everything}${account}/${region}`;

export const repositoriesPrefix = (registry: RegistryId) => `${base(registry)}/repositories/`;
export const registryPolicyKey = (registry: RegistryId) => `${base(registry)}/policy`;
export const registryScanningKey = (registry: RegistryId) => `${base(registry)}/scanning`;
export const registryCatalogKey = (account: string) => `${base(publicRegistry(account))}/catalog`;
export const repositoryKey = (registry: RegistryId, name: string) => `${repositoriesPrefix(registry)}${name}`;
export const imagesPrefix = (repository: RepositoryRecord) => `${base(repository)}/images/${repository.id}/`;
export const imageKey = (repository: RepositoryRecord, digest: Digest) => `${imagesPrefix(repository)}${digest}`;
export const tagsPrefix = (repository: RepositoryRecord) => `${base(repository)}/tags/${repository.id}/`;
export const tagKey = (repository: RepositoryRecord, tag: string) => `${tagsPrefix(repository)}${tag}`;
export const repositoryReferrersPrefix = (repository: RepositoryRecord) => `${base(repository)}/referrers/${repository.id}/`;
export const referrersPrefix = (repository: RepositoryRecord, subject: Digest) => `${repositoryReferrersPrefix(repository)}${subject}/`;
export const referrerKey = (repository: RepositoryRecord, subject: Digest, digest: Digest) =>
  `${referrersPrefix(repository, subject)}${digest}`;
export const layersPrefix = (repository: RepositoryRecord) => `${base(repository)}/layers/${repository.id}/`;
export const layerKey = (repository: RepositoryRecord, digest: Digest) => `${layersPrefix(repository)}${digest}`;
export const scansPrefix = (repository: Pick<RepositoryRecord, "account" | "region" | "id">) =>
  `${base(repository)}/scans/${repository.id}/`;
export const scanKey = (repository: Pick<RepositoryRecord, "account" | "region" | "id">, digest: Digest) =>
  `${scansPrefix(repository)}${digest}`;
export const lifecyclePrefix = (repository: RepositoryRecord) => `${base(repository)}/lifecycle/${repository.id}/`;
export const lifecycleKey = (repository: RepositoryRecord) => `${lifecyclePrefix(repository)}evaluated`;
export const lifecyclePreviewKey = (repository: RepositoryRecord) => `${lifecyclePrefix(repository)}preview`;

/** Whether a key is that of a RepositoryRecord. */
export const isRepositoryKey = (key: string) => /^\/ecr\/\d{12}\/[^/]+\/repositories\//.test(key);

/** Whether a key is that of a ScanRecord. */
export const isScanKey = (key: string) => /^\/ecr\/\d{12}\/[^/]+\/scans\//.test(key);

/** What a key of the registry names: its kind, and for all but repositories the repository's id and the last part. */
export function parseKey(key: string): { readonly kind: string; readonly repository: string; readonly last: string } | undefined {
  const match = /^\/ecr\/\d{12}\/[^/]+\/(images|tags|referrers|layers|scans)\/([^/]+)\/(?:.*\/)?([^/]+)$/.exec(key);
  return match ? { kind: match[1]!, repository: match[2]!, last: match[3]! } : undefined;
}
