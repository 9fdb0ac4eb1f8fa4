import { compareNumbers } from "./dpkg.ts";

/** Before a version without a suffix, then behind it. */
const before = ["alpha", "beta", "pre", "rc"];
const behind = ["cvs", "svn", "git", "hg", "p"];

/** What a version goes on with, in the order in which they count: a version that ends there is older than one that goes on. */
const kinds = { revision: 1, suffix: 2, letter: 3, number: 4 } as const;
type Part = { readonly kind: keyof typeof kinds; readonly text: string };

/**
 * How apk orders versions: `1.2.3a_rc1-r4`. Source: Alpine Package Keeper, apk-package(5), "Package versions". Negative: `a` is older than `b`.
 * What apk calls invalid is older than every version, and ordered by its text.
 */
export function compareApk(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  if (!left || !right) return left ? 1 : right ? -1 : a < b ? -1 : a > b ? 1 : 0;
  for (let i = 0; i < left.length || i < right.length; i++) {
    const [x, y] = [left[i], right[i]];
    const difference = x && y && x.kind === y.kind ? compareParts(x, y, i) : weightOf(x) - weightOf(y);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A version that goes on is newer, but for the suffixes that come before; of two that go on, the one with the higher part. */
function weightOf(part: Part | undefined): number {
  if (!part) return 0;
  return part.kind === "suffix" && before.includes(nameOf(part)) ? -1 : kinds[part.kind];
}

function compareParts(x: Part, y: Part, index: number): number {
  switch (x.kind) {
    case "number":
      return compareComponents(x.text, y.text, index === 0);
    case "letter":
      return x.text < y.text ? -1 : x.text > y.text ? 1 : 0;
    case "suffix":
      return rankOf(x) - rankOf(y) || compareNumbers(numberOf(x), numberOf(y));
    case "revision":
      return compareNumbers(numberOf(x), numberOf(y));
  }
}

/** Behind a point a leading zero makes it a fraction: 1.01 is older than 1.1, and 1.010 is newer than 1.01. */
function compareComponents(x: string, y: string, first: boolean): number {
  if (first || (!x.startsWith("0") && !y.startsWith("0"))) return compareNumbers(x, y);
  return x < y ? -1 : x > y ? 1 : 0;
}

const nameOf = ({ text }: Part) => /^[a-z]*/.exec(text)![0];
const numberOf = ({ text }: Part) => /\d*$/.exec(text)![0];
const rankOf = (part: Part) => {
  const name = nameOf(part);
  return before.includes(name) ? before.indexOf(name) - before.length : behind.indexOf(name) + 1;
};

function partsOf(version: string): readonly Part[] | undefined {
  const match = /^(\d+(?:\.\d+)*)([a-z])?((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?$/.exec(version);
  if (!match) return undefined;
  const [, numbers = "", letter, suffixes = "", revision] = match;
  return [
    ...numbers.split(".").map((text): Part => ({ kind: "number", text })),
    ...(letter === undefined ? [] : [{ kind: "letter", text: letter } as const]),
    ...suffixes
      .split("_")
      .slice(1)
      .map((text): Part => ({ kind: "suffix", text })),
    ...(revision === undefined ? [] : [{ kind: "revision", text: revision } as const]),
  ];
}
