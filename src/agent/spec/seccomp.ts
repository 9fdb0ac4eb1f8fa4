import type { OciSeccomp } from "./oci.ts";
import { allowedSyscalls } from "./seccomp-syscalls.ts";

const ENOSYS = 38;
const EPERM = 1;
/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET: no namespaces for the unprivileged. */
const namespaceFlags = 0x7e020000;
/** personality(2): PER_LINUX, PER_LINUX32, ADDR_NO_RANDOMIZE's neighbours, and the query. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** What a capability opens beyond the list. */
const byCapability: Record<string, readonly string[]> = {
  CAP_DAC_READ_SEARCH: ["open_by_handle_at"],
  CAP_SYS_ADMIN: [
    "bpf",
    "clone",
    "clone3",
    "fanotify_init",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "name_to_handle_at",
    "open_tree",
    "perf_event_open",
    "quotactl",
    "quotactl_fd",
    "setdomainname",
    "sethostname",
    "setns",
    "syslog",
    "umount",
    "umount2",
    "unshare",
  ],
  CAP_SYS_BOOT: ["reboot"],
  CAP_SYS_CHROOT: ["chroot"],
  CAP_SYS_MODULE: ["delete_module", "init_module", "finit_module"],
  CAP_SYS_PACCT: ["acct"],
  CAP_SYS_PTRACE: ["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev"],
  CAP_SYS_RAWIO: ["iopl", "ioperm"],
  CAP_SYS_TIME: ["settimeofday", "stime", "clock_settime", "clock_settime64"],
  CAP_SYS_TTY_CONFIG: ["vhangup"],
  CAP_SYS_NICE: ["get_mempolicy", "mbind", "set_mempolicy"],
  CAP_SYSLOG: ["syslog"],
  CAP_BPF: ["bpf"],
  CAP_PERFMON: ["perf_event_open"],
};

const byArchitecture: Record<string, { readonly architectures: string[]; readonly syscalls: readonly string[] }> = {
  x64: { architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], syscalls: ["arch_prctl", "modify_ldt"] },
  arm64: {
    architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    syscalls: ["arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"],
  },
};

/** Docker's default profile for a container with these capabilities: what is not allowed fails with EPERM. */
export function defaultSeccomp(capabilities: readonly string[], architecture: string = process.arch): OciSeccomp {
  const own = byArchitecture[architecture];
  const opened = capabilities.flatMap((capability) => byCapability[capability] ?? []);
  const allow = "SCMP_ACT_ALLOW";
  const syscalls: OciSeccomp["syscalls"] = [{ names: [...allowedSyscalls, ...(own?.syscalls ?? []), ...new Set(opened)], action: allow }];
  for (const value of personalities)
    syscalls.push({ names: ["personality"], action: allow, args: [{ index: 0, value, op: "SCMP_CMP_EQ" }] });
  if (!capabilities.includes("CAP_SYS_ADMIN")) {
    const args = [{ index: 0, value: namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }];
    syscalls.push({ names: ["clone"], action: allow, args });
    // glibc falls back from clone3, whose flags a filter cannot see, to clone only on ENOSYS.
    syscalls.push({ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS });
  }
  return { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: EPERM, architectures: own?.architectures ?? [], syscalls };
}
