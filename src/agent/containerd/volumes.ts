import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, readdir, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import type { ContainerSpec } from "#agent/runtime.ts";
import type { ImageRoot } from "./image-root.ts";

export interface ImageVolume {
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean;
}

/** The image's volumes that the container doesn't mount something over. */
export function uncoveredVolumes(spec: Pick<ContainerSpec, "image" | "mounts" | "tmpfs">): string[] {
  const covered = coveredBy(spec);
  const targets = spec.image.config.volumes.map(clean).filter((target) => target !== "/" && !covered.has(target));
  return [...new Set(targets)];
}

/** Whether neither a mount nor a volume of the image is at `path`. */
export function isUncovered(spec: Pick<ContainerSpec, "image" | "mounts" | "tmpfs">, path: string): boolean {
  return !coveredBy(spec).has(path) && !spec.image.config.volumes.map(clean).includes(path);
}

function coveredBy(spec: Pick<ContainerSpec, "mounts" | "tmpfs">): Set<string> {
  return new Set([...spec.mounts.map((mount) => mount.target), ...spec.tmpfs.map((mount) => mount.path)].map(clean));
}

export interface TmpDirectory {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The image's /tmp where it is empty or not there; undefined where it holds something. */
export async function readTmp(root: ImageRoot): Promise<TmpDirectory | undefined> {
  const path = await root.resolve("/tmp");
  if (path === undefined) return { mode: 0o1777, uid: 0, gid: 0 };
  const { mode, uid, gid } = await stat(path);
  const entries = await readdir(path).catch(() => undefined);
  return entries?.length === 0 ? { mode: mode & 0o7777, uid, gid } : undefined;
}

/** An empty directory in its place. */
export async function makeTmp(directory: string, { mode, uid, gid }: TmpDirectory, readOnly: boolean): Promise<ImageVolume> {
  const source = join(directory, "tmp");
  await mkdir(source, { recursive: true });
  await chown(source, uid, gid);
  await chmod(source, mode);
  return { source, target: "/tmp", readOnly };
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
