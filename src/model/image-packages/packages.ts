/** A package that is installed in an image, and the source package that it was built from: advisories speak of one or the other. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly source: string;
  readonly sourceVersion: string;
}

/** Stanzas of `Key: value` lines with empty lines between them; lines that begin with a blank continue a value that we do not need. */
function* stanzas(text: string, separator: string): Generator<ReadonlyMap<string, string>> {
  let fields = new Map<string, string>();
  for (const line of lines(text)) {
    if (line.trim() === "") {
      if (fields.size > 0) yield fields;
      fields = new Map();
      continue;
    }
    const at = line.indexOf(separator);
    if (at > 0 && line[0] !== " " && line[0] !== "\t" && !fields.has(line.slice(0, at)))
      fields.set(line.slice(0, at), line.slice(at + separator.length).trim());
  }
  if (fields.size > 0) yield fields;
}

/** One by one: the file is somebody else's, and all its lines at once may be more than there is memory. */
function* lines(text: string): Generator<string> {
  for (let from = 0; from < text.length;) {
    const found = text.indexOf("\n", from);
    const end = found < 0 ? text.length : found;
    yield text.slice(from, end);
    from = end + 1;
  }
}

/** /var/lib/dpkg/status, or a file of status.d, which has no status line: what lies there is installed. Source: dpkg(1), deb-control(5). */
export function parseDpkgStatus(text: string, most = Infinity): readonly InstalledPackage[] {
  const found: InstalledPackage[] = [];
  for (const fields of stanzas(text, ":")) {
    if (found.length >= most) break;
    const [name, version, status, from] = [fields.get("Package"), fields.get("Version"), fields.get("Status"), fields.get("Source")];
    if (!name || !version || (status !== undefined && !/ installed$/.test(status))) continue;
    // "Source: glibc", or "Source: glibc (2.36-9)" when its version is another.
    const [, source = name, sourceVersion = version] = /^(\S+)(?:\s+\(([^)]+)\))?$/.exec(from ?? "") ?? [];
    found.push({ name, version, source, sourceVersion });
  }
  return found;
}

/** /lib/apk/db/installed. Source: Alpine Package Keeper, apk-v2(5): P name, V version, o origin. */
export function parseApkInstalled(text: string, most = Infinity): readonly InstalledPackage[] {
  const found: InstalledPackage[] = [];
  for (const fields of stanzas(text, ":")) {
    if (found.length >= most) break;
    const [name, version] = [fields.get("P"), fields.get("V")];
    if (name && version) found.push({ name, version, source: fields.get("o") || name, sourceVersion: version });
  }
  return found;
}
