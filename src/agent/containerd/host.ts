import { existsSync, readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { accountsSwap, detectHierarchy, type Hierarchy } from "#agent/cgroups/hierarchy.ts";
import type { ContainerSpec } from "#agent/runtime.ts";
import type { OciDevice } from "#agent/spec/oci.ts";
import type { HostFacts } from "#agent/spec/spec.ts";

export function readHostFacts(hierarchy: Hierarchy = detectHierarchy()): Omit<HostFacts, "seccomp"> {
  return {
    cgroupVersion: hierarchy.version,
    swapAccounting: accountsSwap(hierarchy),
    capabilities: ownCapabilities("CapBnd"),
    architecture: process.arch,
    hostname: hostname(),
    maxOpenFiles: maxOpenFiles(),
  };
}

const CAP_SYS_RESOURCE = 24n;

/** Without CAP_SYS_RESOURCE (Gantry itself in a container) nobody gets more than we have ourselves. */
function maxOpenFiles(): number {
  if ((ownCapabilities("CapEff") >> CAP_SYS_RESOURCE) & 1n) return Number(readFileSync("/proc/sys/fs/nr_open", "utf8"));
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return Number(hard ?? "1024");
}

function ownCapabilities(set: "CapBnd" | "CapEff"): bigint {
  const hex = new RegExp(`^${set}:\\s*([0-9a-f]+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return BigInt(`0x${hex ?? "0"}`);
}

/** A static init that works inside any image. Debian: package `tini`; Docker brings the same program as docker-init. */
export function findInit(): string | undefined {
  const places = ["/usr/bin/tini-static", "/usr/bin/docker-init", "/usr/libexec/docker/docker-init", "/usr/local/bin/docker-init"];
  return places.find((place) => existsSync(place));
}

type Device = OciDevice & { readonly permissions: string };

/** The devices a container is given: those of its task definition (a directory means all devices in it), or all there are when it is privileged. */
export async function hostDevices(spec: Pick<ContainerSpec, "devices" | "privileged">): Promise<Device[]> {
  const found: Device[] = spec.privileged ? await devicesBelow("/dev", "/dev", "rwm") : [];
  for (const { hostPath, containerPath, permissions } of spec.devices) {
    const target = containerPath || hostPath;
    const info = await stat(hostPath).catch(() => undefined);
    const devices = info?.isDirectory() ? await devicesBelow(hostPath, target, permissions) : await device(hostPath, target, permissions);
    if (devices.length === 0)
      throw new Error(`error gathering device information while adding custom device "${hostPath}": no such file or directory`);
    found.push(...devices);
  }
  return [...new Map(found.map((entry) => [entry.path, entry])).values()];
}

/** Not the container's own: its terminals, its shared memory, and links into /proc. */
const skipped = new Set(["pts", "shm", "fd", "mqueue", "console", ".lxc", ".udev"]);

async function devicesBelow(directory: string, target: string, permissions: string): Promise<Device[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const nested = await Promise.all(
    entries.map(async (entry): Promise<Device[]> => {
      if (skipped.has(entry.name)) return [];
      const from = join(directory, entry.name);
      const to = join(target, entry.name);
      if (entry.isDirectory()) return devicesBelow(from, to, permissions);
      return entry.isCharacterDevice() || entry.isBlockDevice() ? device(from, to, permissions) : [];
    }),
  );
  return nested.flat();
}

async function device(from: string, to: string, permissions: string): Promise<Device[]> {
  const info = await stat(from).catch(() => undefined);
  if (!info || !(info.isCharacterDevice() || info.isBlockDevice())) return [];
  // The kernel's encoding of a device number (makedev(3)).
  const rdev = BigInt(info.rdev);
  const major = Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn));
  const minor = Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn));
  const type = info.isCharacterDevice() ? "c" : "b";
  return [{ path: to, type, major, minor, fileMode: info.mode & 0o7777, uid: info.uid, gid: info.gid, permissions: permissions || "rwm" }];
}
