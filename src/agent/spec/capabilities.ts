/** Linux capabilities in the kernel's order: the index is the bit. */
const all = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
];

/** What Docker, and so ECS, gives every container. */
const defaults = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FSETID",
  "FOWNER",
  "MKNOD",
  "NET_RAW",
  "SETGID",
  "SETUID",
  "SETFCAP",
  "SETPCAP",
  "NET_BIND_SERVICE",
  "SYS_CHROOT",
  "KILL",
  "AUDIT_WRITE",
];

export class UnknownCapability extends Error {}

/**
 * A container's capabilities as Docker works them out: `ALL` in `add` means all but those dropped, `ALL` in `drop` only those added.
 * Names with or without `CAP_`, in any case. `lastCapability` is the kernel's highest bit (/proc/sys/kernel/cap_last_cap).
 */
export function containerCapabilities(
  options: { readonly privileged: boolean; readonly add: readonly string[]; readonly drop: readonly string[] },
  lastCapability = all.length - 1,
): string[] {
  const known = all.slice(0, lastCapability + 1);
  const add = options.add.map(normalise);
  const drop = options.drop.map(normalise);
  let chosen: readonly string[];
  if (options.privileged) chosen = known;
  else if (add.includes("ALL")) chosen = known.filter((name) => !drop.includes(name));
  else if (drop.includes("ALL")) chosen = add;
  else
    chosen = [...defaults.filter((name) => !drop.includes(name)), ...add.filter((name) => !defaults.includes(name) || drop.includes(name))];
  return [...new Set(chosen)].filter((name) => known.includes(name)).map((name) => `CAP_${name}`);
}

function normalise(name: string): string {
  const upper = name.toUpperCase().replace(/^CAP_/, "");
  if (upper !== "ALL" && !all.includes(upper)) throw new UnknownCapability(`invalid capability: ${JSON.stringify(name)}`);
  return upper;
}
