import { execFile } from "node:child_process";
import { generateKeyPair } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Random } from "./random.ts";

/**
 * Certificates signed by an authority of this Gantry. node:crypto reads certificates and makes keys, but makes no certificates: `openssl` of the
 * machine does. Keys lie in a directory of our own for as long as it runs.
 */

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export interface Issued {
  /** PEM, without chain. */
  readonly certificate: string;
  readonly key: string;
}

/** The machine has no openssl. */
export class NoOpenssl extends Error {}

const authorityDays = 3650;
/** As long as AWS's own certificates were good for. */
const certificateDays = 395;

export const issuableKeys = ["RSA_2048", "EC_prime256v1", "EC_secp384r1"] as const;
export type IssuableKey = (typeof issuableKeys)[number];

async function newKey(algorithm: IssuableKey): Promise<string> {
  const encoding = { publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } } as const;
  if (algorithm === "RSA_2048") return (await promisify(generateKeyPair)("rsa", { modulusLength: 2048, ...encoding })).privateKey;
  const namedCurve = algorithm === "EC_prime256v1" ? "prime256v1" : "secp384r1";
  return (await promisify(generateKeyPair)("ec", { namedCurve, ...encoding })).privateKey;
}

/** Works in a directory that only we can read and that is gone afterwards. */
async function withOpenssl<T>(work: (directory: string, openssl: (...args: readonly string[]) => Promise<void>) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "gantry-ca-"));
  try {
    return await work(directory, async (...args) => {
      await promisify(execFile)("openssl", args, { cwd: directory, timeout: 30_000 });
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && (error as NodeJS.ErrnoException).syscall?.startsWith("spawn"))
      throw new NoOpenssl("certificates are made by openssl, which this machine does not have", { cause: error });
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export function makeAuthority(random: Random): Promise<Authority> {
  return withOpenssl(async (directory, openssl) => {
    const key = await newKey("EC_prime256v1");
    await writeFile(join(directory, "ca.key"), key, { mode: 0o600 });
    await writeFile(
      join(directory, "ca.cnf"),
      `[req]
prompt = no
distinguished_name = dn
x509_extensions = ext
[dn]
O = Gantry
CN = Gantry CA ${random.hex(4)}
[ext]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
`,
    );
    const made = ["-key", "ca.key", "-sha256", "-days", String(authorityDays), "-out", "ca.pem"];
    await openssl("req", "-x509", "-new", "-config", "ca.cnf", ...made);
    return { certificate: await readFile(join(directory, "ca.pem"), "utf8"), key };
  });
}

/** `names`: DNS names and IP addresses, checked by the caller; the first is the common name. */
export function issue(authority: Authority, names: readonly string[], algorithm: IssuableKey, random: Random): Promise<Issued> {
  return withOpenssl(async (directory, openssl) => {
    const key = await newKey(algorithm);
    const usage = algorithm === "RSA_2048" ? "digitalSignature,keyEncipherment" : "digitalSignature";
    const files = {
      "ca.pem": authority.certificate,
      "ca.key": authority.key,
      "leaf.key": key,
      "leaf.cnf": `[req]\nprompt = no\ndistinguished_name = dn\n[dn]\nCN = ${names[0]}\n`,
      "ext.cnf": `basicConstraints = critical,CA:FALSE
keyUsage = critical,${usage}
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${names.map((name) => `${isIP(name) ? "IP" : "DNS"}:${name}`).join(",")}
`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text, { mode: 0o600 });
    await openssl("req", "-new", "-config", "leaf.cnf", "-key", "leaf.key", "-out", "leaf.csr");
    const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", `0x0${random.hex(15)}`, "-days", String(certificateDays)];
    await openssl("x509", "-req", "-in", "leaf.csr", ...signing, "-sha256", "-extfile", "ext.cnf", "-out", "leaf.pem");
    return { certificate: await readFile(join(directory, "leaf.pem"), "utf8"), key };
  });
}
