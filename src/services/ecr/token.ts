import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { sealToken, tokenLifetimeMs } from "#registry/identify.ts";
import type { EcrPart } from "./part.ts";
import { listOf, registryOf } from "./validate.ts";
import { registryUrl } from "./views.ts";

/** GetAuthorizationToken: the password is sealed, so the registry needs no record of it. */
export function tokenHandlers({ config, sealer }: EcrPart) {
  return {
    GetAuthorizationToken({ registryIds }, context) {
      const { account, region, principal, now } = context;
      const registries = registryIds === undefined ? [account] : listOf("registryIds", registryIds, 1, 10);
      const expires = now + tokenLifetimeMs;
      return {
        authorizationData: registries.map((id) => {
          const registry = registryOf(id, context);
          const password = sealToken(sealer, { account, region, principal, expires });
          return {
            authorizationToken: Buffer.from(`AWS:${password}`).toString("base64"),
            expiresAt: new Date(expires),
            proxyEndpoint: registryUrl(config, registry),
          };
        }),
      };
    },
  } satisfies Handlers<EcrOperations>;
}
