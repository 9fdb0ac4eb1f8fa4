import { isDigest } from "../blobs/digest.ts";

/** What a path under `/v2/` asks for. Source: OCI distribution specification 1.1, "Endpoints". */
export type Target =
  | { readonly kind: "base" }
  | { readonly kind: "manifest"; readonly name: string; readonly reference: string }
  | { readonly kind: "blob"; readonly name: string; readonly digest: string }
  | { readonly kind: "uploads"; readonly name: string }
  | { readonly kind: "upload"; readonly name: string; readonly id: string }
  | { readonly kind: "tags"; readonly name: string }
  | { readonly kind: "referrers"; readonly name: string; readonly digest: string };

/**
 * Reads an undecoded path. Undefined: none of ours. A name may itself have parts like `blobs` or `manifests`, so the end of the path decides. Names,
 * digests and ids are not checked here, but hold no `/` that was not one in the path.
 */
export function parsePath(path: string): Target | undefined {
  if (path === "/v2" || path === "/v2/") return { kind: "base" };
  if (!path.startsWith("/v2/") || path.length > 2048) return undefined;
  const parts: string[] = [];
  for (const raw of path.slice(4).split("/")) {
    const part = decode(raw);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  const last = parts.pop()!;
  const before = parts.pop();
  const name = (count = 0) => parts.slice(0, parts.length - count).join("/");
  if (before === "tags" && last === "list") return { kind: "tags", name: name() };
  if (before === "manifests") return { kind: "manifest", name: name(), reference: last };
  if (before === "referrers") return { kind: "referrers", name: name(), digest: last };
  if (before === "uploads" && parts.at(-1) === "blobs")
    return last === "" ? { kind: "uploads", name: name(1) } : { kind: "upload", name: name(1), id: last };
  if (before === "blobs") return last === "uploads" ? { kind: "uploads", name: name() } : { kind: "blob", name: name(), digest: last };
  return undefined;
}

export type Reference = { readonly digest: string; readonly tag?: undefined } | { readonly tag: string; readonly digest?: undefined };

/** OCI's tags have 128 characters at most. Undefined: neither digest nor tag. */
export function parseReference(text: string): Reference | undefined {
  if (isDigest(text)) return { digest: text };
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text) ? { tag: text } : undefined;
}

function decode(text: string): string | undefined {
  try {
    const decoded = text.includes("%") ? decodeURIComponent(text) : text;
    return /[/\\\0]/.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}
