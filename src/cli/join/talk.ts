import { request as plain } from "node:http";
import { request as secure } from "node:https";
import type { TLSSocket } from "node:tls";
import { isLoopback } from "#platform/config.ts";
import { fingerprintOf } from "./token-text.ts";

export interface Answer {
  readonly status: number;
  readonly body: { readonly message?: string; readonly [name: string]: unknown };
  /** This machine's address on the way there. */
  readonly localAddress: string | undefined;
}

export interface Asking {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** PEM; beside it nothing is trusted. */
  readonly authority?: string | undefined;
  /** For the one question whose answer proves itself. */
  readonly unverified?: true;
  readonly timeoutMs?: number;
}

/** Rejects when nobody answers, or who answers is not who they should be. */
export function talk(url: URL, { method = "GET", headers = {}, body, authority, unverified, timeoutMs = 10_000 }: Asking): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const sent = text === undefined ? headers : { ...headers, "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const trust = unverified ? { rejectUnauthorized: false } : authority === undefined ? {} : { ca: authority };
    const options = { method, headers: sent, timeout: timeoutMs, agent: false as const, ...trust };
    const asked = (url.protocol === "https:" ? secure : plain)(url, options, (response) => {
      const { localAddress } = response.socket as TLSSocket;
      response.setEncoding("utf8");
      let answer = "";
      response.on("data", (piece: string) => (answer += piece));
      response.on("error", reject);
      response.on("end", () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer) as Answer["body"], localAddress });
        } catch {
          reject(new Error(`${url.origin} answers as no Gantry does (HTTP ${response.statusCode})`));
        }
      });
    });
    asked.once("timeout", () => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    asked.once("error", reject);
    asked.end(text);
  });
}

export interface Server {
  readonly url: string;
  readonly authority: string | undefined;
  readonly localAddress: string | undefined;
}

/** The first of the addresses at which the server answers that made the token: who shows an authority of another fingerprint is told nothing. */
export async function findServer(urls: readonly string[], fingerprint: string | undefined): Promise<Server> {
  const failures: string[] = [];
  for (const url of urls) {
    const { protocol, hostname } = new URL(url);
    if (protocol === "http:" && !isLoopback(hostname)) throw new Error(`${url} is not TLS: machines join by TLS only`);
    try {
      const pinned = fingerprint !== undefined;
      const timeoutMs = 5_000;
      const first = await talk(new URL("/_gantry/join/authority", url), pinned ? { unverified: true, timeoutMs } : { timeoutMs });
      const authority = typeof first.body.authority === "string" ? first.body.authority : undefined;
      if (!pinned) return { url, authority: undefined, localAddress: first.localAddress };
      if (authority === undefined || fingerprintOf(authority) !== fingerprint)
        throw new Error("it is not the server that made this token, or someone is between: its authority's fingerprint differs");
      // Now for good: a server that only repeats another's authority has no certificate of it.
      const { localAddress } = await talk(new URL("/_gantry/join/authority", url), { authority, timeoutMs });
      return { url, authority, localAddress };
    } catch (error) {
      failures.push(`${url}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`);
    }
  }
  throw new Error(`the server was not found. ${failures.join("; ")}`);
}
