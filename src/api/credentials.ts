import type { Principal } from "./contract.ts";

/** Who holds an access key: the root user, whose key is made at the first start, or those of IAM (src/identity). */
export interface CredentialSource {
  /** Undefined: no such key, or the session token does not belong to it. */
  lookup(accessKeyId: string, sessionToken: string | undefined): Promise<HeldCredentials | undefined>;
}

export interface HeldCredentials {
  readonly secretAccessKey: string;
  readonly principal: Principal;
  /** Milliseconds since the epoch from which temporary credentials are refused as expired. */
  readonly expiresAt?: number;
  /** Takes note that a request was signed with these and proved. Costs nothing, never throws. */
  used?(use: KeyUse): void;
}

export interface KeyUse {
  /** Milliseconds. */
  readonly at: number;
  /** e.g. `ecs`. */
  readonly service: string;
  readonly region: string;
}

/** The first source that knows a key counts. */
export function firstOf(...sources: readonly CredentialSource[]): CredentialSource {
  return {
    async lookup(accessKeyId, sessionToken) {
      for (const source of sources) {
        const held = await source.lookup(accessKeyId, sessionToken);
        if (held) return held;
      }
      return undefined;
    },
  };
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

/** Who asks when nobody signs. `account`: whose Gantry this is. */
export const anonymousPrincipal = (account: string): Principal => ({
  account,
  arn: "",
  userId: "",
  accessKeyId: "",
  identity: { kind: "Anonymous" },
});
