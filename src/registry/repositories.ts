import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { RegistryError, repositoryUnknown } from "./errors.ts";
import {
  imagesPrefix,
  layersPrefix,
  lifecyclePrefix,
  repositoriesPrefix,
  repositoryKey,
  repositoryReferrersPrefix,
  scansPrefix,
  tagsPrefix,
} from "./keys.ts";
import { isRepositoryName, repositoryNamePattern } from "./names.ts";
import type { RegistryId, RepositoryRecord } from "./records.ts";

/** What CreateRepository may choose; the rest are AWS's defaults. */
export type RepositorySettings = Partial<
  Pick<RepositoryRecord, "imageTagMutability" | "exclusionFilters" | "scanOnPush" | "encryption" | "tags" | "catalog">
>;

export interface Repositories {
  /** Throws RepositoryUnknown. */
  get(registry: RegistryId, name: string): Promise<RepositoryRecord>;
  find(registry: RegistryId, name: string): Promise<RepositoryRecord | undefined>;
  list(registry: RegistryId): Promise<readonly RepositoryRecord[]>;
  create(registry: RegistryId, name: string, settings: RepositorySettings): Promise<RepositoryRecord>;
  /** Changes settings; `images` and what identifies the repository stay. */
  update(registry: RegistryId, name: string, change: (repository: RepositoryRecord) => RepositoryRecord): Promise<RepositoryRecord>;
  /** Without `force` only when it holds no image. */
  remove(registry: RegistryId, name: string, force: boolean): Promise<RepositoryRecord>;
}

export interface RepositoriesDeps {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
}

/** Repositories and their settings. Whatever changes a repository or its images runs in the queue of `queueOf`, one after the other. */
export function createRepositories({ store, writer, clock, random }: RepositoriesDeps): Repositories {
  const find = async (registry: RegistryId, name: string) => (await store.get<RepositoryRecord>(repositoryKey(registry, name)))?.value;

  return {
    find,
    async get(registry, name) {
      const repository = await find(registry, name);
      if (!repository) throw repositoryUnknown({ name, account: registry.account });
      return repository;
    },
    async list(registry) {
      return (await store.list<RepositoryRecord>(repositoriesPrefix(registry))).entries.map(({ value }) => value);
    },
    create(registry, name, settings) {
      if (!isRepositoryName(name)) throw repositoryNameInvalid(name);
      return writer.run(queueOf(registry, name), async (unit) => {
        const key = repositoryKey(registry, name);
        if (await unit.get(key)) {
          const message = `The repository with name '${name}' already exists in the registry with id '${registry.account}'`;
          throw new RegistryError("RepositoryExists", message, { name });
        }
        const repository: RepositoryRecord = {
          name,
          account: registry.account,
          region: registry.region,
          id: random.uuid(),
          // ECR keeps milliseconds, the wire carries them as a fraction of seconds.
          createdAt: clock.now(),
          imageTagMutability: "MUTABLE",
          scanOnPush: false,
          encryption: { encryptionType: "AES256" },
          tags: {},
          images: 0,
          ...settings,
        };
        unit.put(key, repository);
        return repository;
      });
    },
    update(registry, name, change) {
      return writer.run(queueOf(registry, name), async (unit) => {
        const key = repositoryKey(registry, name);
        const repository = await unit.get<RepositoryRecord>(key);
        if (!repository) throw repositoryUnknown({ name, account: registry.account });
        const changed = change(repository);
        unit.put(key, changed);
        return changed;
      });
    },
    async remove(registry, name, force) {
      const key = repositoryKey(registry, name);
      for (;;) {
        const entry = await store.get<RepositoryRecord>(key);
        if (!entry) throw repositoryUnknown({ name, account: registry.account });
        const repository = entry.value;
        if (repository.images > 0 && !force) {
          const message = `The repository with name '${name}' in registry with id '${registry.account}' cannot be deleted because it still contains images`;
          throw new RegistryError("RepositoryNotEmpty", message, { name });
        }
        // Prefixes, which a unit does not know: the compare makes it as safe as one.
        const writes = [
          { delete: key },
          ...[imagesPrefix, tagsPrefix, repositoryReferrersPrefix, layersPrefix, lifecyclePrefix, scansPrefix].map((prefix) => ({
            deletePrefix: prefix(repository),
          })),
        ];
        const { ok } = await store.transaction({ compare: [{ key, revision: entry.revision }], writes });
        if (ok) return repository;
      }
    },
  };
}

export const queueOf = (registry: RegistryId, name: string) => repositoryKey(registry, name);

export function repositoryNameInvalid(name: string): RegistryError {
  const rule =
    name.length < 2
      ? "must have length greater than or equal to 2"
      : name.length > 256
        ? "must have length less than or equal to 256"
        : `must satisfy regular expression '${repositoryNamePattern}'`;
  return new RegistryError("RepositoryNameInvalid", `Invalid parameter at 'repositoryName' failed to satisfy constraint: '${rule}'`, {
    name,
  });
}
