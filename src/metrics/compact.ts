import { type Point, rollUp } from "#model/metrics/roll-up.ts";
import { type Block, BlockWriter } from "./block.ts";

/** Writes all points of `inputs` as one block of `step`, one series at a time: memory is that of one series. False: there was nothing to write. */
export async function compact(inputs: readonly Block[], path: string, step: number): Promise<void> {
  const all = new Set<number>();
  for (const block of inputs) for (const [series] of block.series()) all.add(series);
  const writer = await BlockWriter.create(path, step);
  try {
    for (const series of [...all].sort((a, b) => a - b)) {
      const parts = await Promise.all(inputs.map((block) => block.read(series)));
      await writer.add(series, together(parts, step, inputs[0]!.name.step));
    }
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** Points of several sources of one step, ascending, those of one slot added up. Pure. */
export function together(parts: readonly (readonly Point[])[], step: number, from: number): readonly Point[] {
  const points = parts.flat();
  if (step === from) {
    points.sort((a, b) => a.slot - b.slot);
    if (points.every((point, i) => i === 0 || point.slot > points[i - 1]!.slot)) return points;
  }
  return rollUp(points, step);
}
