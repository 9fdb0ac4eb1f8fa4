import { wildcardMatches } from "#model/wildcard.ts";
import type { RepositoryRecord } from "./records.ts";

/** ECR's rule for repository names. Source: Amazon ECR API Reference, CreateRepository; 2 to 256 characters. */
export const repositoryNamePattern = "(?:[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";

const repositoryName = new RegExp(`^${repositoryNamePattern}$`);

export const isRepositoryName = (text: string) => text.length >= 2 && text.length <= 256 && repositoryName.test(text);

/** OCI's rule for tags, but for the length: ECR takes 300 characters. Source: OCI distribution specification; Amazon ECR API Reference, ImageIdentifier. */
export const isTag = (text: string) => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,299}$/.test(text);

/** Whether a tag that names an image may not come to name another. Source: Amazon ECR User Guide, "Preventing image tags from being overwritten". */
export function isImmutable(repository: Pick<RepositoryRecord, "imageTagMutability" | "exclusionFilters">, tag: string): boolean {
  const excluded = () => (repository.exclusionFilters ?? []).some(({ filter }) => wildcardMatches(filter, tag));
  switch (repository.imageTagMutability) {
    case "MUTABLE":
      return false;
    case "IMMUTABLE":
      return true;
    case "IMMUTABLE_WITH_EXCLUSION":
      return !excluded();
    case "MUTABLE_WITH_EXCLUSION":
      return excluded();
  }
}
