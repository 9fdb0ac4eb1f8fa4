import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { sign } from "#agent/aws/sigv4.ts";
import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import { endpointOf } from "./commands.ts";

/** Asks the server one of Gantry's own questions, signed by the root credentials. Throws what the server says. */
export function ask(
  config: Config,
  identity: Identity,
  path: string,
  { method = "GET", timeoutMs = 10_000 }: { readonly method?: "GET" | "POST"; readonly timeoutMs?: number } = {},
): Promise<unknown> {
  const url = new URL(path, endpointOf(config));
  const credentials = { accessKeyId: identity.rootAccessKeyId, secretAccessKey: identity.rootSecretAccessKey };
  const headers = sign({ method, url, headers: {}, body: "", service: "ecs", region: config.region, credentials, now: Date.now() });
  return new Promise((resolve, reject) => {
    const asked = (config.tls ? secure : plain)(url, { method, headers, timeout: timeoutMs }, (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (piece: string) => (text += piece));
      response.on("error", reject);
      response.on("end", () => {
        const answer = parsed(text);
        if (response.statusCode === 200 && answer) resolve(answer);
        else reject(new Error(answer?.message ?? `${url.origin} answers as no Gantry does (HTTP ${response.statusCode})`));
      });
    });
    asked.once("timeout", () => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    asked.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ECONNREFUSED" ? new Error(`no Gantry answers at ${url.origin}; ./gantry status says why`) : error),
    );
    asked.end();
  });
}

function parsed(text: string): { readonly message?: string } | undefined {
  try {
    return JSON.parse(text) as { message?: string };
  } catch {
    return undefined;
  }
}
