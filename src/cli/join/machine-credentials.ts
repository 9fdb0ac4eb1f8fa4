import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseProfile } from "#agent/credentials.ts";
import { sign } from "#agent/aws/sigv4.ts";
import { writeProfile } from "../agent-credentials.ts";
import type { Joined } from "./state.ts";
import { type Answer, talk } from "./talk.ts";

/** The server does not know this machine: it left, or was removed. */
export class NotJoined extends Error {}

const credentialsFile = (home: string) => join(home, "agent-credentials");

/** The first address at which the server answers; rejects with what the last one failed with. */
async function atServer<T>({ urls }: Joined, work: (url: string) => Promise<T>): Promise<T> {
  let failure: unknown;
  for (const url of urls) {
    try {
      return await work(url);
    } catch (error) {
      if (error instanceof NotJoined) throw error;
      failure = error;
    }
  }
  throw failure;
}

/**
 * New credentials for this machine's agent, by the machine's own key, into `<home>/agent-credentials` (0600); returns where the server was. When it does not answer, those of
 * before are good for days. Throws NotJoined when it does not know the machine.
 */
export async function renewMachineCredentials(home: string, joined: Joined): Promise<{ readonly path: string; readonly url: string }> {
  const path = credentialsFile(home);
  const { machine, key, authority } = joined;
  try {
    return await atServer(joined, async (url) => {
      const answer = await talk(new URL("/_gantry/join/credentials", url), {
        method: "POST",
        body: { machine, key },
        authority,
        timeoutMs: 5_000,
      });
      if (answer.status === 403) throw new NotJoined(answer.body.message);
      if (answer.status !== 200) throw new Error(answer.body.message ?? `HTTP ${answer.status}`);
      await writeProfile(path, answer.body.credentials as Parameters<typeof writeProfile>[1]);
      return { path, url };
    });
  } catch (error) {
    if (error instanceof NotJoined || !existsSync(path)) throw error;
    return { path, url: joined.urls[0]! };
  }
}

/** One of the machine's questions about itself, signed as its agent. Throws what the server says. */
export async function askAsMachine(home: string, joined: Joined, path: string, method: "GET" | "POST" = "GET"): Promise<Answer["body"]> {
  const credentials = parseProfile(readFileSync(credentialsFile(home), "utf8"));
  if (!credentials) throw new Error(`${credentialsFile(home)} has no credentials`);
  return atServer(joined, async (base) => {
    const url = new URL(path, base);
    const headers = sign({ method, url, headers: {}, body: "", service: "ecs", region: joined.region, credentials, now: Date.now() });
    const { status, body } = await talk(url, { method, headers, authority: joined.authority, timeoutMs: 5_000 });
    if (status !== 200) throw new Error(body.message ?? `HTTP ${status}`);
    return body;
  });
}
