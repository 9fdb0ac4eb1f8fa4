import type { RegistryAuthentication } from "#agent-protocol/messages.ts";

export interface RegistryContext {
  readonly account: string;
  readonly region: string;
  /** `http://host:port` as the agent reached us: there it asks for the registry's token. */
  readonly endpoint: string;
  /** Hosts (with port) under which this Gantry's registry is known, e.g. `localhost:4566`. */
  readonly hosts: ReadonlySet<string>;
  /** Domain of `<account>.dkr.ecr.<region>.<domain>`, where one is set. */
  readonly domain: string | undefined;
  /** The token is the execution role's, not the agent's. */
  readonly byExecutionRole?: boolean;
}

/**
 * How the agent signs in to pull `image`: with ECR's token, asked of us, for images on our own registry and for those named with a genuine
 * ECR host, which are served from ours. Undefined for any other registry.
 */
export function registryAuthenticationOf(image: string, context: RegistryContext): RegistryAuthentication | undefined {
  const host = hostOf(image);
  if (host === undefined) return undefined;
  const genuine = /^(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(.+?)(?::\d+)?$/.exec(host);
  const domains = ["amazonaws.com", "amazonaws.com.cn", "on.aws", context.domain];
  if (genuine && domains.includes(genuine[3])) return ecr(genuine[1]!, genuine[2]!, context);
  return context.hosts.has(host) ? ecr(context.account, context.region, context) : undefined;
}

/** The registry in an image's name: what stands before the first slash, when it looks like a host. */
function hostOf(image: string): string | undefined {
  const slash = image.indexOf("/");
  if (slash < 0) return undefined;
  const first = image.slice(0, slash);
  return first === "localhost" || /[.:]/.test(first) ? first : undefined;
}

function ecr(registryId: string, region: string, { endpoint, byExecutionRole }: RegistryContext): RegistryAuthentication {
  return {
    type: "ecr",
    ecrAuthData: { registryId, region, endpointOverride: endpoint, ...(byExecutionRole ? { useExecutionRole: true } : {}) },
  };
}
