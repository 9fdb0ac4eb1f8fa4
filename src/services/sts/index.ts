import { ApiError, type Handler, type ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { StsOperations } from "#api/generated/sts.types.ts";
import type { Handlers } from "#api/handlers.ts";

/** AWS Security Token Service: who am I. AssumeRole and its kin come with IAM. Source: AWS STS API Reference. */
export function createSts({ config }: Pick<ServerDeps, "config">): ServerPart {
  const handlers = {
    GetCallerIdentity: (_input, { principal }) => ({ UserId: principal.userId, Account: principal.account, Arn: principal.arn }),
    GetAccessKeyInfo({ AccessKeyId = "" }, { principal }) {
      checkAccessKeyId(AccessKeyId);
      if (AccessKeyId === principal.accessKeyId) return { Account: principal.account };
      if (config.open) return { Account: config.account };
      throw new ApiError("InvalidClientTokenId", "The security token included in the request is invalid.", 403);
    },
  } satisfies Handlers<StsOperations>;
  return { registrations: [{ service: "sts", handlers: handlers as Readonly<Record<string, Handler>> }] };
}

function checkAccessKeyId(id: string): void {
  const broken = [
    ...(id.length < 16 ? ["Member must have length greater than or equal to 16"] : []),
    ...(id.length > 128 ? ["Member must have length less than or equal to 128"] : []),
    ...(/^\w*$/.test(id) ? [] : ["Member must satisfy regular expression pattern: [\\w]*"]),
  ].map((constraint) => `Value '${id}' at 'accessKeyId' failed to satisfy constraint: ${constraint}`);
  if (broken.length === 0) return;
  const errors = `${broken.length} validation error${broken.length > 1 ? "s" : ""} detected`;
  throw new ApiError("ValidationError", `${errors}: ${broken.join("; ")}`, 400);
}
