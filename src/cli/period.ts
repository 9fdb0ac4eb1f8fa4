const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/**
 * A point in time: `24h`, `30m`, `7d`, `2w` before now, a day (`2026-11-01`, its first moment in UTC), or a date with a time (UTC where it names no
 * zone). Milliseconds since the epoch. Throws for anything else, naming the option.
 */
export function parseTime(option: string, text: string, now: number): number {
  const ago = /^(\d{1,6})([mhdw])$/.exec(text);
  if (ago) return now - Number(ago[1]) * unitMs[ago[2]!]!;
  const date = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  if (date) {
    const [, day = "", time = "00:00", zone = "Z"] = date;
    const at = Date.parse(`${day}T${time}${zone}`);
    // The 31st of a shorter month would become another day.
    const exists = new Date(`${day}T00:00Z`);
    if (!Number.isNaN(at) && at >= 0 && !Number.isNaN(exists.getTime()) && exists.toISOString().startsWith(day)) return at;
  }
  throw new Error(`${option} ${text}: give a day (2026-11-01), a time (2026-11-01T12:00) or how long ago (24h, 7d)`);
}
