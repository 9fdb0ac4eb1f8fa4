/** HAProxy's counters as it says them by `show stat` and `show table`. Pure. */

/** What only grows while a process lives and its frontend, backend or server is there; named here, by HAProxy's own names there. */
const frontendFields = {
  connections: "conn_tot",
  received: "bin",
  sent: "bout",
  rejected: "dcon",
  "1xx": "hrsp_1xx",
  "3xx": "hrsp_3xx",
  "4xx": "hrsp_4xx",
  "5xx": "hrsp_5xx",
} as const;
/** `econ` and `eresp`: requests that ended because no connection, or no whole answer, came of it. Of 1xx, only 101 is an answer. */
const backendFields = { switched: "hrsp_1xx", unconnected: "econ", unanswered: "eresp" } as const;
/** A connection that fails is tried again, given to another target, or given up. */
const serverFields = {
  "2xx": "hrsp_2xx",
  "3xx": "hrsp_3xx",
  "4xx": "hrsp_4xx",
  "5xx": "hrsp_5xx",
  tried: "connect",
  retried: "wretr",
  redispatched: "wredis",
  failed: "econ",
} as const;

export type FrontendField = keyof typeof frontendFields;
export type BackendField = keyof typeof backendFields;
export type ServerField = keyof typeof serverFields;

export interface Row {
  /** The frontend's, the backend's, or `<backend>/<server>`. */
  readonly scope: string;
  readonly counters: Readonly<Record<string, number>>;
  /** Connections that it has now. */
  readonly active: number;
}

/** `show stat`, of frontends, backends and servers; rows without anything are left out. */
export function readStatistics(text: string): Row[] {
  const [head = "", ...lines] = text.split("\n");
  const names = head.replace(/^# /, "").split(",");
  const at = new Map(names.map((name, index) => [name, index]));
  const rows: Row[] = [];
  for (const line of lines) {
    const parts = line.split(",");
    const [proxy, name] = parts;
    if (!proxy || !name || parts.length < names.length - 1) continue;
    const number = (field: string) => Number(parts[at.get(field) ?? -1] ?? 0) || 0;
    const isFrontend = name === "FRONTEND";
    const fields = isFrontend ? frontendFields : name === "BACKEND" ? backendFields : serverFields;
    const counters: Record<string, number> = {};
    for (const [own, theirs] of Object.entries(fields)) {
      const value = number(theirs);
      if (value > 0) counters[own] = value;
    }
    // Those to targets that are kept for the next request are connections too.
    const active = isFrontend ? number("scur") : name === "BACKEND" ? 0 : number("used_conn_cur") + number("srv_icur");
    if (active > 0 || Object.keys(counters).length > 0)
      rows.push({ scope: isFrontend || name === "BACKEND" ? proxy : `${proxy}/${name}`, counters, active });
  }
  return rows;
}

/** `show table` of several tables: by the table's name, the count of each key. */
export function readTables(text: string): Map<string, Record<string, number>> {
  const tables = new Map<string, Record<string, number>>();
  let counts: Record<string, number> | undefined;
  for (const line of text.split("\n")) {
    const table = /^# table: ([^,]+),/.exec(line)?.[1];
    if (table !== undefined) tables.set(table, (counts = {}));
    const [, key, count] = /\bkey=(\S+) .*\bhttp_req_cnt=(\d+)/.exec(line) ?? [];
    if (counts && key !== undefined && Number(count) > 0) counts[key] = Number(count);
  }
  return tables;
}

/** From this many requests a second on, one in `timedOneIn` is timed. */
const timedAll = 1000;
const timedOneIn = 32;

/** Added to a time once where it stands for `timedOneIn` requests, twice where it stands for itself: the key's first digit, and twelve behind it whatever the time. */
const mark = 1e12;

/**
 * Lines of a backend that count how long targets take to answer: a table's key is the mark's digit and a time in microseconds, of its twelve digits those up to
 * the third that counts, so that a key stands for times that differ by 1 %. It costs HAProxy nothing between requests, outlives us, and is read once a minute,
 * where a line of log for each request would cost a fifth of them (docs/decisions/0027). Conditions are what costs: the answer's line has none, for it comes to
 * nothing where the request has no time.
 */
export const timeLines: readonly string[] = [
  "stick-table type string len 16 size 8k expire 3m store http_req_cnt",
  `http-request set-var(txn.at) date(0,us) if { rand(${timedOneIn}) eq 0 }`,
  `http-request set-var(txn.at) date(0,us),sub(${mark}) if { be_sess_rate lt ${timedAll} }`,
  `http-response track-sc0 'date(0,us),sub(txn.at),add(${mark}),regsub("^(.0*...).*","\\1")'`,
];

/** The middle of the times that a key stands for, in seconds, and how many requests each of its counts stands for; undefined: it is none (a clock was set back). */
export function timeOf(key: string): { readonly seconds: number; readonly weight: number } | undefined {
  const [, marked, zeros = "", first = ""] = /^([12])(0*)(\d{3})$/.exec(key) ?? [];
  const missing = String(mark).length - 1 - zeros.length - first.length;
  if (first === "" || missing < 0) return undefined;
  const least = Number(first) * 10 ** missing;
  return { seconds: (least + (10 ** missing - 1) / 2) / 1e6, weight: marked === "1" ? timedOneIn : 1 };
}
