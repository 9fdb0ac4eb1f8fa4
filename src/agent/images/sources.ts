import { isLocal, type ImageReference } from "./reference.ts";
import type { Credentials, Repository } from "./registry.ts";

export interface SourceOptions {
  /** Where a registry really is: `{ "docker.io": "http://127.0.0.1:5000" }`. For mirrors and for tests. */
  readonly registryHosts?: Readonly<Record<string, string>>;
  /** Registries (`host:port`) spoken to in plain HTTP, beside those of this machine. */
  readonly insecureRegistries?: readonly string[];
  /** A place to look in first, e.g. the local registry for a genuine ECR host. What it does not have is taken from the host itself. */
  readonly rewrite?: (host: string, repository: string) => Promise<Rewrite | undefined> | Rewrite | undefined;
}

export interface Rewrite {
  /** Root of the registry: `http://127.0.0.1:4566`. */
  readonly url: string;
  readonly repository: string;
  /** Where the request has none of its own. */
  readonly credentials?: () => Promise<Credentials | undefined>;
}

export interface Source {
  readonly repository: Repository;
  readonly credentials?: () => Promise<Credentials | undefined>;
}

/** Where to pull `reference` from, in order of trying. */
export async function sourcesOf(
  reference: ImageReference,
  credentials: (() => Promise<Credentials | undefined>) | undefined,
  options: SourceOptions,
): Promise<Source[]> {
  const sources: Source[] = [];
  const rewritten = await options.rewrite?.(reference.domain, reference.path);
  if (rewritten) {
    sources.push({
      repository: { url: new URL(rewritten.url), path: rewritten.repository },
      // Who the task may log in as comes before whom the agent may.
      credentials: credentials ?? rewritten.credentials,
    });
  }
  sources.push({ repository: { url: registryUrl(reference.domain, options), path: reference.path }, credentials });
  return sources;
}

export function registryUrl(domain: string, options: SourceOptions): URL {
  const override = options.registryHosts?.[domain];
  if (override) return new URL(override);
  if (domain === "docker.io") return new URL("https://registry-1.docker.io");
  const plain = (isLocal(domain) && !domain.endsWith(":443")) || options.insecureRegistries?.includes(domain);
  return new URL(`${plain ? "http" : "https"}://${domain}`);
}
