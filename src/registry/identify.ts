import type { IncomingHttpHeaders } from "node:http";
import type { Principal } from "#api/contract.ts";
import type { Sealer } from "#platform/sealer.ts";
import { publicRegion } from "./public.ts";
import type { RegistryId } from "./records.ts";

/** What an ECR password says, sealed. */
export interface TokenClaims {
  readonly account: string;
  readonly region: string;
  /** Who asked for the token. What they may do is asked of their policies with each request, not when the token was made. */
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** Source: Amazon ECR API Reference, GetAuthorizationToken: "valid for 12 hours". */
export const tokenLifetimeMs = 12 * 60 * 60 * 1000;

/** Characters of a password: session policies and tags ride in it. */
const longest = 24 * 1024;

const tokenScope = "ecr-token";

export const sealToken = (sealer: Sealer, claims: TokenClaims) => sealer.seal(tokenScope, claims);

export type Identified =
  /** `principal`: undefined in open mode without credentials. */
  | { readonly principal: Principal | undefined; readonly registry: RegistryId }
  /** 401: no credentials, or not ours (`guessed`), or no longer good. */
  | { readonly refused: string; readonly guessed?: true }
  /** 403: good credentials, but not for this registry. */
  | { readonly denied: string };

export interface IdentifyOptions {
  readonly sealer: Sealer;
  readonly open: boolean;
  /** Where unnamed callers belong in open mode. */
  readonly account: string;
  readonly region: string;
}

/**
 * Who asks, and which registry they mean: that of their token, or the one that the host names (`<account>.dkr.ecr.<region>.<domain>`).
 * In open mode credentials are optional; a user name of 12 digits names the account, as an access key does elsewhere.
 */
export function identify({ sealer, open, account, region }: IdentifyOptions, headers: IncomingHttpHeaders, now: number): Identified {
  const given = basic(headers.authorization);
  const named = registryOfHost(headers.host);
  const claims = given?.user === "AWS" || open ? claimsOf(sealer, given?.password) : undefined;
  const valid = claims && claims.expires > now ? claims : undefined;
  if (open) {
    const home = {
      account: /^\d{12}$/.test(given?.user ?? "") ? given!.user : (valid?.account ?? account),
      region: valid && valid.region !== publicRegion ? valid.region : region,
    };
    return { principal: valid?.principal, registry: named ?? home };
  }
  if (!given) return { refused: "Not Authorized" };
  if (claims && !valid) return { refused: "Your authorization token has expired. Reauthenticate and try again." };
  if (!valid) return { refused: "Not Authorized", guessed: true };
  const registry = named ?? { account: valid.account, region: valid.region };
  // Another account's registry is for its repository policies to open, another region's takes its own token.
  if (registry.region !== valid.region)
    return { denied: `User: ${valid.principal.arn} is not authorized to use the registry in ${registry.region}` };
  return { principal: valid.principal, registry };
}

export function claimsOf(sealer: Sealer, password: string | undefined): TokenClaims | undefined {
  if (!password || password.length > longest) return undefined;
  const claims = sealer.open(tokenScope, password) as Partial<TokenClaims> | undefined;
  // A token of a Gantry that did not ask who it is for yet.
  return claims?.principal ? (claims as TokenClaims) : undefined;
}

export function basic(header: string | undefined): { user: string; password: string } | undefined {
  const match = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec((header ?? "").slice(0, 2 * longest));
  if (!match) return undefined;
  const text = Buffer.from(match[1]!, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function registryOfHost(host: string | undefined): RegistryId | undefined {
  const match = /^(\d{12})\.dkr\.ecr\.([a-z]{2}(?:-[a-z]+)+-\d)\./.exec(host ?? "");
  return match ? { account: match[1]!, region: match[2]! } : undefined;
}
