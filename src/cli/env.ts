import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { tlsFiles } from "#platform/tls.ts";
import { endpointOf } from "./commands.ts";

/** What any AWS tool needs to talk to this Gantry. */
export async function environment(config: Config): Promise<Readonly<Record<string, string>>> {
  const identity = await loadIdentity(config.home, systemRandom);
  const authority = tlsFiles(config)?.authority;
  return {
    AWS_ENDPOINT_URL: endpointOf(config),
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
    AWS_ACCESS_KEY_ID: identity.rootAccessKeyId,
    AWS_SECRET_ACCESS_KEY: identity.rootSecretAccessKey,
    AWS_EC2_METADATA_DISABLED: "true",
    // DiscoverInstances would be asked of `data-` and our host, a name that nobody knows.
    AWS_DISABLE_HOST_PREFIX_INJECTION: "true",
    ...(authority ? { AWS_CA_BUNDLE: authority, NODE_EXTRA_CA_CERTS: authority } : {}),
    GANTRY_HOME: config.home,
    GANTRY_PORT: String(config.port),
    GANTRY_REGISTRY: `localhost:${config.port}`,
  };
}

/** Variables that would win over ours or point elsewhere. */
const unwanted = ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"];

export type Shell = "sh" | "fish";

const quote: Readonly<Record<Shell, (value: string) => string>> = {
  sh: (value) => `'${value.replaceAll("'", `'\\''`)}'`,
  fish: (value) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`,
};

/** Lines for `eval`. `oldCli`: the version of an AWS CLI that has to be told the endpoint. */
export function formatEnvironment(variables: Readonly<Record<string, string>>, shell: Shell, oldCli?: string): string {
  const entries = Object.entries(variables);
  const lines =
    shell === "fish"
      ? [...unwanted.map((name) => `set -e ${name}`), ...entries.map(([name, value]) => `set -gx ${name} ${quote.fish(value)}`)]
      : [`unset ${unwanted.join(" ")}`, ...entries.map(([name, value]) => `export ${name}=${quote.sh(value)}`)];
  if (oldCli === undefined) return lines.join("\n");
  lines.push(`# This AWS CLI (${oldCli}) does not read AWS_ENDPOINT_URL, 2.13 and later do: a function gives it the option.`);
  lines.push(
    shell === "fish"
      ? "function aws; command aws --endpoint-url $AWS_ENDPOINT_URL $argv; end"
      : `aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }`,
  );
  return lines.join("\n");
}

/** The version of the `aws` that a shell would run, if it is Debian's or Ubuntu's package and too old to read AWS_ENDPOINT_URL. Asks dpkg: `aws --version` takes a second. */
export async function oldAwsCli(path = process.env.PATH ?? ""): Promise<string | undefined> {
  for (const directory of path.split(delimiter)) {
    const found = await access(join(directory, "aws"), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!found) continue;
    if (directory !== "/usr/bin" && directory !== "/bin") return undefined;
    const { stdout } = await promisify(execFile)("dpkg-query", ["-W", "-f=${Version}", "awscli"]).catch(() => ({ stdout: "" }));
    const [, version = "", major = "0", minor = "0"] = /^(?:\d+:)?((\d+)\.(\d+)[\d.]*)/.exec(stdout) ?? [];
    if (version === "") return undefined;
    return Number(major) < 2 ? (Number(minor) < 29 ? version : undefined) : Number(minor) < 13 && Number(major) === 2 ? version : undefined;
  }
  return undefined;
}
