/**
 * What can be wrong with a request to the registry, whichever door it came through. The texts are ECR's; http/errors.ts gives them OCI's codes,
 * services/ecr/errors.ts gives them ECR's.
 */
export type RegistryErrorKind =
  | "RepositoryUnknown"
  | "RepositoryExists"
  | "RepositoryNotEmpty"
  | "RepositoryNameInvalid"
  | "ImageUnknown"
  | "ImageExists"
  | "ImageReferenced"
  | "ImageDigestMismatch"
  | "ManifestInvalid"
  | "ManifestTooLarge"
  | "TagInvalid"
  | "TagImmutable"
  | "DigestInvalid"
  | "LayersMissing"
  | "ReferencedImagesMissing"
  | "LayerUnknown"
  | "LayerReferenced"
  | "LayerDigestMismatch"
  | "UploadUnknown"
  | "LimitExceeded";

export class RegistryError extends Error {
  readonly kind: RegistryErrorKind;
  readonly detail: unknown;
  constructor(kind: RegistryErrorKind, message: string, detail?: unknown) {
    super(message);
    this.name = "RegistryError";
    this.kind = kind;
    this.detail = detail;
  }
}

interface Where {
  readonly name: string;
  readonly account: string;
}

export const repositoryUnknown = ({ name, account }: Where) =>
  new RegistryError("RepositoryUnknown", `The repository with name '${name}' does not exist in the registry with id '${account}'`, {
    name,
  });

export const layersMissing = ({ name, account }: Where, digests: readonly string[]) =>
  new RegistryError(
    "LayersMissing",
    `Layers with digests '[${digests.join(", ")}]' required for pushing image into repository with name '${name}' in the registry with id '${account}' do not exist`,
    { digests },
  );

export const referencedImagesMissing = ({ name, account }: Where, digests: readonly string[]) =>
  new RegistryError(
    "ReferencedImagesMissing",
    `Images with digests '[${digests.join(", ")}]' required for pushing image into repository with name '${name}' in the registry with id '${account}' do not exist`,
    { digests },
  );

export const layerUnknown = ({ name, account }: Where, digest: string) =>
  new RegistryError(
    "LayerUnknown",
    `The layer with digest '${digest}' does not exist within the repository with name '${name}' in the registry with id '${account}'`,
    { digest },
  );

export const tagImmutable = ({ name }: Where, tag: string) =>
  new RegistryError(
    "TagImmutable",
    `The image tag '${tag}' already exists in the '${name}' repository and cannot be overwritten because the tag is immutable.`,
    { tag },
  );

export const imageDigestMismatch = ({ name, account }: Where, digest: string) =>
  new RegistryError(
    "ImageDigestMismatch",
    `The image with digest '${digest}' in repository '${name}' and registry ID '${account}' does not match the image digest that Amazon ECR has calculated.`,
    { digest },
  );

export const imageUnknown = ({ name, account }: Where, reference: { readonly digest?: string; readonly tag?: string }) =>
  new RegistryError(
    "ImageUnknown",
    `The image with imageId {imageDigest:'${reference.digest ?? "null"}', imageTag:'${reference.tag ?? "null"}'} does not exist within the repository with name '${name}' in the registry with id '${account}'`,
    reference,
  );

export const uploadUnknown = ({ name, account }: Where, id: string) =>
  new RegistryError(
    "UploadUnknown",
    `The upload with id '${id}' does not exist in the repository with name '${name}' in the registry with id '${account}'`,
    { uploadId: id },
  );
