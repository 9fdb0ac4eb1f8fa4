import { readFile } from "node:fs/promises";
import { type Config, isLoopback } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { ownAddresses, tlsFiles } from "#platform/tls.ts";
import { ask } from "../ask.ts";
import { fingerprintOf, formatToken } from "./token-text.ts";

/** As the server answers (src/services/ecs/machines/tokens.ts). */
interface TokenRow {
  readonly id: string;
  readonly cluster: string;
  readonly expiresAt: number;
  readonly uses: number;
  readonly machines: readonly string[];
}

export interface TokenOptions {
  readonly cluster: string;
  /** e.g. `90m`, `24h`, `7d`. */
  readonly ttl: string;
  readonly uses: string;
  /** Where machines find this server; default: what it listens on and its certificate names. */
  readonly url: readonly string[];
  readonly quiet: boolean;
}

/** `gantry token`: the line to type on the machine that is to join. */
export async function makeToken(config: Config, options: TokenOptions): Promise<string> {
  const urls = options.url.length > 0 ? options.url.map(checkUrl) : urlsOf(config);
  const identity = await loadIdentity(config.home, systemRandom);
  const authority = tlsFiles(config)?.authority;
  const fingerprint = authority === undefined ? undefined : fingerprintOf(await readFile(authority, "utf8"));
  const query = new URLSearchParams({ cluster: options.cluster, seconds: String(secondsOf(options.ttl)), uses: options.uses });
  const made = (await ask(config, identity, `/_gantry/join-tokens/create?${query}`, { method: "POST" })) as TokenRow & { secret: string };
  const line = `./gantry join ${formatToken({ id: made.id, secret: made.secret, urls, fingerprint })}`;
  if (options.quiet) return line;
  const often = made.uses === 1 ? "one machine" : `${made.uses} machines`;
  return `To add ${often} to the cluster ${made.cluster}, until ${new Date(made.expiresAt).toISOString()}: there, as root, from a clone of Gantry,\n\n    ${line}\n\nTo take it back: ./gantry token revoke ${made.id}`;
}

export async function listTokens(config: Config): Promise<string> {
  const identity = await loadIdentity(config.home, systemRandom);
  const { tokens } = (await ask(config, identity, "/_gantry/join-tokens")) as { tokens: TokenRow[] };
  if (tokens.length === 0) return "no token is good now";
  return tokens
    .map(
      ({ id, cluster, expiresAt, uses, machines }) =>
        `${id}  cluster ${cluster}  used ${machines.length} of ${uses}  until ${new Date(expiresAt).toISOString()}`,
    )
    .join("\n");
}

export async function revokeToken(config: Config, id: string): Promise<string> {
  const identity = await loadIdentity(config.home, systemRandom);
  await ask(config, identity, `/_gantry/join-tokens/revoke?${new URLSearchParams({ id })}`, { method: "POST" });
  return `the token ${id} lets nobody in any more; machines that joined by it stay (./gantry nodes remove takes one away)`;
}

/** `gantry nodes remove <machine>`. */
export async function removeMachine(config: Config, id: string): Promise<string> {
  const identity = await loadIdentity(config.home, systemRandom);
  await ask(config, identity, `/_gantry/machines/remove?${new URLSearchParams({ id })}`, { method: "POST" });
  return `${id} belongs to this Gantry no more: its tasks count as stopped, and its credentials open nothing`;
}

/** Where others find a server that listens beyond loopback, by TLS. Throws what to do where it does not. */
export function urlsOf(config: Config, addresses: readonly string[] = ownAddresses()): string[] {
  if (isLoopback(config.bind))
    throw new Error(
      `this Gantry listens on ${config.bind}, where no other machine reaches it. Start it with an address that they do: GANTRY_BIND=<address, or 0.0.0.0> GANTRY_TLS=self ./gantry up`,
    );
  if (!config.tls)
    throw new Error("this Gantry speaks no TLS, and machines join by TLS only. Start it with GANTRY_TLS=self, or a certificate of yours");
  const named = config.tls.kind === "self" ? config.tls.names.filter((name) => !name.startsWith("*")) : [];
  const everywhere = /^(0\.0\.0\.0|::)$/.test(config.bind);
  const hosts = [...named, ...(everywhere ? addresses : [config.bind])].filter((host) => !isLoopback(host));
  if (hosts.length === 0)
    throw new Error("this machine has no address that others could reach: name one, ./gantry token --url https://<name>:<port>");
  return [...new Set(hosts)].map((host) => `https://${host.includes(":") ? `[${host}]` : host}:${config.port}`);
}

function checkUrl(text: string): string {
  if (!/^https:\/\//.test(text) || !URL.canParse(text)) throw new Error(`--url ${text}: give it as https://<name>:<port>`);
  return new URL(text).origin;
}

function secondsOf(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new Error(`--ttl ${text}: give it as 30m, 24h or 7d`);
  return Number(count) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit as "s" | "m" | "h" | "d"];
}
