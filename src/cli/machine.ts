import { access, readFile, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** What the tasks need of this machine, and what brings it. */
const commands: Readonly<Record<string, string>> = {
  containerd: "containerd",
  runc: "runc",
  nft: "nftables",
  ip: "iproute2",
  "mkfs.ext4": "e2fsprogs",
};

/** What this machine lacks to run containers, each as a sentence that says what to do; empty when all is well. Reads only. */
export async function machineProblems(environment: Readonly<Record<string, string | undefined>> = process.env): Promise<string[]> {
  const problems: string[] = [];
  for (const [command, debianPackage] of Object.entries(commands))
    if (!(await onPath(command, environment.PATH ?? "")))
      problems.push(`${command} is not installed: apt-get install ${debianPackage} (./gantry up does it as root)`);
  const known = await read("/proc/filesystems");
  if (!/\boverlay\b/.test(known) && !(await hasModule("overlay")))
    problems.push("the kernel has no overlay file system, which holds the images' layers");
  const controllers = (await read("/sys/fs/cgroup/cgroup.controllers")) || (await read("/proc/cgroups"));
  for (const controller of ["memory", "cpu"]) {
    const found = new RegExp(`\\b${controller}\\b(?!\\s+\\d+\\s+\\d+\\s+0)`).test(controllers);
    if (!found)
      problems.push(`the kernel's ${controller} cgroup is off, so tasks can't be limited: see cgroup_enable in the boot parameters`);
  }
  return problems;
}

async function onPath(command: string, path: string): Promise<boolean> {
  for (const directory of [...path.split(delimiter), "/usr/sbin", "/sbin"]) {
    if (
      directory &&
      (await access(join(directory, command), constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return true;
  }
  return false;
}

/** A module that is loaded when it is first used. */
async function hasModule(name: string): Promise<boolean> {
  const release = (await read("/proc/sys/kernel/osrelease")).trim();
  const index = (await read(`/lib/modules/${release}/modules.dep`)) + (await read(`/lib/modules/${release}/modules.builtin`));
  return index.includes(`/${name}.ko`);
}

const read = (path: string) => readFile(path, "utf8").catch(() => "");
