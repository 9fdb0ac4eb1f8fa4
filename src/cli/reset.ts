import type { Config } from "#platform/config.ts";
import { endpointOf } from "./commands.ts";

/** `gantry reset`: asks the server to empty everything; returns what to say. Throws with the server's reason, or when none answers. */
export async function reset(config: Config): Promise<string> {
  const endpoint = endpointOf(config);
  const began = performance.now();
  const response = await fetch(`${endpoint}/_gantry/reset`, { method: "POST" }).catch((error: Error) => {
    throw new Error(`no Gantry answers at ${endpoint}; ./gantry status says why`, { cause: error });
  });
  const text = await response.text();
  if (!response.ok) throw new Error((JSON.parse(text) as { message: string }).message);
  return `empty (${Math.round(performance.now() - began)} ms)`;
}
