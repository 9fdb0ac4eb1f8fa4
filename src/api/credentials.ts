import type { Principal } from "./contract.ts";

/** Who holds an access key. Issue 6's IAM will be another source; the root user's is made at the first start. */
export interface CredentialSource {
  /** Undefined: no such key, or the session token does not belong to it. */
  lookup(accessKeyId: string, sessionToken: string | undefined): Promise<HeldCredentials | undefined>;
}

export interface HeldCredentials {
  readonly secretAccessKey: string;
  readonly principal: Principal;
  /** Milliseconds since the epoch from which temporary credentials are refused as expired. */
  readonly expiresAt?: number;
}

export function rootPrincipal(account: string, accessKeyId: string): Principal {
  return { account, arn: `arn:aws:iam::${account}:root`, userId: account, accessKeyId };
}

export function rootCredentials(account: string, accessKeyId: string, secretAccessKey: string): CredentialSource {
  const held = { secretAccessKey, principal: rootPrincipal(account, accessKeyId) };
  return { lookup: async (asked, sessionToken) => (asked === accessKeyId && sessionToken === undefined ? held : undefined) };
}

/** In `--open` mode: an access key of 12 digits names the account, any other belongs to the default account. */
export function openPrincipal(accessKeyId: string | undefined, defaultAccount: string): Principal {
  const account = accessKeyId !== undefined && /^\d{12}$/.test(accessKeyId) ? accessKeyId : defaultAccount;
  return rootPrincipal(account, accessKeyId ?? "");
}
