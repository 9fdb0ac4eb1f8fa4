import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { createSecureContext, getCACertificates, setDefaultCACertificates } from "node:tls";
import { issue, makeAuthority } from "./authority.ts";
import type { Config } from "./config.ts";
import type { Random } from "./random.ts";

/** Certificates of Gantry's one port: given ones, or our own authority's in `<home>/tls`. */
type TlsConfig = Pick<Config, "home" | "bind" | "region" | "domain" | "tls">;

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** What clients have to trust; undefined: what their systems trust anyhow. */
  readonly authority: string | undefined;
}

/** Undefined: plain HTTP. */
export function tlsFiles({ home, tls }: Pick<TlsConfig, "home" | "tls">): TlsFiles | undefined {
  if (!tls) return undefined;
  if (tls.kind === "files") return { certificate: tls.certificate, key: tls.key, authority: tls.authority };
  const at = (name: string) => join(home, "tls", name);
  return { certificate: at("certificate.pem"), key: at("key.pem"), authority: at("authority.pem") };
}

const renewBeforeMs = 30 * 86_400_000;

/**
 * Makes what is missing: the authority once, its certificate when there is none, when it ends within 30 days, or when it lacks one of our names. The
 * authority's key stays in `<home>/tls/authority.key` (0600). Given certificates are only read.
 */
export async function prepareTls(config: TlsConfig, random: Random, now: number): Promise<void> {
  if (config.tls?.kind !== "self") return;
  const files = tlsFiles(config)!;
  const keyPath = join(config.home, "tls", "authority.key");
  await mkdir(join(config.home, "tls"), { recursive: true, mode: 0o700 });
  const read = (path: string) => readFile(path, "utf8").catch(() => undefined);
  let certificate = await read(files.authority!);
  let key = await read(keyPath);
  if (certificate === undefined || key === undefined) {
    ({ certificate, key } = await makeAuthority(random));
    await put(keyPath, key);
    await put(files.authority!, certificate);
  }
  const names = ownNames(config);
  const current = await read(files.certificate);
  const good = current !== undefined && (await read(files.key)) !== undefined && isGood(current, certificate, names, now);
  if (good) return;
  const issued = await issue({ certificate, key }, names, "EC_prime256v1", random);
  // A server that reads between the two finds a key that does not fit, and keeps what it has.
  await put(files.key, issued.key);
  await put(files.certificate, issued.certificate);
}

async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await chmod(`${path}.new`, 0o600);
  await rename(`${path}.new`, path);
}

function isGood(text: string, authority: string, names: readonly string[], now: number): boolean {
  const found = new X509Certificate(text);
  if (Date.parse(found.validTo) - now < renewBeforeMs || !found.verify(new X509Certificate(authority).publicKey)) return false;
  const alternatives = (found.subjectAltName ?? "").split(", ").map((each) => each.replace(/^(DNS|IP Address):/, "").toLowerCase());
  return names.every((name) => alternatives.includes(long(name).toLowerCase()));
}

/** As OpenSSL writes addresses. */
const long = (name: string) => (name === "::1" ? "0:0:0:0:0:0:0:1" : name);

/** By what other machines may reach this one: its interfaces' addresses, without those of container networks (Gantry's, Docker's, libvirt's). */
export function ownAddresses(interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): string[] {
  const virtual = /^(lo|gantry-|g[0-9a-f]{10}$|docker|br-|veth|virbr|cni|flannel|cali)/;
  const usable = Object.entries(interfaces).flatMap(([name, addresses]) => (virtual.test(name) ? [] : (addresses ?? [])));
  return [...new Set(usable.filter(({ internal, family }) => !internal && family === "IPv4").map(({ address }) => address))];
}

/** All that this machine's Gantry is called. */
function ownNames({ bind, region, domain, tls }: TlsConfig): readonly string[] {
  const names = ["localhost", "public.ecr.localhost", "127.0.0.1", "::1"];
  names.push(...(/^(0\.0\.0\.0|::)$/.test(bind) ? ownAddresses() : [bind]));
  const host = hostname();
  if (/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(host)) names.push(host);
  if (domain !== undefined) names.push(domain, `*.${domain}`, `*.dkr.ecr.${region}.${domain}`);
  if (tls?.kind === "self") names.push(...tls.names);
  return [...new Set(names)];
}

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
}

/** Reads and checks certificate and key. Throws when they are not there or do not belong together. */
export async function readTls(files: TlsFiles): Promise<TlsMaterial> {
  const [cert, key] = [await readFile(files.certificate, "utf8"), await readFile(files.key, "utf8")];
  createSecureContext({ cert, key });
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error(`${files.key} is not the key of ${files.certificate}`);
  return { cert, key };
}

/** The host by which this machine's own processes reach the port: one that the certificate is good for. Undefined: no given certificate says. */
export function certifiedHost({ tls }: Pick<TlsConfig, "tls">): string | undefined {
  if (tls?.kind !== "files") return undefined;
  try {
    const found = new X509Certificate(readFileSync(tls.certificate, "utf8"));
    if (found.checkIP("127.0.0.1")) return "127.0.0.1";
    if (found.checkHost("localhost")) return "localhost";
    return /DNS:(?!\*)([^,\s]+)/.exec(found.subjectAltName ?? "")?.[1];
  } catch {
    return undefined;
  }
}

/** This process trusts the authority beside those of the system. Nothing happens while the file is not there. */
export function trust(authority: string | undefined): void {
  if (authority === undefined) return;
  try {
    setDefaultCACertificates([...getCACertificates("default"), readFileSync(authority, "utf8")]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
