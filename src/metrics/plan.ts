import { levels } from "#model/metrics/resolution.ts";
import type { BlockName } from "./block.ts";

/** How much time one file spans at each step: each is a whole number of the one before, so that what is rolled up lands in one partition. */
const spans: Readonly<Record<number, number>> = { 1: 3 * 3600, 60: 86_400, 300: 7 * 86_400, 3600: 28 * 86_400 };

/** So many files of one partition are worth making one of; fewer when its time is over. */
const tooMany = 8;
const tooManyOld = 3;

export interface Partition {
  readonly step: number;
  readonly start: number;
  readonly end: number;
}

export function partitionOf(step: number, slot: number): Partition {
  const span = spans[step]!;
  const start = Math.floor(slot / span) * span;
  return { step, start, end: start + span };
}

/** Replace `inputs` with one block of `into`, or with nothing. */
export interface Job<B extends BlockName = BlockName> {
  readonly inputs: readonly B[];
  readonly into: Partition | undefined;
}

/** What is to be done with the blocks at `now` (seconds): forget, roll up, make one of many; the most urgent, or nothing. Pure. */
export function nextJob<B extends BlockName>(blocks: readonly B[], now: number): Job<B> | undefined {
  const partitions = Map.groupBy(blocks, ({ step, start }) => `${step}/${start}`);
  const groups = [...partitions.values()];
  for (const inputs of groups) {
    const { step, start, end } = inputs[0]!;
    const at = levels.findIndex((level) => level.step === step);
    if (end + levels[at]!.keep >= now) continue;
    const next = levels[at + 1];
    return { inputs, into: next && partitionOf(next.step, start) };
  }
  for (const inputs of groups) {
    const { step, start, end } = inputs[0]!;
    if (inputs.length >= (end + 3600 < now ? tooManyOld : tooMany)) return { inputs, into: { step, start, end } };
  }
  return undefined;
}
