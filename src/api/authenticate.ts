import type { ApiError, Principal } from "./contract.ts";
import { type CredentialSource, openPrincipal } from "./credentials.ts";
import { commonErrors } from "./errors.ts";
import type { Protocol } from "./schema.ts";
import { parseSignature, type Signature, type SignatureProblem, type SignedRequest, signingKey, verifySignature } from "./sigv4.ts";

export interface Authenticated {
  readonly principal: Principal;
  readonly region: string;
  readonly signature: Signature | undefined;
  /** For chunk signatures; undefined in open mode. */
  readonly signingKey: Buffer | undefined;
}

export interface AuthenticatorOptions {
  readonly credentials: CredentialSource;
  readonly open: boolean;
  readonly account: string;
  readonly region: string;
}

/** Who sends this request. Throws the protocol's own error when that cannot be proved. */
export async function authenticate(
  options: AuthenticatorOptions,
  request: SignedRequest,
  payloadHash: () => string,
  now: number,
  protocol: Protocol,
): Promise<Authenticated> {
  const parsed = parseSignature(request);
  if (options.open) {
    const signature = "problem" in parsed ? undefined : parsed;
    return {
      principal: openPrincipal(signature?.accessKeyId, options.account),
      region: signature ? regionOf(signature.region, options.region) : options.region,
      signature,
      signingKey: undefined,
    };
  }
  if ("problem" in parsed) throw problemError(parsed, protocol);
  const known = await options.credentials.lookup(parsed.accessKeyId, parsed.sessionToken);
  if (!known) throw commonErrors.unknownClient(protocol, "The security token included in the request is invalid.");
  const problem = verifySignature(request, parsed, known.secretAccessKey, payloadHash(), now);
  if (problem) throw problemError(problem, protocol);
  return {
    principal: known.principal,
    region: regionOf(parsed.region, options.region),
    signature: parsed,
    signingKey: signingKey(known.secretAccessKey, parsed.date, parsed.region, parsed.service),
  };
}

/** Global services sign with `aws-global` or us-east-1; anything that is no region's name falls back to ours. */
const regionOf = (signed: string, ours: string) => (/^[a-z]{2}(-[a-z]+)+-\d$/.test(signed) ? signed : ours);

function problemError({ problem, message }: SignatureProblem, protocol: Protocol): ApiError {
  switch (problem) {
    case "missing":
      return commonErrors.missingToken(protocol, "Missing Authentication Token");
    case "incomplete":
      return commonErrors.incompleteSignature(protocol, message);
    case "presignExpired":
      return commonErrors.expiredRequest(protocol, message);
    default:
      return commonErrors.badSignature(protocol, message);
  }
}
