import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import type { ContainerSpec } from "#agent/runtime.ts";
import type { ImageRoot } from "./image-root.ts";

export interface ImageVolume {
  readonly source: string;
  readonly target: string;
}

/** The image's volumes that the container doesn't mount something over. */
export function uncoveredVolumes(spec: Pick<ContainerSpec, "image" | "mounts" | "tmpfs">): string[] {
  const covered = new Set([...spec.mounts.map((mount) => mount.target), ...spec.tmpfs.map((mount) => mount.path)].map(clean));
  const targets = spec.image.config.volumes.map(clean).filter((target) => target !== "/" && !covered.has(target));
  return [...new Set(targets)];
}

/** A fresh directory for each of an image's volumes, filled with what the image has there, as Docker fills a new volume. */
export async function makeImageVolumes(directory: string, targets: readonly string[], root: ImageRoot): Promise<ImageVolume[]> {
  const volumes: ImageVolume[] = [];
  for (const [at, target] of targets.entries()) {
    const source = join(directory, String(at));
    await mkdir(source, { recursive: true, mode: 0o755 });
    const content = await root.resolve(target);
    if (content && (await stat(content)).isDirectory()) await copy(content, source);
    volumes.push({ source, target });
  }
  return volumes;
}

export async function removeImageVolumes(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/** Owners, modes, links, devices and extended attributes: cp knows them all. */
async function copy(from: string, to: string): Promise<void> {
  const child = spawn("cp", ["-a", "--", `${from}/.`, to], { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (data: Buffer) => (complaint = (complaint + data.toString()).slice(0, 1000)));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the image's volume cannot be filled: ${complaint.trim()}`);
}

function clean(path: string): string {
  const normal = posix.normalize(`/${path}`);
  return normal.length > 1 ? normal.replace(/\/$/, "") : normal;
}
