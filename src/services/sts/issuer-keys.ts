import type { SigningKey } from "./jwt.ts";

/** The keys of OpenID Connect issuers, fetched and remembered. Source: OpenID Connect Discovery 1.0, section 4. */
export interface IssuerKeys {
  /** Rejects when the issuer does not answer with keys. `fresh`: a key was not among those that are known; issuers change theirs. */
  of(issuer: string, now: number, fresh?: boolean): Promise<readonly SigningKey[]>;
}

const keepMs = 10 * 60_000;
/** Tokens with keys that nobody has must not make us ask an issuer without end. */
const againMs = 10_000;
const timeoutMs = 5_000;
const mostBytes = 512 * 1024;
const mostIssuers = 200;

interface Fetched {
  readonly at: number;
  readonly keys: Promise<readonly SigningKey[]>;
}

/** `get` fetches a URL's text; only issuers that somebody registered are asked. */
export function createIssuerKeys(get: (url: string) => Promise<string> = fetchText): IssuerKeys {
  const known = new Map<string, Fetched>();
  return {
    async of(issuer, now, fresh = false) {
      const before = known.get(issuer);
      if (before && now - before.at < (fresh ? againMs : keepMs)) return before.keys;
      const fetched = { at: now, keys: fetchKeys(issuer, get) };
      if (known.size >= mostIssuers) known.clear();
      known.set(issuer, fetched);
      try {
        return await fetched.keys;
      } catch (error) {
        // What failed is tried again with the next token.
        if (known.get(issuer) === fetched) known.delete(issuer);
        throw error;
      }
    },
  };
}

async function fetchKeys(issuer: string, get: (url: string) => Promise<string>): Promise<readonly SigningKey[]> {
  const discovery = JSON.parse(await get(`${issuer}/.well-known/openid-configuration`)) as { issuer?: unknown; jwks_uri?: unknown };
  if (typeof discovery.issuer !== "string" || discovery.issuer.replace(/\/$/, "") !== issuer)
    throw new Error(`the discovery document is of another issuer: ${String(discovery.issuer)}`);
  const { jwks_uri: uri } = discovery;
  if (typeof uri !== "string" || !URL.canParse(uri)) throw new Error("the discovery document names no jwks_uri");
  // Whoever speaks https does not hand out keys over less.
  if (issuer.startsWith("https:") ? !uri.startsWith("https:") : !/^https?:/.test(uri))
    throw new Error(`the jwks_uri is not to be trusted: ${uri}`);
  const { keys } = JSON.parse(await get(uri)) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error("the issuer's keys are no JSON Web Key Set");
  return keys.filter((key): key is SigningKey => typeof key === "object" && key !== null);
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, {
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: "application/json" },
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > mostBytes) throw new Error(`${url} answered more than ${mostBytes} bytes`);
  }
  return text + decoder.decode();
}
