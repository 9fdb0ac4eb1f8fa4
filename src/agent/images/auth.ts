/** What a registry asks for in WWW-Authenticate (RFC 9110, and the distribution specification's token authentication). */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads one or several challenges; what cannot be read is left out, never an error. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /[A-Za-z0-9!#$%&'*+.^_`|~-]+/y;
  let at = 0;
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match?.[0];
  };
  while (at < header.length) {
    skip(/[\s,]*/y);
    const word = skip(token);
    if (word === undefined) break;
    const equals = skip(/\s*=\s*/y);
    if (equals === undefined) {
      challenges.push({ scheme: word.toLowerCase(), parameters: {} });
      continue;
    }
    const quoted = skip(/"(?:[^"\\]|\\.)*"/y);
    const value = quoted === undefined ? (skip(token) ?? "") : quoted.slice(1, -1).replace(/\\(.)/g, "$1");
    const current = challenges.at(-1);
    if (current) current.parameters[word.toLowerCase()] = value;
  }
  return challenges;
}

export function basicHeader(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
}
