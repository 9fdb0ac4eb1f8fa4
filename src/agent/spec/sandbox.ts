import type { SandboxSpec } from "#agent/runtime.ts";
import type { OciSpec } from "./oci.ts";

/** By these, Kubernetes' own, gVisor, Kata and others know which containers share a sandbox. */
export function sandboxAnnotations(kind: "sandbox" | "container", sandbox: string): Record<string, string> {
  return { "io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": sandbox };
}

export const inSandbox = ({ annotations }: OciSpec): boolean => annotations["io.kubernetes.cri.container-type"] !== undefined;

/** The sandbox's first container: a process that only sleeps (src/agent/sandbox/pause.ts), and the task's limits, by which the sandbox sizes itself. Pure. */
export function buildSandboxSpec(spec: SandboxSpec, pauseRoot: string): OciSpec {
  const memory = spec.memoryMiB === undefined ? {} : { limit: spec.memoryMiB * 1024 * 1024 };
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 65534, gid: 65534, additionalGids: [] },
      args: ["/pause"],
      env: ["PATH=/"],
      cwd: "/",
      capabilities: { bounding: [], effective: [], permitted: [] },
      rlimits: [],
      noNewPrivileges: true,
      oomScoreAdj: 0,
    },
    root: { path: pauseRoot, readonly: true },
    hostname: spec.hostname,
    mounts: [{ destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] }],
    annotations: { "io.containerd.runc.v2.group": spec.group, ...sandboxAnnotations("sandbox", spec.id) },
    linux: {
      cgroupsPath: `${spec.cgroupParent}/${spec.id}`,
      namespaces: [{ type: "mount" }, { type: "uts" }, { type: "ipc" }, { type: "pid" }, { type: "network", path: spec.network.namespace }],
      resources: { devices: [{ allow: false, access: "rwm" }], cpu: { shares: 1024 }, memory },
      sysctl: {},
      devices: [],
      maskedPaths: [],
      readonlyPaths: [],
    },
  };
}
