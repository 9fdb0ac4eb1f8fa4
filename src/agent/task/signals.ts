const signals: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  ALRM: 14,
  TERM: 15,
  WINCH: 28,
  PWR: 30,
};

/** An image's STOPSIGNAL: a name with or without SIG, a number, or `SIGRTMIN+n`. Default SIGTERM. */
export function signalNumber(signal: string | undefined): number {
  if (!signal) return 15;
  const realTime = /^(?:SIG)?RTMIN(?:\+(\d+))?$/i.exec(signal);
  if (realTime) return 34 + Number(realTime[1] ?? 0);
  return /^\d+$/.test(signal) ? Number(signal) : (signals[signal.toUpperCase().replace(/^SIG/, "")] ?? 15);
}
