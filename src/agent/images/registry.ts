import type { IncomingMessage } from "node:http";
import { sleep, type Clock } from "#platform/clock.ts";
import { basicHeader, parseChallenges } from "./auth.ts";
import { discard, NetworkError, readBody, type Http } from "./http.ts";
import { manifestTypes } from "./manifest.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Where a repository is: `url` is the registry's root, with a path prefix where a mirror has one. */
export interface Repository {
  readonly url: URL;
  readonly path: string;
}

/** An answer that more attempts will not change, or that stayed after all attempts. `status` 0: no answer at all. */
export class RegistryError extends Error {
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export interface RegistryOptions {
  readonly http: Http;
  readonly clock: Clock;
  readonly repository: Repository;
  readonly credentials?: () => Promise<Credentials | undefined>;
  /** How often a failed request is sent again; default 3, after 200, 600, 1800 ms. */
  readonly retries?: number;
}

const accept = Object.values(manifestTypes).join(", ");
const maxRedirects = 10;

/**
 * One pull's conversation with one repository (OCI Distribution 1.1, read side). Asks for credentials at most once, and for a token when the registry
 * wants one; sends either to the registry's own origin only.
 */
export class RegistrySession {
  readonly #options: RegistryOptions;
  #authorization: string | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;
  #login: Promise<void> | undefined;
  /** Attempts of the request that took most, for the error's text. */
  attempts = 1;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** HEAD or GET of a manifest. The caller reads or discards the body. */
  async manifest(reference: string, method: "GET" | "HEAD", signal?: AbortSignal): Promise<IncomingMessage> {
    return this.#fetch(this.#url(`manifests/${reference}`), { accept }, method, signal);
  }

  /**
   * GET of a blob from `offset` on; the answer may start at 0 all the same: see `startOf`. The signal is this request's alone: a layer may be
   * fetched for another pull too, which goes on when this one is given up.
   */
  async blob(digest: string, offset: number, signal?: AbortSignal): Promise<IncomingMessage> {
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (offset > 0) headers.range = `bytes=${offset}-`;
    return this.#fetch(this.#url(`blobs/${digest}`), headers, "GET", signal);
  }

  #url(rest: string): URL {
    const { url, path } = this.#options.repository;
    return new URL(`${url.pathname.replace(/\/$/, "")}/v2/${path}/${rest}`, url);
  }

  async #fetch(url: URL, headers: Record<string, string>, method: "GET" | "HEAD", signal?: AbortSignal): Promise<IncomingMessage> {
    const { clock } = this.#options;
    const retries = this.#options.retries ?? 3;
    for (let attempt = 1; ; attempt++) {
      this.attempts = Math.max(this.attempts, attempt);
      const last = attempt > retries;
      let response: IncomingMessage;
      try {
        response = await this.#authorized(url, headers, method, signal);
      } catch (error) {
        if (!(error instanceof NetworkError) || signal?.aborted) throw error;
        if (last) throw new RegistryError(0, `failed to do request: ${verb(method)} "${url.href}": ${error.message}`, { cause: error });
        await sleep(clock, 200 * 3 ** (attempt - 1), signal);
        continue;
      }
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      const retriable = status === 408 || status === 429 || status >= 500;
      if (!retriable || last) throw await this.#refusal(url, response, headers, method, signal);
      const wait = Number(response.headers["retry-after"]);
      discard(response);
      await sleep(clock, wait > 0 && wait <= 30 ? wait * 1000 : 200 * 3 ** (attempt - 1), signal);
    }
  }

  async #authorized(url: URL, headers: Record<string, string>, method: "GET" | "HEAD", signal?: AbortSignal): Promise<IncomingMessage> {
    await this.#login;
    const used = this.#authorization;
    const response = await this.#follow(url, headers, method, used, signal);
    if (response.statusCode !== 401) return response;
    const challenge = response.headers["www-authenticate"];
    if (!challenge) return response;
    // Several layers may be refused at once when a token expires: one of them fetches the new one.
    if (this.#authorization === used) {
      this.#login ??= this.#authenticate(challenge).finally(() => (this.#login = undefined));
      await this.#login;
    }
    if (this.#authorization === undefined || this.#authorization === used) return response;
    discard(response);
    return this.#follow(url, headers, method, this.#authorization, signal);
  }

  async #follow(
    start: URL,
    headers: Record<string, string>,
    method: "GET" | "HEAD",
    authorization: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    let url = start;
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const sent = authorization && url.origin === start.origin ? { ...headers, authorization } : headers;
      const response = await this.#options.http.request(url, { method, headers: sent, signal });
      const location = response.headers.location;
      if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || !location) return response;
      discard(response);
      const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
      if (!next || (next.protocol !== "https:" && next.protocol !== "http:"))
        throw new RegistryError(0, `redirected to an invalid location by ${url.host}`);
      if (url.protocol === "https:" && next.protocol === "http:")
        throw new RegistryError(0, `redirected from https to http by ${url.host}: refused`);
      url = next;
    }
    throw new RegistryError(0, `stopped after ${maxRedirects} redirects`);
  }

  async #authenticate(header: string): Promise<void> {
    const challenges = parseChallenges(header);
    this.#credentials ??= this.#options.credentials?.() ?? Promise.resolve(undefined);
    const credentials = await this.#credentials.catch((error: unknown) => {
      throw new RegistryError(401, `failed to authorize: ${(error as Error).message}`, { cause: error });
    });
    const bearer = challenges.find((entry) => entry.scheme === "bearer" && entry.parameters.realm);
    if (bearer) {
      this.#authorization = `Bearer ${await this.#token(bearer.parameters, credentials)}`;
    } else if (credentials && challenges.some((entry) => entry.scheme === "basic")) {
      this.#authorization = basicHeader(credentials);
    }
  }

  async #token(parameters: Readonly<Record<string, string>>, credentials: Credentials | undefined): Promise<string> {
    const { repository, http } = this.#options;
    const realm = parameters.realm ?? "";
    if (!URL.canParse(realm)) throw new RegistryError(0, `the registry's token realm is not a URL: ${realm}`);
    const url = new URL(realm);
    if (url.protocol !== "https:" && (url.protocol !== "http:" || repository.url.protocol === "https:")) {
      throw new RegistryError(0, `the registry's token realm is not secure: ${realm}`);
    }
    if (parameters.service) url.searchParams.set("service", parameters.service);
    url.searchParams.set("scope", parameters.scope || `repository:${repository.path}:pull`);
    if (credentials) url.searchParams.set("account", credentials.username);
    const headers: Record<string, string> = credentials ? { authorization: basicHeader(credentials) } : {};
    const response = await http.request(url, { method: "GET", headers });
    if (response.statusCode !== 200) {
      const status = response.statusCode ?? 0;
      discard(response);
      if (status >= 500 || status === 429) throw new NetworkError(`failed to fetch token: unexpected status: ${status}`);
      throw new RegistryError(
        status,
        `failed to authorize: failed to fetch ${credentials ? "oauth" : "anonymous"} token: unexpected status: ${statusLine(response)}`,
      );
    }
    const body = await readBody(response, 1024 * 1024, "token");
    let token: unknown;
    try {
      const document = JSON.parse(body.toString("utf8")) as { token?: unknown; access_token?: unknown };
      token = document.token || document.access_token;
    } catch {
      token = undefined;
    }
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token))
      throw new RegistryError(0, "failed to authorize: no token in the answer");
    return token;
  }

  async #refusal(
    url: URL,
    response: IncomingMessage,
    headers: Record<string, string>,
    method: "GET" | "HEAD",
    signal: AbortSignal | undefined,
  ): Promise<RegistryError> {
    const status = response.statusCode ?? 0;
    let told: IncomingMessage | undefined = response;
    if (method === "HEAD") {
      // An answer to HEAD has no body: who is not allowed is told why by GET.
      discard(response);
      told = status === 403 ? await this.#follow(url, headers, "GET", this.#authorization, signal).catch(() => undefined) : undefined;
    }
    const body = told && (await readBody(told, 64 * 1024, "answer").catch(() => Buffer.alloc(0)));
    const detail = body && told?.statusCode === status ? firstError(body) : "";
    return new RegistryError(
      status,
      `unexpected status code ${url.href}: ${statusLine(response)}${detail ? ` - Server message: ${detail}` : ""}`,
    );
  }
}

/** Where a blob's answer starts: the requested offset (206) or 0 when the registry ignored the range. */
export function startOf(response: IncomingMessage): number {
  if (response.statusCode !== 206) return 0;
  const match = /^bytes (\d+)-/.exec(response.headers["content-range"] ?? "");
  return match ? Number(match[1]) : -1;
}

function verb(method: string): string {
  return method === "HEAD" ? "Head" : "Get";
}

function statusLine(response: IncomingMessage): string {
  return `${response.statusCode} ${response.statusMessage ?? ""}`.trimEnd();
}

/** `code: message` of the first error in a distribution error body, without control characters. */
function firstError(body: Buffer): string {
  try {
    const { errors } = JSON.parse(body.toString("utf8")) as { errors?: { code?: string; message?: string }[] };
    const error = errors?.[0];
    const text = error ? `${String(error.code ?? "").toLowerCase()}: ${String(error.message ?? "")}` : "";
    return text.replace(/[^\x20-\x7e]/g, " ").slice(0, 600);
  } catch {
    return "";
  }
}
