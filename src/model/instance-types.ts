/** Instance types with their true sizes. Source: Amazon EC2 Instance Types Guide, "Specifications": vCPUs, memory, processors, interfaces. */
export interface InstanceType {
  readonly name: string;
  readonly family: string;
  readonly vcpus: number;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly architecture: "x86_64" | "arm64";
  readonly burstable: boolean;
  readonly hypervisor: "xen" | "nitro";
  readonly manufacturer: "Intel" | "AMD" | "AWS";
  readonly clockGhz: number;
  readonly currentGeneration: boolean;
  readonly interfaces: number;
  readonly addresses: number;
  readonly network: string;
}

interface Family {
  readonly clock: number;
  readonly manufacturer: InstanceType["manufacturer"];
  readonly hypervisor?: "xen";
  /** Hardware threads are not two a core. */
  readonly single?: true;
  readonly old?: true;
  /** Size: vCPUs, GiB. */
  readonly sizes: Readonly<Record<string, readonly [vcpus: number, gib: number]>>;
}

const burst = { nano: [2, 0.5], micro: [2, 1], small: [2, 2], medium: [2, 4], large: [2, 8], xlarge: [4, 16], "2xlarge": [8, 32] } as const;
const t2 = { nano: [1, 0.5], micro: [1, 1], small: [1, 2], medium: [2, 4], large: [2, 8], xlarge: [4, 16], "2xlarge": [8, 32] } as const;

/** From large on each size doubles; `gib` for two vCPUs. */
const scaled = (gib: number, ...names: readonly string[]): Family["sizes"] =>
  Object.fromEntries(
    names.map((name) => {
      const factor = name === "medium" ? 0.5 : name === "large" ? 1 : 2 * Number(/^\d+/.exec(name)?.[0] ?? "1");
      return [name, [2 * factor, gib * factor] as const];
    }),
  );

const five = ["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"] as const;
const c5 = ["large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "12xlarge", "18xlarge", "24xlarge"] as const;
const six = [...five, "32xlarge"] as const;
const seven = [...five, "48xlarge"] as const;
const graviton = ["medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"] as const;

const families: Readonly<Record<string, Family>> = {
  t2: { clock: 2.3, manufacturer: "Intel", hypervisor: "xen", single: true, sizes: t2 },
  t3: { clock: 2.5, manufacturer: "Intel", sizes: burst },
  t3a: { clock: 2.2, manufacturer: "AMD", sizes: burst },
  t4g: { clock: 2.5, manufacturer: "AWS", sizes: burst },
  m4: {
    clock: 2.4,
    manufacturer: "Intel",
    hypervisor: "xen",
    old: true,
    sizes: scaled(8, "large", "xlarge", "2xlarge", "4xlarge", "10xlarge", "16xlarge"),
  },
  m5: { clock: 3.1, manufacturer: "Intel", sizes: scaled(8, ...five) },
  m5a: { clock: 2.5, manufacturer: "AMD", sizes: scaled(8, ...five) },
  m6a: { clock: 3.6, manufacturer: "AMD", sizes: scaled(8, ...seven, "32xlarge") },
  m6g: { clock: 2.5, manufacturer: "AWS", sizes: scaled(8, ...graviton) },
  m6i: { clock: 3.5, manufacturer: "Intel", sizes: scaled(8, ...six) },
  m7a: { clock: 3.7, manufacturer: "AMD", single: true, sizes: scaled(8, "medium", ...seven, "32xlarge") },
  m7g: { clock: 2.6, manufacturer: "AWS", sizes: scaled(8, ...graviton) },
  m7i: { clock: 3.2, manufacturer: "Intel", sizes: scaled(8, ...seven) },
  c5: { clock: 3.4, manufacturer: "Intel", sizes: scaled(4, ...c5) },
  c5a: { clock: 3.3, manufacturer: "AMD", sizes: scaled(4, ...five) },
  c6a: { clock: 3.6, manufacturer: "AMD", sizes: scaled(4, ...seven, "32xlarge") },
  c6g: { clock: 2.5, manufacturer: "AWS", sizes: scaled(4, ...graviton) },
  c6i: { clock: 3.5, manufacturer: "Intel", sizes: scaled(4, ...six) },
  c7g: { clock: 2.6, manufacturer: "AWS", sizes: scaled(4, ...graviton) },
  c7i: { clock: 3.2, manufacturer: "Intel", sizes: scaled(4, ...seven) },
  r5: { clock: 3.1, manufacturer: "Intel", sizes: scaled(16, ...five) },
  r5a: { clock: 2.5, manufacturer: "AMD", sizes: scaled(16, ...five) },
  r6a: { clock: 3.6, manufacturer: "AMD", sizes: scaled(16, ...seven, "32xlarge") },
  r6g: { clock: 2.5, manufacturer: "AWS", sizes: scaled(16, ...graviton) },
  r6i: { clock: 3.5, manufacturer: "Intel", sizes: scaled(16, ...six) },
  r7g: { clock: 2.6, manufacturer: "AWS", sizes: scaled(16, ...graviton) },
  r7i: { clock: 3.2, manufacturer: "Intel", sizes: scaled(16, ...seven) },
};

/** The largest number of interfaces and of addresses on each, by vCPUs. Source: the same, "Network specifications". */
function interfacesOf(family: Family, vcpus: number, size: string): readonly [number, number] {
  const small: Readonly<Record<string, readonly [number, number]>> = { nano: [2, 2], micro: [2, 2], small: [3, 4], medium: [3, 6] };
  if (small[size]) return family.manufacturer === "AWS" && size === "medium" && vcpus === 1 ? [2, 4] : small[size];
  return vcpus <= 2 ? [3, 10] : vcpus <= 8 ? [4, 15] : vcpus <= 48 ? [8, 30] : [15, 50];
}

function typeOf(familyName: string, family: Family, size: string, [vcpus, gib]: readonly [number, number]): InstanceType {
  const single = family.single === true || family.manufacturer === "AWS";
  const [interfaces, addresses] = interfacesOf(family, vcpus, size);
  const burstable = familyName.startsWith("t");
  return {
    name: `${familyName}.${size}`,
    family: familyName,
    vcpus,
    cores: single ? vcpus : Math.max(1, vcpus / 2),
    memoryMiB: gib * 1024,
    architecture: family.manufacturer === "AWS" ? "arm64" : "x86_64",
    burstable,
    hypervisor: family.hypervisor ?? "nitro",
    manufacturer: family.manufacturer,
    clockGhz: family.clock,
    currentGeneration: family.old !== true,
    interfaces,
    addresses,
    network: burstable ? (familyName === "t2" ? "Low to Moderate" : "Up to 5 Gigabit") : vcpus < 32 ? "Up to 12.5 Gigabit" : "12.5 Gigabit",
  };
}

export const instanceTypes: ReadonlyMap<string, InstanceType> = new Map(
  Object.entries(families).flatMap(([name, family]) =>
    Object.entries(family.sizes).map(([size, numbers]) => [`${name}.${size}`, typeOf(name, family, size, numbers)] as const),
  ),
);

/** What an instance is started from: all are the same here, this machine's own system seen as an ECS-optimized image. */
export interface MachineImage {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly architecture: "x86_64" | "arm64";
  readonly createdAt: string;
}

const created = "2025-01-01T00:00:00.000Z";

export const machineImages: readonly MachineImage[] = [
  {
    id: "ami-0ec5000000000a001",
    name: "al2023-ami-ecs-hvm-2023.0.20250101-kernel-6.1-x86_64",
    description: "Amazon Linux AMI 2023.0.20250101 x86_64 ECS HVM EBS",
    architecture: "x86_64",
    createdAt: created,
  },
  {
    id: "ami-0ec5000000000a002",
    name: "al2023-ami-ecs-hvm-2023.0.20250101-kernel-6.1-arm64",
    description: "Amazon Linux AMI 2023.0.20250101 arm64 ECS HVM EBS",
    architecture: "arm64",
    createdAt: created,
  },
  {
    id: "ami-0ec5000000000a003",
    name: "amzn2-ami-ecs-hvm-2.0.20250101-x86_64-ebs",
    description: "Amazon Linux AMI 2.0.20250101 x86_64 ECS HVM GP2",
    architecture: "x86_64",
    createdAt: created,
  },
];
