import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { parseXml, type XmlElement } from "#platform/xml-parse.ts";
import { sign } from "../aws/sigv4.ts";
import type { AwsCredentials } from "../config.ts";
import type { InstanceCredentials } from "./imds-tree.ts";

/** Credentials of the instance's role, by STS's AssumeRole with the agent's own: kept for half of their life, and as long as they hold when STS does not answer. */
export function createInstanceRole(options: {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: AwsCredentials | (() => AwsCredentials);
  readonly roleArn: string;
  /** 2 to 64 of `\w+=,.@-`: the instance's id. */
  readonly sessionName: () => string;
  readonly clock: Clock;
  readonly log: Logger;
}): () => Promise<InstanceCredentials | undefined> {
  const { clock, log } = options;
  let known: { readonly value: InstanceCredentials; readonly at: number; readonly until: number } | undefined;
  let asking: Promise<void> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  async function ask(): Promise<void> {
    const url = new URL(`${options.endpoint}/`);
    const body = new URLSearchParams({
      Action: "AssumeRole",
      Version: "2011-06-15",
      RoleArn: options.roleArn,
      RoleSessionName: options.sessionName(),
    }).toString();
    const headers = sign({
      method: "POST",
      url,
      headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
      body,
      service: "sts",
      region: options.region,
      credentials: typeof options.credentials === "function" ? options.credentials() : options.credentials,
      now: clock.now(),
    });
    const answer = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(10_000) });
    const root = parseXml(await answer.text());
    const text = (name: string) => find(root, name)?.text.trim() ?? "";
    if (!answer.ok) throw new Error(`${text("Code")}: ${text("Message")}`);
    const expiration = text("Expiration");
    const issued = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
    const value = {
      accessKeyId: text("AccessKeyId"),
      secretAccessKey: text("SecretAccessKey"),
      sessionToken: text("SessionToken"),
      issued,
      expiration,
    };
    known = { value, at: clock.now(), until: Date.parse(expiration) };
  }

  return async () => {
    const now = clock.now();
    const fresh = known && now < (known.at + known.until) / 2;
    if (!fresh && now - failedAt > 2_000) {
      asking ??= ask()
        .catch((error: unknown) => {
          failedAt = clock.now();
          log.warn({ err: error, roleArn: options.roleArn }, "the instance's role cannot be had");
        })
        .finally(() => (asking = undefined));
      await asking;
    }
    return known && clock.now() < known.until ? known.value : undefined;
  };
}

function find(root: XmlElement, name: string): XmlElement | undefined {
  if (root.name === name) return root;
  for (const child of root.children) {
    const found = find(child, name);
    if (found) return found;
  }
  return undefined;
}
