import type { Bundle } from "#model/metrics/bundle.ts";
import { bundleOf, isSimple } from "#model/metrics/bundle.ts";
import type { Point } from "#model/metrics/roll-up.ts";
import { type ByteReader, ByteWriter } from "./bytes.ts";
import { readColumn, writeColumn } from "./column.ts";

/**
 * The points of one series and one step, ascending by slot, in columns:
 *   number of points; their slots as runs (gap to the last run's end, length); whether all are single values;
 *   the single values, or else a byte for each point and columns of the rest.
 */
const simple = 0;
const statistics = 1;
const distribution = 2;

export function writeChunk(out: ByteWriter, step: number, points: readonly Point[]): void {
  out.varint(points.length);
  writeSlots(out, step, points);
  const kinds = points.map(({ bundle }) => kindOf(bundle));
  if (kinds.every((kind) => kind === simple)) {
    out.byte(0);
    writeColumn(
      out,
      points.map(({ bundle }) => bundle.sum),
    );
    return;
  }
  out.byte(1);
  for (const kind of kinds) out.byte(kind);
  const of = (...wanted: number[]) => points.filter((_, i) => wanted.includes(kinds[i]!)).map(({ bundle }) => bundle);
  const rest = of(statistics, distribution);
  writeColumn(
    out,
    of(simple).map(({ sum }) => sum),
  );
  for (const member of ["count", "sum", "min", "max"] as const)
    writeColumn(
      out,
      rest.map((bundle) => bundle[member]),
    );
  const spread = of(distribution);
  for (const { values } of spread) out.varint(values!.length);
  writeColumn(
    out,
    spread.flatMap(({ values }) => values!),
  );
  writeColumn(
    out,
    spread.flatMap(({ counts }) => counts!),
  );
}

export function readChunk(input: ByteReader, step: number): Point[] {
  const length = input.varint();
  const slots = readSlots(input, step, length);
  if (input.byte() === 0) {
    const values = readColumn(input, length);
    return slots.map((slot, i) => ({ slot, bundle: bundleOf(values[i]!) }));
  }
  const kinds = [...input.bytes(length)];
  const amount = (kind: number) => kinds.reduce((sum, each) => sum + (each === kind ? 1 : 0), 0);
  const singles = readColumn(input, amount(simple));
  const rest = length - singles.length;
  const [count, sum, min, max] = [0, 1, 2, 3].map(() => readColumn(input, rest)) as [number[], number[], number[], number[]];
  const sizes = Array.from({ length: amount(distribution) }, () => input.varint());
  const total = sizes.reduce((all, size) => all + size, 0);
  const values = readColumn(input, total);
  const counts = readColumn(input, total);
  let [single, other, spread, at] = [0, 0, 0, 0];
  return slots.map((slot, i) => {
    if (kinds[i] === simple) return { slot, bundle: bundleOf(singles[single++]!) };
    const bundle: Bundle = {
      count: count[other]!,
      sum: sum[other]!,
      min: min[other]!,
      max: max[other]!,
      values: undefined,
      counts: undefined,
    };
    other += 1;
    if (kinds[i] === statistics) return { slot, bundle };
    const end = at + sizes[spread++]!;
    const known = { ...bundle, values: values.slice(at, end), counts: counts.slice(at, end) };
    at = end;
    return { slot, bundle: known };
  });
}

const kindOf = (bundle: Bundle) => (isSimple(bundle) ? simple : bundle.values ? distribution : statistics);

function writeSlots(out: ByteWriter, step: number, points: readonly Point[]): void {
  const runs: [gap: number, length: number][] = [];
  let next = 0;
  for (const { slot } of points) {
    const index = slot / step;
    if (index === next && runs.length > 0) runs.at(-1)![1] += 1;
    else runs.push([index - next, 1]);
    next = index + 1;
  }
  out.varint(runs.length);
  for (const [gap, length] of runs) {
    out.varint(gap);
    out.varint(length);
  }
}

function readSlots(input: ByteReader, step: number, length: number): number[] {
  const slots: number[] = [];
  let next = 0;
  for (let runs = input.varint(); runs > 0; runs--) {
    next += input.varint();
    for (let left = input.varint(); left > 0; left--) slots.push(next++ * step);
  }
  if (slots.length !== length) throw new RangeError("the slots of a chunk do not add up");
  return slots;
}

/** One point on its own, as the log of what is not yet in a block holds it. */
export function writePoint(out: ByteWriter, slot: number, bundle: Bundle): void {
  const kind = kindOf(bundle);
  out.byte(kind);
  out.varint(slot);
  if (kind === simple) {
    out.double(bundle.sum);
    return;
  }
  for (const value of [bundle.count, bundle.sum, bundle.min, bundle.max]) out.double(value);
  if (kind === statistics) return;
  out.varint(bundle.values!.length);
  bundle.values!.forEach((value, i) => {
    out.double(value);
    out.double(bundle.counts![i]!);
  });
}

export function readPoint(input: ByteReader): Point {
  const kind = input.byte();
  const slot = input.varint();
  if (kind === simple) return { slot, bundle: bundleOf(input.double()) };
  const [count, sum, min, max] = [input.double(), input.double(), input.double(), input.double()];
  if (kind === statistics) return { slot, bundle: { count, sum, min, max, values: undefined, counts: undefined } };
  const values: number[] = [];
  const counts: number[] = [];
  for (let left = input.varint(); left > 0; left--) {
    values.push(input.double());
    counts.push(input.double());
  }
  return { slot, bundle: { count, sum, min, max, values, counts } };
}
