import { createConnection } from "node:net";

/** One question to HAProxy's runtime API: a connection of its own, answered until HAProxy closes it. */
export function ask(socket: string, question: string, timeoutMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const connection = createConnection(socket, () => connection.write(`${question}\n`));
    connection.setTimeout(timeoutMs, () => connection.destroy(new Error(`HAProxy did not answer within ${timeoutMs} ms`)));
    connection.on("data", (part: Buffer) => parts.push(part));
    connection.once("error", reject);
    connection.once("close", () => resolve(Buffer.concat(parts).toString()));
  });
}

/** What HAProxy refused, in its own words. The caller does not know what took effect and what did not: it reloads. */
export class Refused extends Error {}

const said = /^(New server registered\.|Server deleted\.|New version created: \d+)$/;
/** HAProxy reads a line into a buffer of 16 KiB. */
const longest = 12_000;

/** Runs commands in their order; throws `Refused` where one fails. */
export async function command(socket: string, commands: readonly string[]): Promise<void> {
  for (const line of joined(commands, ";")) {
    const answer = await ask(socket, line);
    const wrong = answer.split("\n").find((text) => text !== "" && !said.test(text));
    if (wrong !== undefined) throw new Refused(wrong);
  }
}

/** All of a map at once: nobody sees half of it. `path` is its name. */
export async function replaceMap(socket: string, path: string, map: ReadonlyMap<string, string>): Promise<void> {
  const prepared = await ask(socket, `prepare map ${path}`);
  const version = /New version created: (\d+)/.exec(prepared)?.[1];
  if (version === undefined) throw new Refused(prepared.trim());
  for (const lines of joined(
    [...map].map(([key, value]) => `${key} ${value}`),
    "\n",
  )) {
    const answer = await ask(socket, `add map @${version} ${path} <<\n${lines}\n`);
    if (answer.trim() !== "") throw new Refused(answer.trim());
  }
  const committed = await ask(socket, `commit map @${version} ${path}`);
  if (committed.trim() !== "") throw new Refused(committed.trim());
}

function joined(parts: readonly string[], separator: string): string[] {
  const lines: string[] = [];
  let line: string[] = [];
  let length = 0;
  for (const part of parts) {
    if (length + part.length > longest) {
      lines.push(line.join(separator));
      line = [];
      length = 0;
    }
    line.push(part);
    length += part.length + 1;
  }
  if (line.length > 0) lines.push(line.join(separator));
  return lines;
}
