import { readFile } from "node:fs/promises";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { ask } from "./ask.ts";
import { formatCsv, formatTable, type CostAnswer } from "./cost-format.ts";
import { parseTime } from "./period.ts";

export interface CostOptions {
  readonly by: string;
  readonly since?: string;
  readonly until?: string;
  readonly cluster?: string;
  readonly format: "table" | "json" | "csv";
}

/** An address holds no more: longer lists are the server's to read. */
const longestList = 40_000;

/** `gantry cost`. The price list of the caller's GANTRY_PRICES counts, else the server's. Throws what is wrong with it, and what the API says. */
export async function cost(config: Config, options: CostOptions, now: number): Promise<string> {
  const query = new URLSearchParams({ by: options.by });
  if (options.since !== undefined) query.set("since", String(parseTime("--since", options.since, now)));
  if (options.until !== undefined) query.set("until", String(parseTime("--until", options.until, now)));
  if (options.cluster !== undefined) query.set("cluster", options.cluster);
  if (config.prices !== undefined) query.set("prices", await listAt(config.prices));
  const identity = await loadIdentity(config.home, systemRandom);
  // SigV4 signs blanks as %20.
  const answer = (await ask(config, identity, `/_gantry/cost?${query.toString().replaceAll("+", "%20")}`)) as CostAnswer;
  if (options.format === "json") return JSON.stringify(answer, undefined, 2);
  return options.format === "csv" ? formatCsv(answer) : formatTable(answer);
}

async function listAt(path: string): Promise<string> {
  try {
    const text = JSON.stringify(JSON.parse(await readFile(path, "utf8")));
    if (encodeURIComponent(text).length <= longestList) return text;
  } catch (error) {
    throw new Error(`GANTRY_PRICES=${path} can't be read`, { cause: error });
  }
  throw new Error(`GANTRY_PRICES=${path} is too long to send: start Gantry with it, and leave it out here (or extend the built-in list)`);
}
