/**
 * AWS Certificate Manager's records and keys. `id` is the UUID that ends the ARN. Times are milliseconds since the epoch. Writer: the operations
 * of `src/services/acm`. Source: AWS Certificate Manager API Reference.
 */
import type { Scope } from "./ecs-keys.ts";
import type { Tag } from "./ecs-records.ts";

export interface CertificateRecord {
  readonly id: string;
  readonly arn: string;
  readonly type: "IMPORTED" | "AMAZON_ISSUED";
  readonly domainName: string;
  readonly subjectAlternativeNames: readonly string[];
  /** PEM: the leaf alone, and what leads from it to the root. */
  readonly certificate: string;
  readonly chain?: string;
  readonly subject: string;
  readonly issuer: string;
  /** Hexadecimal pairs with colons between them. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keyAlgorithm: string;
  readonly signatureAlgorithm: string;
  readonly createdAt: number;
  readonly importedAt?: number;
  readonly issuedAt?: number;
  /** Of a request. */
  readonly validationMethod?: "DNS" | "EMAIL" | "HTTP";
  /** Where each name's validation mails would go, of a request that said so. */
  readonly validationDomains?: Readonly<Record<string, string>>;
  readonly idempotencyToken?: string;
  readonly transparencyLogging: "ENABLED" | "DISABLED";
  readonly tags: readonly Tag[];
}

/** Beside the certificate, so that nothing that shows certificates holds it. `sealed`: the PEM, by the server's sealer, in the scope `sealScope(id)`. */
export interface CertificateKeyRecord {
  readonly sealed: string;
}

/** The installation's own authority. Made by the first request, kept as long as the state. */
export interface AuthorityRecord {
  /** PEM. */
  readonly certificate: string;
  readonly sealedKey: string;
}

const root = ({ account, region }: Scope) => `/acm/${account}/${region}`;

export const acmKeys = {
  /** All certificates, of every account and region: whoever serves them watches it. */
  everything: "/acm/",
  certificates: (scope: Scope) => `${root(scope)}/certificate/`,
  certificate: (scope: Scope, id: string) => `${root(scope)}/certificate/${id}`,
  key: (scope: Scope, id: string) => `${root(scope)}/key/${id}`,
  authority: () => "/acm-authority",
  sealScope: (id: string) => `acm/${id}`,
};

/** The id in a certificate's ARN of this account and region, or undefined. */
export function certificateId({ account, region }: Scope, arn: string): string | undefined {
  const prefix = `arn:aws:acm:${region}:${account}:certificate/`;
  return arn.startsWith(prefix) && /^[0-9a-f-]{36}$/.test(arn.slice(prefix.length)) ? arn.slice(prefix.length) : undefined;
}
