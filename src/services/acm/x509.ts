import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { acmErrors } from "./errors.ts";

/** Certificates and keys as they are given, checked and read. Pure. Source: AWS Certificate Manager User Guide, "Prerequisites for importing certificates". */

const block = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;

export function certificatesIn(pem: string): X509Certificate[] {
  return [...pem.matchAll(block)].filter(([, label]) => label === "CERTIFICATE").map(([text]) => parse(text));
}

function parse(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    throw acmErrors.validation("The certificate is not a valid PEM-encoded X.509 certificate.");
  }
}

export function oneCertificate(pem: string): X509Certificate {
  const [first, ...more] = certificatesIn(pem);
  if (!first) throw acmErrors.validation("The certificate is not a valid PEM-encoded X.509 certificate.");
  if (more.length > 0)
    throw acmErrors.validation(
      "The certificate field contains more than one certificate. You can specify only one certificate in this field.",
    );
  return first;
}

export function privateKeyOf(pem: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) throw acmErrors.validation("The private key is encrypted. It must not be protected by a passphrase.");
  try {
    return createPrivateKey(pem);
  } catch {
    throw acmErrors.validation("The private key is not a valid PEM-encoded private key.");
  }
}

/** Each certificate is issued by the one behind it. */
export function checkChain(leaf: X509Certificate, chain: readonly X509Certificate[]): void {
  let last = leaf;
  for (const next of chain) {
    if (!last.checkIssued(next) || !last.verify(next.publicKey))
      throw acmErrors.validation("Could not validate the certificate with the certificate chain.");
    last = next;
  }
}

const curves: Readonly<Record<string, string>> = { prime256v1: "EC_prime256v1", secp384r1: "EC_secp384r1", secp521r1: "EC_secp521r1" };

export function keyAlgorithmOf({ publicKey }: X509Certificate): string {
  const { modulusLength, namedCurve = "" } = publicKey.asymmetricKeyDetails ?? {};
  const name = publicKey.asymmetricKeyType === "rsa" ? `RSA_${modulusLength}` : curves[namedCurve];
  if (name === undefined || (name.startsWith("RSA_") && ![1024, 2048, 3072, 4096].includes(modulusLength ?? 0)))
    throw acmErrors.validation("The certificate's key algorithm is not supported.");
  return name;
}

/** `SHA256WITHRSA`, from OpenSSL's `sha256WithRSAEncryption` or `ecdsa-with-SHA256`. */
export function signatureAlgorithmOf({ signatureAlgorithm: name = "" }: X509Certificate): string {
  const digest = /sha-?(\d+)/i.exec(name)?.[1];
  return digest === undefined ? name.toUpperCase() : `SHA${digest}WITH${/ecdsa/i.test(name) ? "ECDSA" : "RSA"}`;
}

/** Pairs of digits with colons between them. */
export const serialOf = ({ serialNumber }: X509Certificate): string =>
  (serialNumber.length % 2 ? `0${serialNumber}` : serialNumber).toLowerCase().match(/../g)!.join(":");

/** The common name, else the first alternative one; and all alternative ones. */
export function namesOf(certificate: X509Certificate): { readonly domainName: string; readonly names: readonly string[] } {
  const names = [...(certificate.subjectAltName ?? "").matchAll(/DNS:([^,\s]+)/g)].map((match) => match[1]!);
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  const domainName = common ?? names[0];
  if (domainName === undefined)
    throw acmErrors.validation("The certificate names no domain: it has neither a common name nor alternative names.");
  return { domainName, names: names.length > 0 ? names : [domainName] };
}

/** One line as AWS shows it: `CN=example.com,O=Example`. */
export const nameLine = (name: string): string => name.split("\n").toReversed().join(",");

const usages = [
  "DIGITAL_SIGNATURE",
  "NON_REPUDIATION",
  "KEY_ENCIPHERMENT",
  "DATA_ENCIPHERMENT",
  "KEY_AGREEMENT",
  "CERTIFICATE_SIGNING",
  "CRL_SIGNING",
  "ENCIPHER_ONLY",
  "DECIPHER_ONLY",
] as const;

const keyUsageOid = Buffer.from([0x06, 0x03, 0x55, 0x1d, 0x0f]);

/** The bits of the extension 2.5.29.15, which node:crypto does not tell; ANY without it. Source: RFC 5280, 4.2.1.3. */
export function keyUsagesOf({ raw }: X509Certificate): string[] {
  const found = raw.indexOf(keyUsageOid);
  if (found < 0) return ["ANY"];
  let at = found + keyUsageOid.length;
  if (raw[at] === 0x01) at += 3;
  // OCTET STRING of BIT STRING: its length counts the byte that says how many bits are unused.
  if (raw[at] !== 0x04 || raw[at + 2] !== 0x03) return [];
  const bits = raw.subarray(at + 5, at + 4 + (raw[at + 3] ?? 0));
  return usages.filter((_, bit) => ((bits[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

const extended: Readonly<Record<string, string>> = {
  "2.5.29.37.0": "ANY",
  "1.3.6.1.5.5.7.3.1": "TLS_WEB_SERVER_AUTHENTICATION",
  "1.3.6.1.5.5.7.3.2": "TLS_WEB_CLIENT_AUTHENTICATION",
  "1.3.6.1.5.5.7.3.3": "CODE_SIGNING",
  "1.3.6.1.5.5.7.3.4": "EMAIL_PROTECTION",
  "1.3.6.1.5.5.7.3.8": "TIME_STAMPING",
  "1.3.6.1.5.5.7.3.9": "OCSP_SIGNING",
};

export const extendedUsagesOf = ({ keyUsage }: X509Certificate): { readonly oid: string; readonly name: string }[] =>
  ((keyUsage as readonly string[] | undefined) ?? []).map((oid) => ({ oid, name: extended[oid] ?? "CUSTOM" }));
