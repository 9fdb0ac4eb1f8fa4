import { readdir } from "node:fs/promises";
import { command, CommandError } from "../commands.ts";

/** Commands inside a network namespace, without the mount namespace that `ip -n` makes each time. */
const path = (namespace: string) => `/run/netns/${namespace}`;

/** `force`: goes on after a line that fails, and does not reject. */
export async function ipInside(namespace: string, batch: string, force = false): Promise<void> {
  const done = command("nsenter", [`--net=${path(namespace)}`, "ip", ...(force ? ["-force"] : []), "-batch", "-"], batch);
  await (force ? done.catch(ignoreFailure) : done);
}

export async function nftInside(namespace: string, text: string): Promise<void> {
  await command("nsenter", [`--net=${path(namespace)}`, "nft", "-f", "-"], text);
}

export async function shellInside(namespace: string, script: string): Promise<string> {
  return command("nsenter", [`--net=${path(namespace)}`, "sh", "-c", script]);
}

export async function jsonInside<T>(namespace: string, args: readonly string[]): Promise<T[]> {
  return JSON.parse((await command("nsenter", [`--net=${path(namespace)}`, "ip", "-j", ...args])) || "[]") as T[];
}

export async function namespacesWith(prefix: string): Promise<string[]> {
  return (await readdir("/run/netns").catch(() => [] as string[])).filter((name) => name.startsWith(prefix));
}

export function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
