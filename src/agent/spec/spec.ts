import type { ContainerSpec } from "#agent/runtime.ts";
import { containerCapabilities } from "./capabilities.ts";
import { containerMounts } from "./mounts.ts";
import type { OciDevice, OciMount, OciSpec, OciUser } from "./oci.ts";
import { sandboxAnnotations } from "./sandbox.ts";
import { defaultSeccomp } from "./seccomp.ts";

/** What the machine contributes to a container's configuration; read by the runtime, so that the builder stays pure. */
export interface HostFacts {
  readonly cgroupVersion: 1 | 2;
  /** Whether the kernel accounts swap, without which a swap limit is refused. */
  readonly swapAccounting: boolean;
  /** A bit for each capability that a container here can have. */
  readonly capabilities: bigint;
  readonly architecture: string;
  readonly hostname: string;
  /** The most open files that a process of this machine may be allowed. */
  readonly maxOpenFiles: number;
  /** Runtime handles seccomp (runc does; gVisor has its own). */
  readonly seccomp: boolean;
}

export interface SpecInput {
  readonly spec: ContainerSpec;
  readonly user: OciUser;
  readonly host: HostFacts;
  /** Resolved from `spec.devices`, or every device of the machine for a privileged container. */
  readonly devices: readonly (OciDevice & { readonly permissions: string })[];
  /** Directories for the image's volumes that no mount of the container covers. */
  readonly imageVolumes: readonly { readonly source: string; readonly target: string; readonly readOnly?: boolean }[];
  /** A static init on the machine, for `initProcess`. */
  readonly initBinary: string | undefined;
}

export class InvalidSpec extends Error {}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const mebibyte = 1024 * 1024;
const initPath = "/sbin/docker-init";
/** Docker's default on the ECS-optimized AMI. */
const defaultLimits = [{ name: "nofile", soft: 32768, hard: 65536 }];

const maskedPaths = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** The OCI configuration of a container: Docker's defaults, changed by the task definition's settings. Throws InvalidSpec, UnknownCapability. */
export function buildSpec(input: SpecInput): OciSpec {
  const { spec, user, host } = input;
  const capabilities = containerCapabilities({ privileged: spec.privileged, ...spec.capabilities }, host.capabilities);
  const ofRoot = user.uid === 0 ? capabilities : [];
  const hostNetwork = spec.network === "host";
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user,
      args: processArgs(input),
      env: environment(spec, hostNetwork ? host.hostname : (spec.hostname ?? spec.id.slice(0, 12))),
      cwd: spec.workingDirectory || spec.image.config.workingDir || "/",
      // As Docker does: the process of a user other than root starts without, and may only get what a setuid program brings.
      capabilities: { bounding: capabilities, effective: ofRoot, permitted: ofRoot },
      rlimits: rlimits(spec.ulimits, host),
      noNewPrivileges: false,
      oomScoreAdj: 0,
    },
    root: { path: "rootfs", readonly: spec.readonlyRootFilesystem },
    hostname: hostNetwork ? host.hostname : (spec.hostname ?? spec.id.slice(0, 12)),
    mounts: containerMounts(spec, extraMounts(input)),
    annotations: { "io.containerd.runc.v2.group": spec.group, ...placeInSandbox(spec) },
    linux: {
      // In a sandbox the sandbox's own is the only one.
      ...(spec.sandbox ? {} : { cgroupsPath: `${spec.cgroupParent}/${spec.id}` }),
      namespaces: namespaces(spec, host),
      resources: {
        devices: deviceRules(input),
        cpu: { shares: Math.max(2, Math.min(262144, spec.cpuShares)) },
        memory: memory(spec, host),
      },
      sysctl: { ...(hostNetwork ? {} : networkSysctls), ...spec.sysctls },
      devices: input.devices.map(({ path, type, major, minor, fileMode, uid, gid }) => ({ path, type, major, minor, fileMode, uid, gid })),
      maskedPaths: spec.privileged ? [] : maskedPaths,
      readonlyPaths: spec.privileged ? [] : readonlyPaths,
      ...(spec.privileged || !host.seccomp ? {} : { seccomp: defaultSeccomp(capabilities, host.architecture) }),
    },
  };
}

/** gVisor makes a sandbox of its own for a container that names no other's. */
function placeInSandbox({ id, sandbox, runtime }: ContainerSpec): Record<string, string> {
  if (sandbox !== undefined) return sandboxAnnotations("container", sandbox);
  return runtime.name === "runsc" ? sandboxAnnotations("sandbox", id) : {};
}

/** Docker's since 20.10: ports below 1024 and ping need no capability inside a network of one's own. */
const networkSysctls = { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };

function processArgs({ spec, initBinary }: SpecInput): string[] {
  const { entrypoint, cmd } = spec.image.config;
  // An entry point of the container's own makes the image's command meaningless, so Docker drops it.
  const command = spec.command ?? (spec.entryPoint ? [] : cmd);
  const args = [...(spec.entryPoint ?? entrypoint), ...command];
  if (args.length === 0) throw new InvalidSpec("no command specified");
  if (!spec.initProcess) return args;
  if (!initBinary) throw new InvalidSpec("initProcessEnabled needs a static init on the machine: install Debian's package tini");
  return [initPath, "--", ...args];
}

function environment(spec: ContainerSpec, hostname: string): string[] {
  const values = new Map<string, string>();
  for (const entry of [defaultPath, `HOSTNAME=${hostname}`, ...spec.image.config.env]) {
    const equals = entry.indexOf("=");
    values.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  for (const [name, value] of Object.entries(spec.environment)) values.set(name, value);
  const secret = Object.keys(spec.secretEnvironment ?? {});
  for (const name of secret) values.delete(name);
  const open = [...values].map(([name, value]) => `${name}=${value}`);
  // In its place src/agent/secrets/environment.sh puts the secrets.
  return secret.length > 0 ? [...open, `GANTRY_SECRETS=${spec.id}`] : open;
}

function rlimits(ulimits: ContainerSpec["ulimits"], host: HostFacts): OciSpec["process"]["rlimits"] {
  const possible = defaultLimits.map(({ name, soft, hard }) => ({
    name,
    soft: Math.min(soft, host.maxOpenFiles),
    hard: Math.min(hard, host.maxOpenFiles),
  }));
  const own = new Map([...possible, ...ulimits].map((limit) => [limit.name.toLowerCase().replace(/^rlimit_/, ""), limit]));
  return [...own].map(([name, { soft, hard }]) => ({ type: `RLIMIT_${name.toUpperCase()}`, soft: unlimited(soft), hard: unlimited(hard) }));
}

/** -1 is "unlimited" to Docker; the specification wants the kernel's RLIM_INFINITY, which a double cannot hold: runc clamps the nearest one below. */
function unlimited(value: number): number {
  return value < 0 ? Number.MAX_SAFE_INTEGER : value;
}

function extraMounts({ spec, imageVolumes, initBinary }: SpecInput): OciMount[] {
  const mounts: OciMount[] = [];
  if (spec.initProcess && initBinary) {
    mounts.push({ destination: initPath, type: "bind", source: initBinary, options: ["bind", "ro", "rprivate"] });
  }
  for (const { source, target, readOnly } of imageVolumes)
    mounts.push({ destination: target, type: "bind", source, options: ["rbind", readOnly ? "ro" : "rw", "rprivate"] });
  return mounts;
}

function namespaces(spec: ContainerSpec, host: HostFacts): { type: string; path?: string }[] {
  const list: { type: string; path?: string }[] = [{ type: "mount" }, { type: "uts" }];
  const shared = (type: string, value: "host" | { readonly path: string } | undefined) => {
    if (value === "host") return;
    list.push(value ? { type, path: value.path } : { type });
  };
  shared("ipc", spec.ipcNamespace);
  shared("pid", spec.pidNamespace);
  shared("network", spec.network === "host" ? "host" : { path: spec.network.namespace });
  if (host.cgroupVersion === 2 && !spec.privileged) list.push({ type: "cgroup" });
  return list;
}

function deviceRules({ spec, devices }: SpecInput): OciSpec["linux"]["resources"]["devices"] {
  if (spec.privileged) return [{ allow: true, access: "rwm" }];
  // runc itself allows null, zero, full, random, urandom, tty, ptmx and pts beside what stands here.
  return [
    { allow: false, access: "rwm" },
    ...devices.map(({ type, major, minor, permissions }) => ({ allow: true, access: permissions, type, major, minor })),
  ];
}

function memory(spec: ContainerSpec, host: HostFacts): OciSpec["linux"]["resources"]["memory"] {
  const limit = spec.memoryMiB === undefined ? undefined : spec.memoryMiB * mebibyte;
  const reservation = spec.memoryReservationMiB === undefined ? undefined : spec.memoryReservationMiB * mebibyte;
  const resources: OciSpec["linux"]["resources"]["memory"] = {};
  if (limit !== undefined) resources.limit = limit;
  if (reservation !== undefined) resources.reservation = reservation;
  if (limit !== undefined && host.swapAccounting) {
    // `swap` is memory and swap together. Docker's default is as much swap again as memory.
    const max = spec.swap?.maxMiB;
    resources.swap = max === undefined ? limit * 2 : limit + max * mebibyte;
  }
  if (spec.swap?.swappiness !== undefined && host.cgroupVersion === 1) resources.swappiness = spec.swap.swappiness;
  return resources;
}
