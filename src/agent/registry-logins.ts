import type { Credentials } from "#agent-protocol/messages.ts";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import { createAwsClient } from "./aws/client.ts";
import type { AgentConfig } from "./config.ts";
import { executionRole, resourcesPrefix, retrievalFailed } from "./execution-role.ts";
import { StepError } from "./steps/step-error.ts";
import type { RegistryLogins } from "./task/world.ts";

interface Login {
  readonly username: string;
  readonly password: string;
  readonly expiresAt: number;
}

const genuineEcr = /^(\d{12})\.dkr[.-]ecr\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$/;

type Deps = { readonly config: AgentConfig; readonly clock: Clock; readonly random: Random };

/**
 * Logins for our registry and for ECR by GetAuthorizationToken, with the credentials of the task's execution role where it has one, kept until shortly
 * before they end. Everything else is pulled anonymously.
 */
export function createRegistryLogins(deps: Deps): RegistryLogins {
  const { config, clock } = deps;
  const login = createTokens(deps);
  return {
    credentials(plan, { definition }, signal) {
      const data = definition.registryAuthentication?.type === "ecr" ? definition.registryAuthentication.ecrAuthData : undefined;
      const [, account, genuineRegion] = genuineEcr.exec(definition.image.split("/")[0] ?? "") ?? [];
      if (!data && !account && !isLocal(config, definition.image)) return undefined;
      const endpoint = data?.endpointOverride ? withScheme(data.endpointOverride) : config.ecrEndpoint;
      const ask = (role: Credentials | undefined) =>
        login(endpoint, data?.region || genuineRegion || config.region, data?.registryId || account, role);
      if (!data?.useExecutionRole) return () => ask(undefined);
      return async () => {
        const role = await executionRole(plan, clock, signal);
        if (!role) throw new StepError(`${resourcesPrefix}the task has no credentials of its execution role`);
        return ask(role).catch(retrievalFailed("retrieve ecr registry auth"));
      };
    },
  };
}

/** An image of a genuine ECR host is taken from the local registry where the repository exists there. */
export function rewriteToLocal(deps: Deps): (host: string, repository: string) => Rewrite | undefined {
  const login = createTokens(deps);
  return (host, repository) => {
    const [, account, region] = genuineEcr.exec(host) ?? [];
    if (!account || !region) return undefined;
    const url = deps.config.ecrEndpoint;
    return { url, repository, credentials: () => login(url, region, account, undefined) };
  };
}

interface Rewrite {
  readonly url: string;
  readonly repository: string;
  readonly credentials: () => Promise<Login | undefined>;
}

type Tokens = (
  endpoint: string,
  region: string,
  registryId: string | undefined,
  role: Credentials | undefined,
) => Promise<Login | undefined>;

function createTokens({ config, clock, random }: Deps): Tokens {
  const logins = new Map<string, Promise<Login | undefined>>();
  const fetchLogin: Tokens = async (endpoint, region, registryId, role) => {
    const client = createAwsClient({ service: "ecr", endpoint, region, credentials: role ?? config.credentials, clock, random });
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
  return async (endpoint, region, registryId, role) => {
    // By role, not by task: many tasks of one role start at once, and what the role may is asked at each pull.
    const key = [endpoint, region, registryId, role?.roleArn].join(" ");
    const known = await logins.get(key)?.catch(() => undefined);
    if (known && known.expiresAt - clock.now() > 300_000) return known;
    const fresh = fetchLogin(endpoint, region, registryId, role);
    logins.set(key, fresh);
    fresh.catch(() => logins.delete(key));
    return fresh;
  };
}

/** Our registry stands at the API's own port, by whichever name of this machine. */
function isLocal({ ecrEndpoint }: AgentConfig, image: string): boolean {
  const { host, port } = new URL(ecrEndpoint);
  const [registry] = image.split("/");
  return registry === host || (port !== "" && (registry === `localhost:${port}` || registry === `127.0.0.1:${port}`));
}

function withScheme(endpoint: string): string {
  return /^https?:\/\//.test(endpoint) ? endpoint.replace(/\/+$/, "") : `https://${endpoint}`;
}
