import { appendFile, rename, stat } from "node:fs/promises";
import type { Clock } from "#platform/clock.ts";
import type { Sink } from "./sink.ts";

/** Docker's json-file: `{"log":"text\n","stream":"stdout","time":"…"}` a line, in `<directory>/json.log`, older files `json.log.1` and up. */
export function createJsonFile(directory: string, options: Readonly<Record<string, string>>, clock: Clock): Sink {
  // Docker keeps everything by default; a machine that runs tasks for months must not.
  const maxSize = parseSize("max-size", options["max-size"] ?? "10m");
  const maxFiles = Number(options["max-file"] ?? "2");
  if (!Number.isInteger(maxFiles) || maxFiles < 1) throw new Error(`max-file is not a number of files: ${options["max-file"]}`);
  const path = `${directory}/json.log`;
  return {
    longestLine: 16_384,
    backlogBytes: Number.MAX_SAFE_INTEGER,
    async write(stream, lines) {
      const time = new Date(clock.now()).toISOString();
      const text = lines.map((line) => `${JSON.stringify({ log: line.partial ? line.text : `${line.text}\n`, stream, time })}\n`).join("");
      if (((await stat(path).catch(() => undefined))?.size ?? 0) >= maxSize) {
        for (let number = maxFiles - 1; number >= 1; number--)
          await rename(number === 1 ? path : `${path}.${number - 1}`, `${path}.${number}`).catch(() => {});
        if (maxFiles === 1) await rename(path, `${path}.old`).catch(() => {});
      }
      await appendFile(path, text, { mode: 0o640 });
      return lines.length;
    },
  };
}

/** Discards everything. */
export const nowhere: Sink = {
  longestLine: 65_536,
  backlogBytes: Number.MAX_SAFE_INTEGER,
  write: (_stream, lines) => Promise.resolve(lines.length),
};

/** Docker's sizes: a number with k, m or g (binary), or `-1` for no limit. */
export function parseSize(name: string, text: string): number {
  if (text === "-1") return Number.MAX_SAFE_INTEGER;
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text);
  if (!match) throw new Error(`${name} is not a size like 10m: ${text}`);
  return Number(match[1]) * ({ k: 1024, m: 1048576, g: 1073741824 }[(match[2] ?? "").toLowerCase()] ?? 1);
}
