/** Units of CPU and memory at the task level. Source: ECS API Reference, RegisterTaskDefinition, `cpu` and `memory`. Pure. */

/** `512`, `0.5 GB`, `1GB` → MiB; NaN for anything else. */
export function memoryMiB(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d*\.?\d+)\s*(gb)?$/i.exec(text.trim());
  return match ? Number(match[1]) * (match[2] ? 1024 : 1) : Number.NaN;
}

/** `256`, `.25 vCPU`, `1 vcpu` → CPU units; NaN for anything else. */
export function cpuUnits(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d*\.?\d+)\s*(vcpus?)?$/i.exec(text.trim());
  return match ? Number(match[1]) * (match[2] ? 1024 : 1) : Number.NaN;
}
