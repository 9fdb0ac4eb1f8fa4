import { readFile } from "node:fs/promises";
import type { Clock } from "#platform/clock.ts";

/** The counters of all network devices by name, as the columns of /proc/net/dev. Read once for all containers of a round of telemetry. */
export function createDevices(clock: Clock): { read(): Promise<ReadonlyMap<string, readonly number[]>> } {
  let last: { at: number; devices: Promise<ReadonlyMap<string, readonly number[]>> } | undefined;
  return {
    read() {
      if (!last || clock.now() - last.at > freshMs)
        last = { at: clock.now(), devices: readFile("/proc/net/dev", "utf8").then(parseDevices) };
      return last.devices;
    },
  };
}

const freshMs = 200;

export function parseDevices(text: string): ReadonlyMap<string, readonly number[]> {
  const devices = new Map<string, readonly number[]>();
  for (const line of text.split("\n").slice(2)) {
    const colon = line.indexOf(":");
    if (colon === -1) continue;
    const columns = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    devices.set(line.slice(0, colon).trim(), columns);
  }
  return devices;
}
