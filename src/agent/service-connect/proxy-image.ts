import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * A root file system for the tasks' proxies: this machine's HAProxy, the libraries that it is linked with, and nothing else; a tar that is the same as long as
 * they are. Returns where it lies.
 */
export async function packProxy(directory: string): Promise<string> {
  const binary = findBinary("haproxy");
  if (!binary) throw new Error("Service Connect needs HAProxy on this machine: install Debian's package haproxy");
  const { stdout } = await run("ldd", [binary]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, "proxy.tar");
  const paths = [...new Set([binary, ...libraries])].toSorted().map((path) => path.slice(1));
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu", "--mode=u=rwX,go=rX"];
  const renamed = `--transform=s|^${binary.slice(1)}$|haproxy|`;
  await run("tar", [...same, renamed, "--dereference", "--hard-dereference", "-cf", `${file}.new`, "-C", "/", ...paths]);
  await rename(`${file}.new`, file);
  return file;
}

function findBinary(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return directories.map((directory) => join(directory, name)).find((path) => path.startsWith("/") && existsSync(path));
}
