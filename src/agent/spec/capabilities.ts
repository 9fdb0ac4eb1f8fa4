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
 * Names with or without `CAP_`, in any case. `available` has a bit for each capability that this machine can give (CapBnd of
 * our own process): "all" means all of those.
 */
export function containerCapabilities(
  options: { readonly privileged: boolean; readonly add: readonly string[]; readonly drop: readonly string[] },
  available = (1n << BigInt(all.length)) - 1n,
): string[] {
  const possible = all.filter((_, bit) => ((available >> BigInt(bit)) & 1n) === 1n);
  const add = options.add.map(normalise);
  const drop = options.drop.map(normalise);
  let chosen: readonly string[];
  if (options.privileged) chosen = possible;
  else if (add.includes("ALL")) chosen = possible.filter((name) => !drop.includes(name));
  else if (drop.includes("ALL")) chosen = add;
  else chosen = [...defaults.filter((name) => !drop.includes(name)), ...add];
  return [...new Set(chosen)].map((name) => `CAP_${name}`);
}

function normalise(name: string): string {
  const upper = name.toUpperCase().replace(/^CAP_/, "");
  if (upper !== "ALL" && !all.includes(upper)) throw new UnknownCapability(`invalid capability: ${JSON.stringify(name)}`);
  return upper;
}
