import { existsSync } from "node:fs";
import { chmod, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import { ask } from "./ask.ts";

/** How often the supervisor renews what the agent of this machine signs with. */
export const renewEveryMs = 3_600_000;

/**
 * Fetches credentials for the agent of this machine into `<home>/agent-credentials` (0600, the form of AWS's shared credentials file) and returns its
 * path. When no server answers, what an earlier call wrote is good for days.
 */
export async function renewAgentCredentials(config: Config, identity: Identity): Promise<string> {
  const path = join(config.home, "agent-credentials");
  const query = new URLSearchParams({ node: identity.nodeId, cluster: config.cluster, role: process.env.GANTRY_INSTANCE_ROLE ?? "" });
  let issued: Record<string, string>;
  try {
    issued = (await ask(config, identity, `/_gantry/agent-credentials?${query}`)) as Record<string, string>;
  } catch (error) {
    if (existsSync(path)) return path;
    throw error;
  }
  await writeProfile(path, issued as unknown as Profile);
  return path;
}

interface Profile {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** In the form of AWS's shared credentials file, for its owner's eyes only. */
export async function writeProfile(path: string, { accessKeyId, secretAccessKey, sessionToken }: Profile): Promise<void> {
  const text = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\naws_session_token = ${sessionToken}\n`;
  const temporary = `${path}.new`;
  await writeFile(temporary, text, { mode: 0o600 });
  // One that stood there keeps its mode.
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}
