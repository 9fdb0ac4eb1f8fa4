/** Turning a stream's bytes into lines. Pure. */
export interface Cut {
  /** Without their line ends. */
  readonly lines: readonly Line[];
  /** Bytes of the input that the lines cover, line ends included. The rest is the beginning of a line still being written. */
  readonly consumed: number;
}

export interface Line {
  readonly text: string;
  /** Bytes from the beginning of the input to the end of this line, line end included. */
  readonly end: number;
  /** The line goes on in the next one: it was longer than `longest`. */
  readonly partial: boolean;
}

/** Lines of `bytes`; one longer than `longest` bytes comes in pieces, cut between characters. `final`: what has no line end yet is a line too. */
export function cutLines(bytes: Buffer, longest: number, final: boolean): Cut {
  const lines: Line[] = [];
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline;
    if (end - start > longest) {
      const cut = characterBoundary(bytes, start + longest);
      lines.push({ text: bytes.toString("utf8", start, cut), end: cut, partial: true });
      start = cut;
      continue;
    }
    if (newline === -1) {
      if (!final) break;
      lines.push({ text: bytes.toString("utf8", start, end), end, partial: true });
      start = end;
      break;
    }
    lines.push({ text: bytes.toString("utf8", start, end), end: newline + 1, partial: false });
    start = newline + 1;
  }
  return { lines, consumed: start };
}

/** The last place at or before `at` where no UTF-8 character is cut. */
function characterBoundary(bytes: Buffer, at: number): number {
  let cut = at;
  while (cut > at - 4 && ((bytes[cut] ?? 0) & 0xc0) === 0x80) cut--;
  return ((bytes[cut] ?? 0) & 0xc0) === 0x80 ? at : cut;
}
