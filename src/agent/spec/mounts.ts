import { posix } from "node:path";
import type { ContainerSpec } from "#agent/runtime.ts";
import type { OciMount } from "./oci.ts";

type MountSpec = Pick<ContainerSpec, "mounts" | "tmpfs" | "sharedMemoryMiB" | "privileged" | "ipcNamespace" | "network">;

/**
 * A container's mounts: Docker's defaults, then the container's own, each below what it lies in (a parent is mounted before its children).
 * A mount of the container's takes the place of a default at the same path.
 */
export function containerMounts(spec: MountSpec, extra: readonly OciMount[] = []): OciMount[] {
  const sys = spec.privileged ? "rw" : "ro";
  const defaults: OciMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", sys] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [sys, "nosuid", "noexec", "nodev"] },
  ];
  if (spec.ipcNamespace === "host") {
    defaults.push({ destination: "/dev/mqueue", type: "bind", source: "/dev/mqueue", options: ["rbind", "nosuid", "noexec", "nodev"] });
    defaults.push({ destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", "nosuid", "noexec", "nodev"] });
  } else {
    const size = (spec.sharedMemoryMiB ?? 64) * 1024 * 1024;
    defaults.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] });
    defaults.push({
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${size}`],
    });
  }

  const own = [...extra, ...spec.tmpfs.map(tmpfs), ...spec.mounts.map(bind)];
  const last = new Map(own.map((mount) => [mount.destination, mount]));
  const chosen = [...last.values()].toSorted((a, b) => depth(a.destination) - depth(b.destination));
  // A default below a path that the container brings itself would hide part of it: Docker drops /dev/* for a mounted /dev.
  const kept = defaults.filter(
    (mount) => !chosen.some((mine) => mount.destination === mine.destination || mount.destination.startsWith(`${mine.destination}/`)),
  );
  return [...kept, ...chosen];
}

function tmpfs(mount: ContainerSpec["tmpfs"][number]): OciMount {
  const options = mergeOptions(["noexec", "nosuid", "nodev"], mount.options);
  return { destination: clean(mount.path), type: "tmpfs", source: "tmpfs", options: [...options, `size=${mount.sizeMiB * 1024 * 1024}`] };
}

function bind(mount: ContainerSpec["mounts"][number]): OciMount {
  return {
    destination: clean(mount.target),
    type: "bind",
    source: mount.source,
    options: ["rbind", mount.readOnly ? "ro" : "rw", "rprivate"],
  };
}

/** An option given takes away the default that says the opposite; `defaults` takes away nothing. */
function mergeOptions(defaults: readonly string[], given: readonly string[]): string[] {
  const wanted = given.filter((option) => option !== "defaults");
  const opposite = (option: string) => (option.startsWith("no") ? option.slice(2) : `no${option}`);
  return [...defaults.filter((option) => !wanted.includes(opposite(option)) && !wanted.includes(option)), ...wanted];
}

function clean(path: string): string {
  const normal = posix.normalize(`/${path}`);
  return normal.length > 1 ? normal.replace(/\/$/, "") : normal;
}

function depth(path: string): number {
  return path.split("/").filter(Boolean).length;
}
