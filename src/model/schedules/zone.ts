/**
 * Local time and UTC. Node's own tables of IANA zones, which neither tell the time nor change while a process runs: a pure function of what is
 * given. A local time is written as the milliseconds of the same numbers in UTC.
 */

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat | undefined {
  if (!formats.has(zone)) {
    let format: Intl.DateTimeFormat | undefined;
    try {
      const numeric = "numeric" as const;
      format = new Intl.DateTimeFormat("en-US", {
        timeZone: zone,
        hourCycle: "h23",
        ...{ year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric },
      });
    } catch {
      // No such zone.
    }
    // Names come from requests, in any mix of cases: what is kept of them has a limit.
    if (!format) return undefined;
    if (formats.size >= 1000) formats.clear();
    formats.set(zone, format);
  }
  return formats.get(zone);
}

/** An IANA name (`Europe/Berlin`, `UTC`, `Etc/GMT+9`), not a bare offset. */
export function isTimeZone(zone: string): boolean {
  return /^[A-Za-z]/.test(zone) && formatOf(zone) !== undefined;
}

export function localOf(utc: number, zone: string): number {
  if (zone === "UTC") return utc;
  const format = formatOf(zone);
  if (!format) throw new RangeError(`${zone} is no time zone`);
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(utc)) parts[type] = Number(value);
  const whole = Date.UTC(parts["year"]!, parts["month"]! - 1, parts["day"], parts["hour"], parts["minute"], parts["second"]);
  return whole + (((utc % 1000) + 1000) % 1000);
}

const dayMs = 86_400_000;

/** The first moment that has this local time. None where the clocks are put forward over it. */
export function utcOf(local: number, zone: string): number | undefined {
  if (zone === "UTC") return local;
  const [before, after] = [local - dayMs, local + dayMs].map((near) => local - (localOf(near, zone) - near)) as [number, number];
  return [Math.min(before, after), Math.max(before, after)].find((utc) => localOf(utc, zone) === local);
}

/** As `utcOf`; a time that is left out is as far after the change as it was to be after the change's local time. */
export function utcOrShifted(local: number, zone: string): number {
  return utcOf(local, zone) ?? local - (localOf(local - dayMs, zone) - (local - dayMs));
}
