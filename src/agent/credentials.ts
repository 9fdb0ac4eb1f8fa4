import { readFileSync } from "node:fs";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { AgentConfigError, type AwsCredentials } from "./config.ts";

const readEveryMs = 10_000;

/**
 * The default profile of a shared credentials file, as it stands: whoever wrote it renews it, and within ten seconds all requests are signed with what is
 * new. Throws AgentConfigError when it cannot be read at first; later the last good one counts.
 */
export function watchCredentials(path: string, clock: Clock, log: Logger): AwsCredentials {
  let current = readCredentials(path);
  const again = () => {
    clock.after(readEveryMs, () => {
      try {
        current = readCredentials(path);
      } catch (error) {
        log.warn({ err: error }, "the credentials cannot be read, the ones of before are used");
      }
      again();
    });
  };
  again();
  // One request reads all three at one instant: they are always of one file.
  return {
    get accessKeyId() {
      return current.accessKeyId;
    },
    get secretAccessKey() {
      return current.secretAccessKey;
    },
    get sessionToken() {
      return current.sessionToken;
    },
  };
}

function readCredentials(path: string): AwsCredentials {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new AgentConfigError(`AWS_SHARED_CREDENTIALS_FILE cannot be read: ${(error as Error).message}`);
  }
  const found = parseProfile(text);
  if (!found) throw new AgentConfigError(`AWS_SHARED_CREDENTIALS_FILE has no keys in its default profile: ${path}`);
  return found;
}

/** Pure. Source: AWS SDKs and Tools Reference Guide, "Using shared config and credentials files". */
export function parseProfile(text: string): AwsCredentials | undefined {
  let profile = "";
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? [];
    if (name !== undefined) profile = name;
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (profile === "default" && key !== undefined && value !== undefined) values.set(key, value);
  }
  const accessKeyId = values.get("aws_access_key_id");
  const secretAccessKey = values.get("aws_secret_access_key");
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = values.get("aws_session_token");
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
