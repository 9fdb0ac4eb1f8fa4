import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { resolve } from "node:path";

/** Where this Gantry lives. Every process of one Gantry reads the same values from the environment; nothing else is global. */
export interface Config {
  /** State: store, blobs, logs, sockets, credentials. `GANTRY_HOME`, default `/var/lib/gantry`. */
  readonly home: string;
  /** `GANTRY_PORT`, default 4566. */
  readonly port: number;
  /** Address to listen on. `GANTRY_BIND`, default `127.0.0.1`. */
  readonly bind: string;
  /** `GANTRY_REGION`, default `us-east-1`. */
  readonly region: string;
  /** 12 digits. `GANTRY_ACCOUNT`, default `000000000000`. */
  readonly account: string;
  /** Take any credentials (loopback only). `GANTRY_OPEN=1` or `up --open`. */
  readonly open: boolean;
  /** Domain of repository URIs, or undefined for `localhost:<port>/<name>`. `GANTRY_DOMAIN`. */
  readonly domain: string | undefined;
  /** Create ECR repositories on push. `GANTRY_CREATE_ON_PUSH=1`, default off as with AWS. */
  readonly createOnPush: boolean;
  /** Requests a second for each account and operation before ThrottlingException; 0 means no limit. `GANTRY_REQUESTS_PER_SECOND`. */
  readonly requestsPerSecond: number;
  /** Cluster that the agent of this machine joins. `GANTRY_CLUSTER`, default `default`. */
  readonly cluster: string;
  /**
   * IPv4 block of public addresses: `assignPublicIp`, Elastic IPs, NAT gateways. `GANTRY_PUBLIC_POOL`; by default a /20 of 198.18.0.0/15 (kept for
   * tests by RFC 2544) that the home directory chooses, so two Gantrys of one machine rarely share one.
   */
  readonly publicPool: string;
  /**
   * UDP and TCP port on `bind` where private zones are answered; undefined for none. `GANTRY_DNS_PORT`, 0 for none; by default 4553 beside the default
   * port 4566, otherwise none, so that several Gantrys of one machine do not meet.
   */
  readonly dnsPort: number | undefined;
  /** The file with the key that secrets are encrypted with, absolute; undefined for `<home>/secrets.key`, made at the first start. `GANTRY_SECRETS_KEY`. */
  readonly secretsKey: string | undefined;
  /** So long fewer instances must do before a capacity provider takes any away, and a metric be low before a target tracking policy scales in. `GANTRY_SCALE_IN_SECONDS`, default 900 as with AWS. */
  readonly scaleInSeconds: number;
  /** So long a metric must be above a target tracking policy's target, at the metric's usual minute. `GANTRY_SCALE_OUT_SECONDS`, default 180 as with AWS. */
  readonly scaleOutSeconds: number;
  /** An instance whose agent gave no sign of life for so long is lost: its services' tasks are started elsewhere. `GANTRY_LOST_SECONDS`, default 8. */
  readonly lostSeconds: number;
  /** A price list for `./gantry cost`, absolute; undefined for AWS's. `GANTRY_PRICES`. */
  readonly prices: string | undefined;
  /** A JSON file that maps ARNs of SNS topics to URLs, for the actions of alarms, absolute; undefined for none. `GANTRY_WEBHOOKS`. */
  readonly webhooks: string | undefined;
  /**
   * What ECS's deployment lifecycle hooks call where AWS calls Lambda: a JSON object of function names or ARNs and http(s) URLs, or the path of a file with one,
   * which is read each time. `GANTRY_LIFECYCLE_HOOKS`.
   */
  readonly lifecycleHooks: string | undefined;
  /** How many days the audit trail is kept. `GANTRY_TRAIL_DAYS`, default 90, as CloudTrail's event history. */
  readonly trailDays: number;
  /**
   * Undefined: plain HTTP. `GANTRY_TLS=self` and `GANTRY_TLS_NAMES`, further names and addresses with commas between them; or `GANTRY_TLS_CERT`,
   * `GANTRY_TLS_KEY` and `GANTRY_TLS_CA`, PEM files.
   */
  readonly tls: TlsOptions | undefined;
  /**
   * OpenID Connect issuers whose tokens AssumeRoleWithWebIdentity takes, beside the providers of IAM. `GANTRY_OIDC_ISSUERS`: entries
   * `<url>=<audience>[,<audience>…]` with spaces between them, e.g. `https://token.example.com=sts.amazonaws.com`.
   */
  readonly oidcIssuers: readonly OidcIssuer[];
  /** How long the credentials of tasks' roles hold; agents are sent new ones at half of it. `GANTRY_TASK_CREDENTIALS_SECONDS`, for tests; default six hours, ECS's. */
  readonly taskCredentialsSeconds: number;
}

/** How the one port speaks TLS. */
export type TlsOptions =
  /** With certificates of an authority of our own, in `<home>/tls`, for this machine's names and these. */
  | { readonly kind: "self"; readonly names: readonly string[] }
  /** With the files given, absolute; `authority`: what clients need to trust, if their systems do not. */
  | { readonly kind: "files"; readonly certificate: string; readonly key: string; readonly authority: string | undefined };

export interface OidcIssuer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly clientIds: readonly string[];
}

export class ConfigError extends Error {}

/** Reads and checks the configuration; a bad value is a ConfigError that names the variable. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const port = Number(env.GANTRY_PORT ?? "4566");
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new ConfigError(`GANTRY_PORT is not a port: ${env.GANTRY_PORT}`);
  const account = env.GANTRY_ACCOUNT ?? "000000000000";
  if (!/^\d{12}$/.test(account)) throw new ConfigError(`GANTRY_ACCOUNT is not an account of 12 digits: ${account}`);
  const region = env.GANTRY_REGION ?? "us-east-1";
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(region)) throw new ConfigError(`GANTRY_REGION is not a region: ${region}`);
  const bind = env.GANTRY_BIND ?? "127.0.0.1";
  const open = env.GANTRY_OPEN === "1";
  if (open && !isLoopback(bind))
    throw new ConfigError(`--open takes any credentials, so it listens on loopback only: GANTRY_BIND is ${bind}`);
  const requestsPerSecond = Number(env.GANTRY_REQUESTS_PER_SECOND ?? "0");
  if (!(requestsPerSecond >= 0)) throw new ConfigError(`GANTRY_REQUESTS_PER_SECOND is not a number: ${env.GANTRY_REQUESTS_PER_SECOND}`);
  const scaleInSeconds = Number(env.GANTRY_SCALE_IN_SECONDS || "900");
  if (!(scaleInSeconds >= 0)) throw new ConfigError(`GANTRY_SCALE_IN_SECONDS is not a number of seconds: ${env.GANTRY_SCALE_IN_SECONDS}`);
  const scaleOutSeconds = Number(env.GANTRY_SCALE_OUT_SECONDS || "180");
  if (!(scaleOutSeconds >= 0))
    throw new ConfigError(`GANTRY_SCALE_OUT_SECONDS is not a number of seconds: ${env.GANTRY_SCALE_OUT_SECONDS}`);
  const lostSeconds = Number(env.GANTRY_LOST_SECONDS || "8");
  if (!(lostSeconds >= 1 && lostSeconds <= 3600))
    throw new ConfigError(`GANTRY_LOST_SECONDS is not a number of seconds between 1 and 3600: ${env.GANTRY_LOST_SECONDS}`);
  const home = resolve(env.GANTRY_HOME || "/var/lib/gantry");
  const publicPool = env.GANTRY_PUBLIC_POOL ?? defaultPool(home);
  if (!isBlock(publicPool)) throw new ConfigError(`GANTRY_PUBLIC_POOL is not an IPv4 block between /8 and /29: ${publicPool}`);
  const dnsPort = env.GANTRY_DNS_PORT ? Number(env.GANTRY_DNS_PORT) : port === 4566 ? 4553 : 0;
  if (!Number.isInteger(dnsPort) || dnsPort < 0 || dnsPort > 65535)
    throw new ConfigError(`GANTRY_DNS_PORT is not a port: ${env.GANTRY_DNS_PORT}`);
  const trailDays = Number(env.GANTRY_TRAIL_DAYS ?? "90");
  if (!Number.isInteger(trailDays) || trailDays < 1 || trailDays > 36_500)
    throw new ConfigError(`GANTRY_TRAIL_DAYS is not a number of days: ${env.GANTRY_TRAIL_DAYS}`);
  const taskCredentialsSeconds = Number(env.GANTRY_TASK_CREDENTIALS_SECONDS || "21600");
  if (!Number.isInteger(taskCredentialsSeconds) || taskCredentialsSeconds < 2 || taskCredentialsSeconds > 43_200)
    throw new ConfigError(`GANTRY_TASK_CREDENTIALS_SECONDS is not between 2 and 43200: ${env.GANTRY_TASK_CREDENTIALS_SECONDS}`);
  return {
    home,
    port,
    bind,
    region,
    account,
    open,
    domain: env.GANTRY_DOMAIN || undefined,
    createOnPush: env.GANTRY_CREATE_ON_PUSH === "1",
    requestsPerSecond,
    cluster: env.GANTRY_CLUSTER ?? "default",
    publicPool,
    scaleInSeconds,
    scaleOutSeconds,
    lostSeconds,
    dnsPort: dnsPort === 0 ? undefined : dnsPort,
    secretsKey: env.GANTRY_SECRETS_KEY ? resolve(env.GANTRY_SECRETS_KEY) : undefined,
    prices: env.GANTRY_PRICES ? resolve(env.GANTRY_PRICES) : undefined,
    lifecycleHooks: hooksOf(env.GANTRY_LIFECYCLE_HOOKS),
    trailDays,
    tls: tlsOptions(env),
    oidcIssuers: (env.GANTRY_OIDC_ISSUERS ?? "").split(/\s+/).filter(Boolean).map(oidcIssuer),
    taskCredentialsSeconds,
    webhooks: env.GANTRY_WEBHOOKS ? resolve(env.GANTRY_WEBHOOKS) : undefined,
  };
}

function tlsOptions(env: Record<string, string | undefined>): TlsOptions | undefined {
  const { GANTRY_TLS: kind = "", GANTRY_TLS_CERT: certificate, GANTRY_TLS_KEY: key, GANTRY_TLS_CA: authority } = env;
  if (kind !== "" && kind !== "self") throw new ConfigError(`GANTRY_TLS is not self: ${kind}`);
  if (!certificate !== !key) throw new ConfigError("GANTRY_TLS_CERT and GANTRY_TLS_KEY go together");
  if (certificate && key) {
    if (kind === "self") throw new ConfigError("GANTRY_TLS=self makes certificates, GANTRY_TLS_CERT gives one: only one of them can be");
    return { kind: "files", certificate: resolve(certificate), key: resolve(key), authority: authority ? resolve(authority) : undefined };
  }
  if (kind === "") return undefined;
  const names = (env.GANTRY_TLS_NAMES ?? "").split(/[\s,]+/).filter(Boolean);
  const wrong = names.find((name) => !/^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name) && !isIP(name));
  if (wrong !== undefined) throw new ConfigError(`GANTRY_TLS_NAMES has what is no host name or address: ${wrong}`);
  return { kind: "self", names };
}

function oidcIssuer(entry: string): OidcIssuer {
  const [, url = "", audiences = ""] = /^(https?:\/\/[^=]+?)\/?=(.+)$/.exec(entry) ?? [];
  const clientIds = audiences.split(",").filter(Boolean);
  if (!URL.canParse(url) || clientIds.length === 0)
    throw new ConfigError(`GANTRY_OIDC_ISSUERS has an entry that is not <url>=<audience>[,<audience>…]: ${entry}`);
  return { url, clientIds };
}

function hooksOf(text: string | undefined): string | undefined {
  if (!text) return undefined;
  return text.trimStart().startsWith("{") ? text : resolve(text);
}

function defaultPool(home: string): string {
  const choice = createHash("sha256").update(home).digest()[0]! % 32;
  return `198.${18 + (choice >> 4)}.${(choice & 15) * 16}.0/20`;
}

function isBlock(text: string): boolean {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)?.slice(1).map(Number);
  if (!parts || parts.slice(0, 4).some((part) => part > 255)) return false;
  const [a, b, c, d, bits] = parts as [number, number, number, number, number];
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return bits >= 8 && bits <= 29 && address % 2 ** (32 - bits) === 0;
}

export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || address.startsWith("127.");
}
