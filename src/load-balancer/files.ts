/** What one HAProxy has on disk: its configuration, what that names, and which processes there are. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configuration, mapNames, mapText, pathsBelow, type Plan, type ServerStart, type Settings } from "./plan.ts";
import { isAlive, type Process } from "./process.ts";

/** Writes all that a new process reads, and returns the configuration's path. */
export function writePlan(directory: string, plan: Plan, starts: readonly ServerStart[], settings: Omit<Settings, "openFiles">): string {
  const paths = pathsBelow(directory);
  for (const [name, text] of plan.files) writeFileSync(join(paths.certificates, name), text, { mode: 0o600 });
  for (const name of mapNames) replaceFile(paths[name], mapText(plan.maps[name]));
  const file = join(directory, "haproxy.cfg");
  replaceFile(file, configuration(plan, { ...settings, openFiles: Math.min(65_536, hardLimit()) }, starts));
  return file;
}

export interface Remembered {
  readonly generation: number;
  readonly current: Process | undefined;
  readonly old: Process[];
  /** Certificates and bodies. */
  readonly files: readonly string[];
}

export function remember(directory: string, what: Remembered): void {
  replaceFile(join(directory, "processes.json"), JSON.stringify(what));
}

/** What a driver before this one left running; undefined at the first start here. */
export function recall(directory: string): Remembered | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, "processes.json"), "utf8");
  } catch {
    return undefined;
  }
  const { current, ...rest } = JSON.parse(text) as Remembered;
  return { ...rest, old: rest.old.filter(isAlive), current: current && isAlive(current) ? current : undefined };
}

const texts = new WeakMap<Plan, string>();

/** Two plans with the same text differ at most in what the runtime API changes. */
export function sectionsText(plan: Plan): string {
  const text = texts.get(plan) ?? JSON.stringify([plan.sections, [...plan.files.keys()]]);
  texts.set(plan, text);
  return text;
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function hardLimit(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return line === "unlimited" ? 65_536 : Number(line ?? 4096);
}
