/** An image's name, split and made canonical as Docker does (github.com/distribution/reference). */
export interface ImageReference {
  /** Registry as written, `docker.io` when none is: `localhost:5000`, `public.ecr.aws`. */
  readonly domain: string;
  /** Repository within the registry: `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
  /** `domain/path`, then `:tag` and `@digest` as far as given; `:latest` when neither is. */
  readonly name: string;
}

export class InvalidReference extends Error {}

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const domainPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

/** Throws InvalidReference with Docker's words. */
export function parseReference(text: string): ImageReference {
  if (text === "" || text.length > 1024) throw new InvalidReference("invalid reference format");
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw new InvalidReference(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  let rest = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined && !digestPattern.test(digest)) throw new InvalidReference("invalid reference format");

  // A colon after the last slash starts a tag; before it, a port.
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (colon >= 0) rest = rest.slice(0, colon);
  if (tag !== undefined && !tagPattern.test(tag)) throw new InvalidReference("invalid reference format");

  const slash = rest.indexOf("/");
  const first = slash < 0 ? "" : rest.slice(0, slash);
  const hasDomain = first !== "" && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  let domain = hasDomain ? first : "docker.io";
  let path = hasDomain ? rest.slice(slash + 1) : rest;
  if (domain === "index.docker.io") domain = "docker.io";
  if (domain === "docker.io" && !path.includes("/")) path = `library/${path}`;

  if (!domainPattern.test(domain)) throw new InvalidReference("invalid reference format");
  if (!pathPattern.test(path)) {
    if (pathPattern.test(path.toLowerCase())) throw new InvalidReference("invalid reference format: repository name must be lowercase");
    throw new InvalidReference("invalid reference format");
  }
  if (domain.length + 1 + path.length > 255) throw new InvalidReference("repository name must not be more than 255 characters");

  const kept = tag ?? (digest ? undefined : "latest");
  const name = `${domain}/${path}${kept ? `:${kept}` : ""}${digest ? `@${digest}` : ""}`;
  return { domain, path, tag: kept, digest, name };
}

/** Whether a registry's host is this machine: spoken to in plain HTTP, as every container tool does. */
export function isLocal(domain: string): boolean {
  const host = domain.startsWith("[") ? domain.slice(1, domain.indexOf("]")) : domain.replace(/:\d+$/, "");
  return host === "localhost" || host.endsWith(".localhost") || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}
