import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import { createAwsClient } from "./aws/client.ts";
import type { AgentConfig } from "./config.ts";
import type { RegistryLogins } from "./task/world.ts";

interface Login {
  readonly username: string;
  readonly password: string;
  readonly expiresAt: number;
}

const genuineEcr = /^(\d{12})\.dkr[.-]ecr\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)\/(.+)$/;

/**
 * Logins for our registry and for ECR by GetAuthorizationToken, kept until shortly before they end. Everything else is pulled
 * anonymously. An image of genuine ECR is looked for in the local registry first.
 */
export function createRegistryLogins(deps: {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly random: Random;
}): RegistryLogins {
  const { config, clock, random } = deps;
  const local = new URL(config.ecrEndpoint).host;
  const logins = new Map<string, Promise<Login | undefined>>();

  const fetchLogin = async (
    endpoint: string,
    region: string,
    registryId: string | undefined,
    credentials = config.credentials,
  ): Promise<Login | undefined> => {
    const client = createAwsClient({ service: "ecr", endpoint, region, credentials, clock, random });
    const input = registryId ? { registryIds: [registryId] } : {};
    const answer = await client.call<{ authorizationData?: { authorizationToken?: string; expiresAt?: number }[] }>(
      "GetAuthorizationToken",
      input,
    );
    const [data] = answer.authorizationData ?? [];
    if (!data?.authorizationToken) return undefined;
    const [username = "", ...password] = Buffer.from(data.authorizationToken, "base64").toString("utf8").split(":");
    return { username, password: password.join(":"), expiresAt: (data.expiresAt ?? clock.now() / 1000 + 3600) * 1000 };
  };

  const login = async (key: string, get: () => Promise<Login | undefined>): Promise<Login | undefined> => {
    const known = await logins.get(key)?.catch(() => undefined);
    if (known && known.expiresAt - clock.now() > 300_000) return known;
    const fresh = get();
    logins.set(key, fresh);
    fresh.catch(() => logins.delete(key));
    return fresh;
  };

  const isLocal = (image: string) =>
    image.startsWith(`${local}/`) || new RegExp(`^(localhost|127\\.0\\.0\\.1)(:${new URL(config.ecrEndpoint).port || "80"})/`).test(image);

  return {
    credentials(plan, { definition }) {
      const data = definition.registryAuthentication?.type === "ecr" ? definition.registryAuthentication.ecrAuthData : undefined;
      if (!data && !isLocal(definition.image) && !genuineEcr.test(definition.image)) return undefined;
      const region = data?.region || genuineEcr.exec(definition.image)?.[2] || config.region;
      const registryId = data?.registryId || genuineEcr.exec(definition.image)?.[1];
      const endpoint = data?.endpointOverride ? withScheme(data.endpointOverride) : config.ecrEndpoint;
      const role = data?.useExecutionRole ? plan.payload.executionRoleCredentials : undefined;
      const key = `${endpoint} ${region} ${registryId ?? ""} ${role?.credentialsId ?? ""}`;
      return () => login(key, () => fetchLogin(endpoint, region, registryId, role));
    },
    candidates(image) {
      const match = genuineEcr.exec(image);
      return match ? [`${local}/${match[3]}`, image] : [image];
    },
  };
}

function withScheme(endpoint: string): string {
  return /^https?:\/\//.test(endpoint) ? endpoint.replace(/\/+$/, "") : `https://${endpoint}`;
}
