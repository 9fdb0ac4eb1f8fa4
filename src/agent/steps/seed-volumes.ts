import { chown, chmod, lstat, mkdtemp, readdir, readFile, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command } from "../network/commands.ts";

/**
 * Docker fills a new volume with what the image has at its mount point, owner and mode included; programs that run as a user of their own rely on
 * it. Done between creation and start: the layers are read from the container's own overlay mount, from outside, without running anything of the image.
 */
export async function seedVolumes(
  { pid, id, inside }: { readonly pid: number; readonly id: string; readonly inside: boolean },
  volumes: readonly { readonly source: string; readonly target: string }[],
): Promise<void> {
  const empty: { readonly source: string; readonly target: string }[] = [];
  for (const volume of volumes) if ((await readdir(volume.source)).length === 0) empty.push(volume);
  if (empty.length === 0) return;
  // What runs inside a kernel of its own has no mounts on this machine; containerd mounted its root for gVisor beneath the container's directory.
  const mountinfo = await readFile(inside ? "/proc/self/mountinfo" : `/proc/${pid}/mountinfo`, "utf8");
  const layers = layersOf(mountinfo, (point) => (inside ? point.endsWith(`/${id}/rootfs`) : point === "/"));
  if (layers.length === 0) return;
  await withRoot(layers, async (root) => {
    for (const { source, target } of empty) await copyUp(root, target, source);
  });
}

/** The lower directories of the overlay that is the root, topmost first; none when the root is not an overlay. Pure. */
export function layersOf(mountinfo: string, isRoot: (mountPoint: string) => boolean = (point) => point === "/"): readonly string[] {
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [type, , options = ""] = after.split(" ");
    if (type !== "overlay" || !isRoot(unescape(before.split(" ")[4] ?? ""))) continue;
    const lower = options.split(",").find((option) => option.startsWith("lowerdir="));
    return lower ? unescape(lower.slice("lowerdir=".length)).split(":") : [];
  }
  return [];
}

/** mountinfo writes spaces and backslashes as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

async function withRoot(layers: readonly string[], work: (root: string) => Promise<void>): Promise<void> {
  const [only] = layers;
  if (layers.length === 1 && only) {
    await work(only);
    return;
  }
  const root = await mkdtemp(join(tmpdir(), "gantry-seed-"));
  try {
    await command("mount", ["-t", "overlay", "overlay", "-o", `ro,lowerdir=${layers.join(":")}`, root]);
    try {
      await work(root);
    } finally {
      await command("umount", ["-l", root]);
    }
  } finally {
    await rmdir(root);
  }
}

async function copyUp(root: string, target: string, volume: string): Promise<void> {
  let from = root;
  for (const part of target.split("/").filter((name) => name !== "" && name !== ".")) {
    if (part === "..") return;
    from = join(from, part);
    const found = await lstat(from).catch(() => undefined);
    // A link of the image could lead anywhere on the host: what lies behind one is not copied.
    if (!found?.isDirectory()) return;
  }
  const { uid, gid, mode } = await lstat(from);
  if ((await readdir(from)).length > 0) await command("cp", ["-a", "--", `${from}/.`, volume]);
  await chown(volume, uid, gid);
  await chmod(volume, mode & 0o7777);
}
