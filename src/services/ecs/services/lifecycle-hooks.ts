import { readFile } from "node:fs/promises";
import { parseArn } from "#model/arn.ts";
import type { Config } from "#platform/config.ts";
import type { CallHook } from "#reconcilers/services/hooks.ts";

/** Where AWS calls a Lambda function for a lifecycle hook, Gantry posts to the URL that `GANTRY_LIFECYCLE_HOOKS` gives for it. docs/decisions/0019. */

/** Who needs longer answers IN_PROGRESS and is asked again. */
const longestCallMs = 4 * 60 * 1000;
const longestAnswer = 1024 * 1024;

type Hooks = Pick<Config, "lifecycleHooks">;

/** The URL for a function, by its ARN as given, its ARN without a version, or its name. Throws an Error in words for who configured it. */
export async function hookUrl({ lifecycleHooks }: Hooks, functionArn: string): Promise<string | undefined> {
  if (lifecycleHooks === undefined) return undefined;
  const inline = lifecycleHooks.trimStart().startsWith("{");
  let urls: unknown;
  try {
    urls = JSON.parse(inline ? lifecycleHooks : await readFile(lifecycleHooks, "utf8"));
  } catch (error) {
    throw new Error(`GANTRY_LIFECYCLE_HOOKS can't be read: ${(error as Error).message}`, { cause: error });
  }
  const [, name = ""] = parseArn(functionArn)?.resource.split(":") ?? [];
  const known = new Map(Object.entries(urls ?? {}) as [string, unknown][]);
  const url = known.get(functionArn) ?? known.get(functionArn.split(":").slice(0, 7).join(":")) ?? known.get(name);
  if (url === undefined) return undefined;
  if (typeof url !== "string" || !/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
    throw new Error(`GANTRY_LIFECYCLE_HOOKS: what stands for ${name} is no http(s) URL`);
  return url;
}

/** Posts the payload as JSON; the answer is the body of a 200, as JSON. */
export function createCallHook(config: Hooks): CallHook {
  return async (targetArn, payload, signal) => {
    const url = await hookUrl(config, targetArn);
    if (url === undefined) throw new Error(`GANTRY_LIFECYCLE_HOOKS has no URL for ${targetArn}`);
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(payload),
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(longestCallMs)]),
    }).catch((error: Error) => {
      throw new Error(`${url} could not be called: ${((error.cause as Error | undefined) ?? error).message}`, { cause: error });
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    if (text.length > longestAnswer) throw new Error("its answer is too long");
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new Error("its answer is not JSON");
    }
  };
}
