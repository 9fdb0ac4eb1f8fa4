import type { EntityKind } from "./iam-records.ts";

/** Where IAM's records lie in the store. IAM is global: the account is part of a key, a region never. Names are not told apart by case. */
const root = (account: string) => `/iam/${account}`;

export const iamKeys = {
  root: (account: string) => `${root(account)}/`,
  entities: (account: string, kind: EntityKind) => `${root(account)}/${kind}/`,
  entity: (account: string, kind: EntityKind, name: string) => `${root(account)}/${kind}/${name.toLowerCase()}`,
  policies: (account: string) => `${root(account)}/policy/`,
  policy: (account: string, name: string) => `${root(account)}/policy/${name.toLowerCase()}`,
  /** `PolicyUse` of one of AWS's own policies. */
  awsPolicyUse: (account: string, name: string) => `${root(account)}/aws-policy-use/${name}`,
  awsPolicyUses: (account: string) => `${root(account)}/aws-policy-use/`,
  instanceProfiles: (account: string) => `${root(account)}/instance-profile/`,
  instanceProfile: (account: string, name: string) => `${root(account)}/instance-profile/${name.toLowerCase()}`,
  oidcProviders: (account: string) => `${root(account)}/oidc-provider/`,
  /** `name`: the URL without its scheme. */
  oidcProvider: (account: string, name: string) => `${root(account)}/oidc-provider/${name}`,
  /** `{ alias }`: the account's own name. */
  alias: (account: string) => `${root(account)}/alias`,
  /** `{ account }`: who has this alias, of all accounts. */
  aliasOwner: (alias: string) => `/iam-alias/${alias}`,
  /** Access keys are found by their id alone: that is all a request names. */
  accessKey: (id: string) => `/iam-access-key/${id}`,
  /** `LastUsedRecord` of an access key or of a role's id. */
  lastUsed: (id: string) => `/iam-last-used/${id}`,
  /** `{}`: put, without comparing it, with every change of IAM's records of an account. Its revision tells whether what was made of them still holds. */
  changed: (account: string) => `/iam-changed/${account}`,
  changes: "/iam-changed/",
};

/** `arn:aws:iam::<account>:<resource>`; `account` is `aws` in the ARNs of AWS's own policies. */
export const iamArn = (account: string, resource: string) => `arn:aws:iam::${account}:${resource}`;

export interface IamName {
  /** 12 digits or `aws`. */
  readonly account: string;
  /** e.g. `role`, `policy`, `instance-profile`. */
  readonly kind: string;
  readonly path: string;
  readonly name: string;
}

/** The parts of an IAM ARN, or undefined for any other text. */
export function parseIamArn(text: string): IamName | undefined {
  const match = /^arn:aws:iam::(\d{12}|aws):([a-z-]+)(\/(?:[!-~]*\/)?)([^/]+)$/.exec(text);
  if (!match) return undefined;
  return { account: match[1]!, kind: match[2]!, path: match[3]!, name: match[4]! };
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** `length` characters of RFC 4648's base 32 alphabet out of hex digits, of which there are five for four characters. */
export function base32(hex: string, length: number): string {
  const bits = BigInt(`0x${hex}`);
  let text = "";
  for (let i = length - 1; i >= 0; i--) text += alphabet[Number((bits >> BigInt(i * 5)) & 31n)];
  return text;
}

/** The bits of base 32 text, or undefined when it is none. */
export function fromBase32(text: string): bigint | undefined {
  let bits = 0n;
  for (const letter of text) {
    const value = alphabet.indexOf(letter);
    if (value < 0) return undefined;
    bits = (bits << 5n) | BigInt(value);
  }
  return bits;
}
