import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
export const example = new URL("../../../examples/hello/", import.meta.url).pathname;

export type Buildah = (args: readonly string[], input?: string) => Promise<unknown>;

/** examples/hello with its busybox in `work`, and buildah with its storage, its temporary files and its logins below it. */
export async function prepareBuild(work: string): Promise<Buildah> {
  for (const file of ["Dockerfile", "hello.sh"]) await copyFile(join(example, file), join(work, file));
  await copyFile("/bin/busybox", join(work, "busybox"));
  await mkdir(join(work, "storage"));
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "run"), "--storage-driver", "vfs"];
  // buildah 1.28 refuses a file that it is told of and does not find.
  await writeFile(join(work, "auth.json"), "{}");
  const env = { ...process.env, BUILDAH_ISOLATION: "chroot", REGISTRY_AUTH_FILE: join(work, "auth.json"), TMPDIR: work };
  return (args, input = "") => {
    const running = run("buildah", [...storage, ...args], { env, maxBuffer: 1 << 24 });
    running.child.stdin?.end(input);
    return running;
  };
}
