import type { Handler, ServerPart } from "#api/contract.ts";
import { ApiError } from "#api/contract.ts";
import type { Handlers } from "#api/handlers.ts";
import type { StsOperations } from "#api/generated/sts.types.ts";
import type { ServerDeps } from "#api/deps.ts";

/** AWS Security Token Service: who am I. AssumeRole and its kin come with IAM. Source: AWS STS API Reference. */
export function createSts({ config }: Pick<ServerDeps, "config">): ServerPart {
  const handlers = {
    GetCallerIdentity: (_input, { principal }) => ({ UserId: principal.userId, Account: principal.account, Arn: principal.arn }),
    GetAccessKeyInfo({ AccessKeyId = "" }, { principal }) {
      if (AccessKeyId.length < 16 || AccessKeyId.length > 128 || !/^\w+$/.test(AccessKeyId)) {
        throw new ApiError(
          "ValidationError",
          `1 validation error detected: Value '${AccessKeyId}' at 'accessKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w]*, 16 to 128 characters`,
          400,
        );
      }
      if (AccessKeyId === principal.accessKeyId || config.open)
        return { Account: AccessKeyId === principal.accessKeyId ? principal.account : config.account };
      throw new ApiError("InvalidClientTokenId", `The access key ${AccessKeyId} does not exist.`, 403);
    },
  } satisfies Handlers<StsOperations>;
  return { registrations: [{ service: "sts", handlers: handlers as Readonly<Record<string, Handler>> }] };
}
