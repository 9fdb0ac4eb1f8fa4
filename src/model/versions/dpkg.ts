/**
 * How dpkg orders versions. Source: Debian Policy Manual, 5.6.12 "Version".
 * Negative: `a` is older than `b`. Any text is a version; what dpkg would refuse is ordered somehow, always the same way.
 */
export function compareDpkg(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  return (
    compareNumbers(left.epoch, right.epoch) || compareText(left.upstream, right.upstream) || compareText(left.revision, right.revision)
  );
}

function partsOf(version: string): { readonly epoch: string; readonly upstream: string; readonly revision: string } {
  const text = version.trim();
  const colon = text.indexOf(":");
  const rest = text.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? "0" : text.slice(0, colon),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Text and number by turns, each as long as it goes on. */
function compareText(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const difference = orderOf(a[i]) - orderOf(b[j]);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    const [from, to] = [i, j];
    while (isDigit(a[i])) i++;
    while (isDigit(b[j])) j++;
    const difference = compareNumbers(a.slice(from, i), b.slice(to, j));
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `~` before the end, the end (and a number) before letters, letters before all else. */
function orderOf(character: string | undefined): number {
  if (character === undefined || isDigit(character)) return 0;
  if (character === "~") return -1;
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
}

export const isDigit = (character: string | undefined) => character !== undefined && character >= "0" && character <= "9";

/** Decimal numbers of any length; the empty one is 0. */
export function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : 0);
}
