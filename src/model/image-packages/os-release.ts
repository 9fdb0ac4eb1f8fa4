/** What an image's os-release says. Source: os-release(5). */
export interface OsRelease {
  readonly id: string;
  readonly versionId: string | undefined;
}

export function parseOsRelease(text: string): OsRelease | undefined {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Z_]+)=(?:"([^"]*)"|'([^']*)'|([^\s"']*))\s*$/.exec(line);
    if (match) values.set(match[1]!, match[2] ?? match[3] ?? match[4] ?? "");
  }
  const id = values.get("ID")?.toLowerCase();
  return id ? { id, versionId: values.get("VERSION_ID") || undefined } : undefined;
}
