import { compareNumbers } from "./dpkg.ts";

/** How rpm orders `[epoch:]version[-release]`. Source: RPM's manual, "Versioning". A release that one of the two does not name does not count. */
export function compareRpm(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  const byVersion = compareNumbers(left.epoch, right.epoch) || compareSegments(left.version, right.version);
  if (byVersion !== 0 || left.release === undefined || right.release === undefined) return byVersion;
  return compareSegments(left.release, right.release);
}

function partsOf(text: string): { readonly epoch: string; readonly version: string; readonly release: string | undefined } {
  const [, epoch = "0", rest = ""] = /^(?:(\d+):)?(.*)$/s.exec(text.trim())!;
  const dash = rest.lastIndexOf("-");
  return { epoch, version: dash < 0 ? rest : rest.slice(0, dash), release: dash < 0 ? undefined : rest.slice(dash + 1) };
}

/** Runs of digits, runs of letters, `~` (before everything, even the end) and `^` (behind the end, before all else); other characters only separate. */
export function compareSegments(a: string, b: string): number {
  const [left, right] = [segments(a), segments(b)];
  for (let i = 0; i < left.length || i < right.length; i++) {
    const [x, y] = [left[i], right[i]];
    if (x === y) continue;
    if (x === "~" || y === "~") return x === "~" ? -1 : 1;
    if (x === undefined) return -1;
    if (y === undefined) return 1;
    if (x === "^" || y === "^") return x === "^" ? -1 : 1;
    const [xNumber, yNumber] = [/^\d/.test(x), /^\d/.test(y)];
    if (xNumber !== yNumber) return xNumber ? 1 : -1;
    const difference = xNumber ? compareNumbers(x, y) : x < y ? -1 : 1;
    if (difference !== 0) return difference;
  }
  return 0;
}

const segments = (text: string): readonly string[] => text.match(/\d+|[A-Za-z]+|[~^]/g) ?? [];
