import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { RegistryError } from "#registry/errors.ts";
import { manifestLimit } from "#registry/manifest.ts";
import { invalidParameter } from "./errors.ts";
import type { EcrPart } from "./part.ts";
import { registryOf, repositoryName } from "./validate.ts";

export function putImageHandlers({ registry }: EcrPart) {
  return {
    async PutImage(input, context) {
      const where = registryOf(input.registryId, context);
      const name = repositoryName(input.repositoryName);
      const manifest = input.imageManifest ?? "";
      if (manifest.length < 1) throw invalidParameter("imageManifest", "must have length greater than or equal to 1");
      const bytes = Buffer.from(manifest, "utf8");
      if (bytes.length > manifestLimit) throw invalidParameter("imageManifest", `must have length less than or equal to ${manifestLimit}`);
      const repository = await registry.repositories.get(where, name);
      const { imageTag: tag, imageDigest: digest, imageManifestMediaType: mediaType } = input;
      const { image, changed } = await registry.images.put(repository, { bytes, mediaType, tag, digest });
      if (!changed) {
        const tagged = tag === undefined ? "" : ` and tag '${tag}'`;
        const message = `Image with digest '${image.digest}'${tagged} already exists in the repository with name '${name}' in registry with id '${where.account}'`;
        throw new RegistryError("ImageExists", message);
      }
      return {
        image: {
          registryId: where.account,
          repositoryName: name,
          imageId: { imageDigest: image.digest, imageTag: tag },
          imageManifest: manifest,
          imageManifestMediaType: image.mediaType,
        },
      };
    },
  } satisfies Handlers<EcrOperations>;
}
