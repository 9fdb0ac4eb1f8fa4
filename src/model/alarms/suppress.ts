import type { AlarmStateValue, CompositeAlarmRule, Suppressed } from "./records.ts";

export interface SuppressFacts {
  readonly rule: CompositeAlarmRule;
  /** Whether the suppressor is in ALARM; it counts as not, when it is gone. */
  readonly suppressing: boolean;
  readonly state: AlarmStateValue;
  /** The alarm changed its state just now, from this. */
  readonly changedFrom: AlarmStateValue | undefined;
  readonly held: Suppressed | undefined;
  /** Milliseconds. */
  readonly now: number;
}

/** What to do with the actions of a composite alarm: `act` from which state, or what holds them back. */
export interface SuppressDecision {
  readonly act: AlarmStateValue | undefined;
  readonly held: Suppressed | undefined;
}

/**
 * Pure. Source: "Composite alarm action suppression". Actions wait up to WaitPeriod for the suppressor to go into ALARM, are held while it is, and for
 * ExtensionPeriod after it left; if the alarm is then in the state that it was in before, nothing happens.
 */
export function suppress({ rule, suppressing, state, changedFrom, held, now }: SuppressFacts): SuppressDecision {
  if (rule.suppressor === undefined) return { act: changedFrom, held: undefined };
  const from = held?.from ?? changedFrom;
  if (from === undefined) return { act: undefined, held: undefined };
  // Back where it was before anybody was told: nobody has to be.
  if (held && state === from) return { act: undefined, held: undefined };
  const wait = (by: Suppressed["by"], reason: string): SuppressDecision => ({
    act: undefined,
    held: held?.by === by ? held : { by, reason, since: now, from },
  });
  if (suppressing) return wait("Alarm", `Actions are suppressed: ${rule.suppressor} is in ALARM`);
  if (held?.by === "Alarm")
    return wait("ExtensionPeriod", `Actions are suppressed for ${rule.extensionPeriod ?? 0} seconds after ${rule.suppressor} left ALARM`);
  if (held?.by === "ExtensionPeriod")
    return now - held.since < (rule.extensionPeriod ?? 0) * 1000 ? { act: undefined, held } : { act: from, held: undefined };
  if (!held) return wait("WaitPeriod", `Actions wait ${rule.waitPeriod ?? 0} seconds for ${rule.suppressor} to go into ALARM`);
  return now - held.since < (rule.waitPeriod ?? 0) * 1000 ? { act: undefined, held } : { act: from, held: undefined };
}
