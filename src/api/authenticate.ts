import type { Attempts } from "./attempts.ts";
import { ApiError, type Principal } from "./contract.ts";
import { type CredentialSource, openPrincipal } from "./credentials.ts";
import { commonErrors, familyOf } from "./errors.ts";
import type { Protocol } from "./schema.ts";
import { type Signature, type SignatureProblem, type SignedRequest, verifySignature } from "./sigv4.ts";

export interface Authenticated {
  readonly principal: Principal;
  readonly region: string;
  /** For chunk signatures; undefined in open mode. */
  readonly proof: { readonly signature: Signature; readonly secretAccessKey: string } | undefined;
}

export interface AuthenticatorOptions {
  readonly credentials: CredentialSource;
  readonly open: boolean;
  readonly account: string;
  readonly region: string;
  readonly attempts: Attempts;
}

/** What is to be proved: that `signature` is good for the request and was made for the service that answers it. */
export interface Claim {
  readonly request: SignedRequest;
  readonly signature: Signature | SignatureProblem;
  /** The address that it comes from. */
  readonly source: string;
  /** As verifySignature wants it; not asked in open mode. */
  readonly payloadHash: () => string;
  /** Undefined: the request asks for no service that we know. */
  readonly signingName: string | undefined;
  readonly protocol: Protocol;
}

/** Who sends this request. Throws the protocol's own error when that cannot be proved. */
export async function authenticate(options: AuthenticatorOptions, claim: Claim, now: number): Promise<Authenticated> {
  const { signature, protocol, signingName } = claim;
  if (options.open) {
    const named = "problem" in signature ? undefined : signature;
    // Whoever is known is taken at their word.
    const known = named && (await options.credentials.lookup(named.accessKeyId, named.sessionToken));
    return {
      principal: known?.principal ?? openPrincipal(named?.accessKeyId, options.account),
      region: named ? regionOf(named.region, options.region) : options.region,
      proof: undefined,
    };
  }
  if ("problem" in signature) throw problemError(signature, protocol);
  const { attempts } = options;
  if (attempts.wait(claim.source, signature.accessKeyId, now) > 0)
    throw new ApiError(commonErrors.throttled(protocol, "").code, "Too many requests with wrong credentials. Try again later.", 429);
  const held = await options.credentials.lookup(signature.accessKeyId, signature.sessionToken);
  if (!held) {
    attempts.failed(claim.source, signature.accessKeyId, now);
    throw said(commonErrors.unknownClient, protocol, "The security token included in the request is invalid.");
  }
  const problem = verifySignature(claim.request, signature, held.secretAccessKey, claim.payloadHash(), now);
  if (problem) {
    // A clock that is wrong guesses nothing.
    if (problem.problem === "mismatch") attempts.failed(claim.source, signature.accessKeyId, now);
    throw problemError(problem, protocol);
  }
  attempts.succeeded(claim.source, signature.accessKeyId);
  if (held.expiresAt !== undefined && held.expiresAt <= now)
    throw commonErrors.expiredToken(protocol, "The security token included in the request is expired");
  if (signingName !== undefined && signature.service !== signingName)
    throw said(commonErrors.badSignature, protocol, `Credential should be scoped to correct service: '${signingName}'. `);
  held.used?.({ at: now, service: signature.service, region: signature.region });
  return {
    principal: held.principal,
    region: regionOf(signature.region, options.region),
    proof: { signature, secretAccessKey: held.secretAccessKey },
  };
}

/** Global services sign with `aws-global` or us-east-1; anything that is no region's name falls back to ours. */
const regionOf = (signed: string, ours: string) => (/^[a-z]{2}(-[a-z]+)+-\d$/.test(signed) ? signed : ours);

/** EC2 tells nobody why; whoever runs their own servers should know, so the reason follows AWS's sentence. */
function said(error: (protocol: Protocol, message: string) => ApiError, protocol: Protocol, message: string): ApiError {
  if (familyOf(protocol) !== "ec2") return error(protocol, message);
  return error(protocol, `AWS was not able to validate the provided access credentials. ${message}`);
}

function problemError({ problem, message }: SignatureProblem, protocol: Protocol): ApiError {
  switch (problem) {
    case "missing":
      return said(
        commonErrors.missingToken,
        protocol,
        familyOf(protocol) === "query" ? "Request is missing Authentication Token" : "Missing Authentication Token",
      );
    case "incomplete":
      return said(commonErrors.incompleteSignature, protocol, message);
    case "presignExpired":
      return commonErrors.expiredRequest(protocol, message);
    default:
      return said(commonErrors.badSignature, protocol, message);
  }
}
