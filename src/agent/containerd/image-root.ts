import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { lstat, mkdir, open, readlink } from "node:fs/promises";
import { commonDirectory } from "./paths.ts";
import { join, posix } from "node:path";
import type { Mount } from "./generated/api/types/mount_pb.ts";
import { leased, unlessGone, type Containerd } from "./client.ts";

/**
 * Read access to an image's files. The view is mounted by a small helper process in a mount namespace of its own and read through
 * /proc/<helper>/root: when the helper ends, or Gantry is killed and its pipe closes, the mount is gone with it.
 */
export interface ImageRoot {
  /** Where `path` of the image is on this machine, with every symlink followed inside the image only; undefined when it isn't there. */
  resolve(path: string): Promise<string | undefined>;
  /** Text of a regular file of at most 1 MiB; empty when it is not there or is anything else. */
  text(path: string): Promise<string>;
}

const maxText = 1024 * 1024;
const maxLinks = 40;

export async function withImageRoot<T>(
  containerd: Containerd,
  chainId: string,
  options: { readonly mountPoint: string; readonly lease: string },
  work: (root: ImageRoot) => Promise<T>,
): Promise<T> {
  const key = `view-${chainId}-${crypto.randomUUID().slice(0, 8)}`;
  const { snapshotter } = containerd;
  const { mounts } = await containerd.snapshots.view({ snapshotter, key, parent: chainId }, leased(options.lease));
  let helper: ChildProcess | undefined;
  try {
    const mount = mounts[0];
    if (mounts.length !== 1 || !mount) throw new Error(`the snapshotter ${snapshotter} asks for ${mounts.length} mounts`);
    if (mount.type === "bind") return await work(imageRoot(mount.source));
    await mkdir(options.mountPoint, { recursive: true });
    helper = await mountPrivately(mount, options.mountPoint);
    return await work(imageRoot(`/proc/${helper.pid}/root${options.mountPoint}`));
  } finally {
    if (helper && helper.exitCode === null) {
      helper.stdin?.end();
      await once(helper, "exit");
    }
    await unlessGone(containerd.snapshots.remove({ snapshotter, key }));
  }
}

async function mountPrivately(mount: Mount, target: string): Promise<ChildProcess> {
  // An image of many layers has more directories than the one page that mount(2) takes: named from their common parent they fit.
  const { directory, options } = commonDirectory(mount.options);
  const script = 'mount -t "$1" -o "$2" "$3" "$4" && echo ready && read -r _';
  const args = ["--mount", "--propagation", "private", "sh", "-c", script, "sh", mount.type, options.join(","), mount.source, target];
  const helper = spawn("unshare", args, {
    cwd: directory,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, LIBMOUNT_FORCE_MOUNT2: "always" },
  });
  let complaint = "";
  helper.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
  const ready = await Promise.race([
    once(helper.stdout, "data").then(() => true),
    once(helper, "close").then(() => false),
    once(helper, "error").then(([error]) => Promise.reject(error as Error)),
  ]);
  if (!ready) throw new Error(`the image's file system cannot be mounted: ${complaint.trim()}`);
  return helper;
}

export function imageRoot(root: string): ImageRoot {
  const resolve = async (path: string): Promise<string | undefined> => {
    let rest = path.split("/").filter(Boolean);
    let at: string[] = [];
    let links = 0;
    while (rest.length > 0) {
      const [part, ...after] = rest as [string, ...string[]];
      rest = after;
      if (part === ".") continue;
      if (part === "..") {
        at = at.slice(0, -1);
        continue;
      }
      const here = join(root, ...at, part);
      const info = await lstat(here).catch(() => undefined);
      if (!info) return undefined;
      if (!info.isSymbolicLink()) {
        at.push(part);
        continue;
      }
      if (++links > maxLinks) return undefined;
      const target = await readlink(here);
      if (posix.isAbsolute(target)) at = [];
      rest = [...target.split("/").filter(Boolean), ...rest];
    }
    return join(root, ...at);
  };
  return {
    resolve,
    async text(path) {
      const found = await resolve(path);
      if (!found) return "";
      // The image is someone else's: a FIFO or a device in the place of the file must not block us.
      const file = await open(found, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
      if (!file) return "";
      try {
        const info = await file.stat();
        if (!info.isFile() || info.size > maxText) return "";
        return await file.readFile("utf8");
      } finally {
        await file.close();
      }
    },
  };
}
