import type { IncomingMessage } from "node:http";
import type { Principal, RawRequestInfo, RawRoute } from "#api/contract.ts";
import type { Sealer } from "#platform/sealer.ts";
import { claimsOf, tokenLifetimeMs, basic } from "../identify.ts";
import { isPublicHost, publicRegion } from "../public.ts";
import { answerError, OciError } from "./errors.ts";
import { answerJson } from "./exchange.ts";

/** Anonymous tokens are good for as long as a pull takes. */
const anonymousScope = "ecr-public-anonymous";

/**
 * Who asks for a public repository. Nobody in particular may pull; who names themselves must have a good token. Only tokens of ECR Public's own
 * GetAuthorizationToken name anybody here, as with AWS.
 */
export function identifyPublic(sealer: Sealer, request: IncomingMessage, info: RawRequestInfo): Principal | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  const bearer = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  if (bearer !== undefined && typeof sealer.open(anonymousScope, bearer) === "number") return undefined;
  const given = basic(authorization);
  // Clients that have no login send an empty one.
  if (given?.user === "" && given.password === "") return undefined;
  const claims = claimsOf(sealer, bearer ?? (given?.user === "AWS" ? given.password : undefined));
  if (!claims) throw unauthorized(request, info, "Not Authorized");
  if (claims.expires <= info.now) throw unauthorized(request, info, "Your authorization token has expired. Reauthenticate and try again.");
  return claims.region === publicRegion ? claims.principal : undefined;
}

/** 401 with what the client has to do: on the public host fetch a token, which is what makes Docker pull without a login. */
export function unauthorized({ headers }: IncomingMessage, { endpoint }: RawRequestInfo, message: string): OciError {
  const base = endpoint.replaceAll(/["\\]/g, "");
  const challenge = isPublicHost(headers.host)
    ? `Bearer realm="${base}/token/",service="public.ecr.aws",scope="aws"`
    : `Basic realm="${base}/",service="ecr.amazonaws.com"`;
  return new OciError(401, "UNAUTHORIZED", message, { "www-authenticate": challenge });
}

/** Source: Distribution's "Token Authentication Specification". */
export function tokenRoute(sealer: Sealer): RawRoute {
  return {
    prefix: "/token/",
    async handle(request, response, info) {
      try {
        if (!isPublicHost(request.headers.host) || request.method !== "GET")
          throw new OciError(404, "UNSUPPORTED", "There is nothing at this path.");
        const principal = identifyPublic(sealer, request, info);
        const token = principal ? basic(request.headers.authorization)!.password : sealer.seal(anonymousScope, info.now);
        answerJson({ request, response }, { token, expires_in: tokenLifetimeMs / 1000, issued_at: new Date(info.now).toISOString() });
      } catch (error) {
        if (!(error instanceof OciError)) throw error;
        answerError(response, error);
      }
    },
  };
}
