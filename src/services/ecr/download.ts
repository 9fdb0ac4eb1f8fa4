import type { RawRoute, RequestContext } from "#api/contract.ts";
import { answerError, asOciError, OciError } from "#registry/http/errors.ts";
import { sendBlob } from "#registry/http/blobs.ts";
import type { RegistryId, RepositoryRecord } from "#registry/records.ts";
import type { EcrPart } from "./part.ts";

/** AWS's URLs are good for an hour. */
const lifetimeMs = 60 * 60 * 1000;
const scope = "ecr-layer-url";
const prefix = "/_gantry/ecr/layers/";

interface Claims extends RegistryId {
  readonly name: string;
  readonly id: string;
  readonly digest: string;
  readonly expires: number;
}

/** A URL that fetches a layer without further credentials, as S3's presigned URLs do. */
export function downloadUrl({ sealer }: EcrPart, repository: RepositoryRecord, digest: string, { endpoint, now }: RequestContext): string {
  const { account, region, name, id } = repository;
  const claims: Claims = { account, region, name, id, digest, expires: now + lifetimeMs };
  return `${endpoint}${prefix}${digest}?X-Gantry-Expires=${lifetimeMs / 1000}&X-Gantry-Token=${sealer.seal(scope, claims)}`;
}

/** Serves those URLs. */
export function downloadRoute({ sealer, registry }: EcrPart): RawRoute {
  return {
    prefix,
    async handle(request, response, { path, query, now }) {
      try {
        if (request.method !== "GET" && request.method !== "HEAD")
          throw new OciError(405, "UNSUPPORTED", "Layers can be fetched only.", { allow: "GET, HEAD" });
        const claims = sealer.open(scope, (query.get("X-Gantry-Token") ?? "").slice(0, 4096)) as Claims | undefined;
        if (claims?.digest !== path.slice(prefix.length)) throw new OciError(403, "DENIED", "The URL was not made by this registry.");
        if (claims.expires <= now) throw new OciError(403, "DENIED", "Request has expired");
        const repository = await registry.repositories.get(claims, claims.name);
        const stat = repository.id === claims.id ? await registry.layers.find(repository, claims.digest) : undefined;
        if (!stat) throw new OciError(404, "BLOB_UNKNOWN", "The layer is gone.");
        await sendBlob({ request, response, core: registry }, claims.digest, stat.size);
      } catch (error) {
        const known = asOciError(error);
        if (!known || response.headersSent) throw error;
        answerError(response, known);
      }
    },
  };
}
