import { pino, type Logger } from "pino";

export type { Logger };

/** The process's logger: one JSON object a line on standard error. `GANTRY_LOG_LEVEL` sets the level (default `info`). */
export function createLogger(name: string, level = process.env.GANTRY_LOG_LEVEL ?? "info"): Logger {
  return pino({ name, level, base: { name, pid: process.pid } }, pino.destination({ dest: 2, sync: true }));
}

/** A logger that says nothing, for tests. */
export const silentLogger: Logger = pino({ level: "silent" });
