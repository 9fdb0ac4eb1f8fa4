/**
 * The awslogs driver's multiline options: a line that matches begins a new event, all others belong to the event before.
 * Source: Docker, "Amazon CloudWatch Logs logging driver", awslogs-multiline-pattern and awslogs-datetime-format.
 */
export interface Grouped {
  /** Texts of the events that are complete, with the index behind the last line of each. */
  readonly events: readonly { readonly text: string; readonly lines: number }[];
  /** Lines that the events cover. The rest is an event that may go on. */
  readonly consumed: number;
}

/** `final`: the last event is complete too. */
export function groupLines(lines: readonly string[], begins: RegExp, longest: number, final: boolean): Grouped {
  const events: { text: string; lines: number }[] = [];
  let open: string[] = [];
  let size = 0;
  const close = (index: number) => {
    if (open.length > 0) events.push({ text: open.join("\n"), lines: index });
    open = [];
    size = 0;
  };
  for (const [index, line] of lines.entries()) {
    const bytes = Buffer.byteLength(line) + 1;
    if (begins.test(line) || size + bytes > longest) close(index);
    open.push(line);
    size += bytes;
  }
  if (final) close(lines.length);
  return { events, consumed: events.at(-1)?.lines ?? 0 };
}

const names = {
  days: "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
  shortDays: "Mon|Tue|Wed|Thu|Fri|Sat|Sun",
  months: "January|February|March|April|May|June|July|August|September|October|November|December",
  shortMonths: "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec",
};

const strftime: Readonly<Record<string, string>> = {
  A: `(?:${names.days})`,
  a: `(?:${names.shortDays})`,
  B: `(?:${names.months})`,
  b: `(?:${names.shortMonths})`,
  d: "(?:0[1-9]|[12]\\d|3[01])",
  f: "\\d{1,9}",
  H: "(?:[01]\\d|2[0-3])",
  I: "(?:0[1-9]|1[0-2])",
  j: "(?:[0-2]\\d\\d|3[0-5]\\d|36[0-6])",
  L: "\\.\\d{3}",
  M: "[0-5]\\d",
  m: "(?:0[1-9]|1[0-2])",
  p: "[AP]M",
  S: "[0-5]\\d",
  w: "[0-6]",
  Y: "\\d{4}",
  y: "\\d{2}",
  Z: "[A-Z]{1,4}T",
  z: "[+-]\\d{4}",
};

/** A strftime format as a pattern; an unknown code is an Error. */
export function datetimePattern(format: string): RegExp {
  const source = format.replace(/%(.)|[\\^$.*+?()[\]{}|]/g, (match, code: string | undefined) => {
    if (code === undefined) return `\\${match}`;
    if (code === "%") return "%";
    const pattern = strftime[code];
    if (!pattern) throw new Error(`awslogs-datetime-format: unknown code %${code}`);
    return pattern;
  });
  return new RegExp(source);
}
