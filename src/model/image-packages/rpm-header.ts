import type { InstalledPackage } from "./packages.ts";

const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003, sourceRpm: 1044 } as const;
const types = { int32: 4, string: 6, i18nString: 9 } as const;
const indexEntry = 16;

/**
 * A package out of a header of rpm's database: numbers of index entries and of data bytes, the index, the data. All numbers are big endian. Undefined: no package (keys are kept
 * there too), or no header. Source: RPM's manual, "Package format", "Header structure".
 */
export function parseRpmHeader(blob: Uint8Array): InstalledPackage | undefined {
  if (blob.length < 8) return undefined;
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const [entries, bytes] = [view.getUint32(0), view.getUint32(4)];
  const data = 8 + entries * indexEntry;
  if (data + bytes > blob.length) return undefined;
  const found = new Map<number, { readonly type: number; readonly at: number }>();
  for (let i = 0; i < entries; i++) {
    const at = 8 + i * indexEntry;
    const offset = view.getUint32(at + 8);
    if (offset < bytes) found.set(view.getUint32(at), { type: view.getUint32(at + 4), at: data + offset });
  }
  const text = (tag: number) => {
    const entry = found.get(tag);
    if (!entry || (entry.type !== types.string && entry.type !== types.i18nString)) return undefined;
    const end = blob.indexOf(0, entry.at);
    return end < 0 ? undefined : new TextDecoder().decode(blob.subarray(entry.at, end));
  };
  const [name, version, release] = [text(tags.name), text(tags.version), text(tags.release)];
  if (!name || !version || !release || name === "gpg-pubkey") return undefined;
  const entry = found.get(tags.epoch);
  const epoch = entry?.type === types.int32 && entry.at + 4 <= blob.length ? view.getUint32(entry.at) : 0;
  const full = `${epoch}:${version}-${release}`;
  const [, source = name, sourceVersion, sourceRelease] = /^(.+)-([^-]+)-([^-]+)\.(?:no)?src\.rpm$/.exec(text(tags.sourceRpm) ?? "") ?? [];
  return { name, version: full, source, sourceVersion: sourceVersion === undefined ? full : `${epoch}:${sourceVersion}-${sourceRelease}` };
}
