import { readFile } from "node:fs/promises";
import type { ContainerStats } from "#agent/runtime.ts";
import { directoryOf, type Hierarchy } from "./hierarchy.ts";

/** A container's totals from its cgroup; undefined when it is gone. */
export async function readStats(hierarchy: Hierarchy, path: string, now: number): Promise<ContainerStats | undefined> {
  return hierarchy.version === 2 ? readUnified(hierarchy, path, now) : readLegacy(hierarchy, path, now);
}

/** Whether the kernel has ended a process of this cgroup for want of memory, here or at a limit above it. */
export async function hasOomKill(hierarchy: Hierarchy, path: string): Promise<boolean> {
  const file = hierarchy.version === 2 ? "memory.events" : "memory.oom_control";
  const values = keyed(await text(directoryOf(hierarchy, "memory", path), file));
  return (values.get("oom_kill") ?? 0) > 0;
}

async function readLegacy(hierarchy: Hierarchy, path: string, readAt: number): Promise<ContainerStats | undefined> {
  const memory = directoryOf(hierarchy, "memory", path);
  const usage = await text(memory, "memory.usage_in_bytes");
  if (usage === undefined) return undefined;
  const [limit, stat, cpu, pids, blkio] = await Promise.all([
    text(memory, "memory.limit_in_bytes"),
    text(memory, "memory.stat"),
    text(directoryOf(hierarchy, "cpuacct", path), "cpuacct.usage"),
    text(directoryOf(hierarchy, "pids", path), "pids.current"),
    text(directoryOf(hierarchy, "blkio", path), "blkio.throttle.io_service_bytes"),
  ]);
  const memoryStat = keyed(stat);
  // Lines of `major:minor Read bytes`.
  const sum = (kind: string) =>
    (blkio ?? "").split("\n").reduce((total, line) => total + (line.split(" ")[1] === kind ? Number(line.split(" ")[2]) : 0), 0);
  return {
    readAt,
    cpuNanoseconds: number(cpu),
    memoryBytes: number(usage),
    memoryLimitBytes: Math.min(number(limit), memoryStat.get("hierarchical_memory_limit") ?? Infinity),
    memoryCacheBytes: memoryStat.get("total_cache") ?? memoryStat.get("cache") ?? 0,
    pids: number(pids),
    readBytes: sum("Read"),
    writtenBytes: sum("Write"),
  };
}

async function readUnified(hierarchy: Hierarchy, path: string, readAt: number): Promise<ContainerStats | undefined> {
  const directory = directoryOf(hierarchy, "memory", path);
  const cpu = await text(directory, "cpu.stat");
  if (cpu === undefined) return undefined;
  const [usage, limit, stat, pids, io] = await Promise.all([
    text(directory, "memory.current"),
    effectiveLimit(hierarchy, path),
    text(directory, "memory.stat"),
    text(directory, "pids.current"),
    text(directory, "io.stat"),
  ]);
  // Lines of `major:minor rbytes=1 wbytes=2 …`.
  const sum = (key: string) =>
    [...(io ?? "").matchAll(new RegExp(`\\b${key}=(\\d+)`, "g"))].reduce((total, match) => total + Number(match[1]), 0);
  return {
    readAt,
    cpuNanoseconds: (keyed(cpu).get("usage_usec") ?? 0) * 1000,
    memoryBytes: number(usage),
    memoryLimitBytes: limit,
    memoryCacheBytes: keyed(stat).get("file") ?? 0,
    pids: number(pids),
    readBytes: sum("rbytes"),
    writtenBytes: sum("wbytes"),
  };
}

/** Version 2 has no file for the lowest limit on the way to the root. `Infinity` where there is none, as version 1's huge number. */
async function effectiveLimit(hierarchy: Hierarchy, path: string): Promise<number> {
  let lowest = Number.MAX_SAFE_INTEGER;
  for (let at = path; at.length > 1; at = at.slice(0, at.lastIndexOf("/"))) {
    const value = (await text(directoryOf(hierarchy, "memory", at), "memory.max"))?.trim();
    if (value && value !== "max") lowest = Math.min(lowest, Number(value));
  }
  return lowest;
}

async function text(directory: string | undefined, file: string): Promise<string | undefined> {
  if (!directory) return undefined;
  return readFile(`${directory}/${file}`, "utf8").catch(() => undefined);
}

function number(value: string | undefined): number {
  const parsed = Number(value?.trim() ?? "0");
  return Number.isFinite(parsed) ? parsed : Number.MAX_SAFE_INTEGER;
}

function keyed(value: string | undefined): Map<string, number> {
  const entries = new Map<string, number>();
  for (const line of value?.split("\n") ?? []) {
    const [key, amount] = line.split(" ");
    if (key && amount !== undefined) entries.set(key, Number(amount));
  }
  return entries;
}
