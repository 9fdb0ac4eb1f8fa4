import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What both wrappers have in common, filled in: `secrets` is the directory with the containers' variables. */
export function environmentScript(secrets: string): string {
  return readFileSync(new URL("environment.sh", import.meta.url), "utf8").replaceAll("@SECRETS@", secrets);
}

/** Writes src/agent/secrets/runc.sh, filled in for this machine; its path. Replaced whole, so that a call in between finds one or the other. */
export async function writeRuncWrapper(directory: string, runc: string, secrets: string): Promise<string> {
  const source = readFileSync(new URL("runc.sh", import.meta.url), "utf8");
  const text = source.replaceAll("@RUNC@", runc).replace("@ENVIRONMENT@", () => environmentScript(secrets));
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, "gantry-runc");
  const fresh = `${path}.${process.pid}`;
  await writeFile(fresh, text, { mode: 0o755 });
  await rename(fresh, path);
  return path;
}
