/** Quoting for haproxy.cfg, and AWS's patterns as regular expressions. */

/** One argument in HAProxy's strong quotes: nothing inside is special. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Text inside a log-format string: a percent sign would begin a variable. */
export const literal = (text: string) => text.replaceAll("%", "%%");

export const hasWildcard = (pattern: string) => pattern.includes("*") || pattern.includes("?");

/** A pattern's body as a regular expression; `any` is what a wildcard may stand for. */
export function patternSource(pattern: string, any = "."): string {
  return pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll(/\*+/g, `${any}*`)
    .replaceAll("?", any);
}

/** The whole text is the pattern. */
export const patternExpression = (pattern: string) => `^${patternSource(pattern)}$`;

/** A pair of a query: between ampersands, and its wildcards stay there. */
export function queryExpression({ key, value }: { readonly key?: string; readonly value: string }): string {
  const name = key === undefined ? "([^=&]*=)?" : `${patternSource(key, "[^&]")}=`;
  return `(^|&)${name}${patternSource(value, "[^&]")}(&|$)`;
}
