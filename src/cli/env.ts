import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { endpointOf } from "./commands.ts";

/** What any AWS tool needs to talk to this Gantry. */
export async function environment(config: Config): Promise<Readonly<Record<string, string>>> {
  const identity = await loadIdentity(config.home, systemRandom);
  return {
    AWS_ENDPOINT_URL: endpointOf(config),
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
    AWS_ACCESS_KEY_ID: identity.rootAccessKeyId,
    AWS_SECRET_ACCESS_KEY: identity.rootSecretAccessKey,
    AWS_EC2_METADATA_DISABLED: "true",
    GANTRY_HOME: config.home,
    GANTRY_PORT: String(config.port),
    GANTRY_REGISTRY: `localhost:${config.port}`,
  };
}

/** Variables that would win over ours or point elsewhere. */
const unwanted = ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"];

const quote = (value: string) => `'${value.replaceAll("'", `'\\''`)}'`;

export function formatEnvironment(variables: Readonly<Record<string, string>>, shell: "sh" | "fish"): string {
  const entries = Object.entries(variables);
  if (shell === "fish") {
    const quoted = (value: string) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
    return [...unwanted.map((name) => `set -e ${name}`), ...entries.map(([name, value]) => `set -gx ${name} ${quoted(value)}`)].join("\n");
  }
  return [
    `unset ${unwanted.join(" ")}`,
    ...entries.map(([name, value]) => `export ${name}=${quote(value)}`),
    '# AWS CLI before 2.13 does not read AWS_ENDPOINT_URL: give it --endpoint-url "$AWS_ENDPOINT_URL".',
  ].join("\n");
}
