/** CPU units → memory in MiB: from, to, in steps of. Source: ECS Developer Guide, "Task CPU and memory" of Fargate. */
export const fargateSizes: Readonly<Record<number, readonly (readonly [from: number, to: number, step: number])[]>> = {
  256: [
    [512, 512, 512],
    [1024, 2048, 1024],
  ],
  512: [[1024, 4096, 1024]],
  1024: [[2048, 8192, 1024]],
  2048: [[4096, 16_384, 1024]],
  4096: [[8192, 30_720, 1024]],
  8192: [[16_384, 61_440, 4096]],
  16_384: [[32_768, 122_880, 8192]],
  32_768: [
    [61_440, 122_880, 61_440],
    [249_856, 249_856, 1024],
  ],
};

/** The smallest size of Fargate that has as much CPU and memory; undefined where none has. */
export function smallestFargateSize(cpu: number, memory: number): { readonly cpu: number; readonly memory: number } | undefined {
  for (const [text, ranges] of Object.entries(fargateSizes)) {
    const units = Number(text);
    if (units < cpu) continue;
    for (const [from, to, step] of ranges)
      if (memory <= to) return { cpu: units, memory: from + Math.max(0, Math.ceil((memory - from) / step)) * step };
  }
  return undefined;
}
