import { closeSync, copyFileSync, fstatSync, mkdirSync, openSync, readSync, statSync, truncateSync } from "node:fs";
import { dirname } from "node:path";

const limit = 10 * 1024 * 1024;

/** A child writes to its log by itself, so that it outlives the supervisor; O_APPEND makes truncation under it safe. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return openSync(path, "a", 0o600);
}

/** Keeps one older file beside a log that has grown too long. */
export function rotateLog(path: string): void {
  try {
    if (statSync(path).size < limit) return;
    copyFileSync(path, `${path}.1`);
    truncateSync(path, 0);
  } catch {
    // Not there yet.
  }
}

/** Where it was thrown tells a developer something, and everyone else nothing; it stays in the log. */
const isNoise = (line: string) => /^\s+at |^Node\.js v|^\s*[{}]?,?$|^\s*\^+$|^\s*throw |^node:internal/.test(line);

/** The last `count` lines. Of JSON lines, what a person wants: the message and the error. */
export function lastLines(path: string, count: number): readonly string[] {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(descriptor);
    const length = Math.min(size, 16 * 1024);
    const buffer = Buffer.alloc(length);
    readSync(descriptor, buffer, 0, length, size - length);
    return buffer
      .toString("utf8")
      .split("\n")
      .filter((line) => !isNoise(line))
      .slice(-count)
      .map(readable);
  } finally {
    closeSync(descriptor);
  }
}

function readable(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { msg, err, error } = JSON.parse(line) as { msg?: string; err?: { message?: string }; error?: { message?: string } | string };
    const cause = err?.message ?? (typeof error === "string" ? error : error?.message);
    return [msg, cause].filter(Boolean).join(": ") || line;
  } catch {
    return line;
  }
}
