import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** An empty file system: the pieces of it that are not zero. A few dozen kilobytes, whatever its size. */
export interface Template {
  readonly bytes: number;
  readonly pieces: readonly { readonly at: number; readonly data: Buffer }[];
}

/**
 * What mkfs makes, read once: writing it again takes a millisecond and no process. Nothing in it outlives its task, so it has no journal and no copies of its superblock; deleting
 * gives the machine its room back; inode tables are written when they are used. Its seed of checksums is its own, so that each disk can have its own UUID. `draft` is a file that is
 * made and removed.
 */
export async function makeTemplate(draft: string, gib: number): Promise<Template> {
  const bytes = gib * 1024 ** 3;
  try {
    await using file = await open(draft, "w");
    await file.truncate(bytes);
    const features = "^has_journal,^resize_inode,sparse_super2,metadata_csum,metadata_csum_seed";
    const extended = "lazy_itable_init=1,nodiscard,num_backup_sb=0,packed_meta_blocks=1";
    await run("mkfs.ext4", ["-q", "-F", "-m", "0", "-b", "4096", "-O", features, "-E", extended, draft], { timeout: 60_000 });
    // Node can't ask where a file's holes are; tar writes it down.
    const { stdout } = await run("tar", ["-C", dirname(draft), "--create", "--sparse", "--format=pax", "--file=-", basename(draft)], {
      encoding: "buffer",
      maxBuffer: 1 << 28,
      timeout: 60_000,
    });
    return { bytes, pieces: piecesOf(stdout) };
  } finally {
    await rm(draft, { force: true });
  }
}

/** The data of the only file in an archive of tar's, by GNU's sparse format 1.0: behind the headers a map in decimal lines (count, then offset and size of each), then the data. */
export function piecesOf(archive: Buffer): Template["pieces"] {
  const block = 512;
  let at = 0;
  // Extended headers with what they say.
  while (archive[at + 156] === 0x78)
    at += block * (1 + Math.ceil(Number.parseInt(archive.toString("latin1", at + 124, at + 136), 8) / block));
  at += block;
  const start = at;
  const number = () => {
    const end = archive.indexOf("\n", at);
    const text = archive.toString("latin1", at, end);
    if (end < 0 || !/^\d+$/.test(text)) throw new Error("tar wrote no map of the file's holes");
    at = end + 1;
    return Number(text);
  };
  const map = Array.from({ length: number() }, () => ({ offset: number(), size: number() }));
  let data = start + block * Math.ceil((at - start) / block);
  return map.flatMap(({ offset, size }) => {
    const piece = archive.subarray(data, data + size);
    data += size;
    return parts(offset, piece);
  });
}

/** Without the pages that are zero. */
function parts(offset: number, piece: Buffer): { at: number; data: Buffer }[] {
  const page = 4096;
  const found: { at: number; data: Buffer }[] = [];
  for (let from = 0; from < piece.length; from += page) {
    const data = piece.subarray(from, from + page);
    if (data.some((byte) => byte !== 0)) found.push({ at: offset + from, data: Buffer.from(data) });
  }
  return found;
}

/** Another file system of the same making, with a UUID and a seed for its directories' hashes of its own. The file is sparse. */
export async function writeImage(path: string, { bytes, pieces }: Template): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.truncate(bytes);
  for (const { at, data } of pieces) await file.write(at === 0 ? renewed(data) : data, 0, data.length, at);
}

/** See ext4's struct ext4_super_block: it lies 1024 bytes in, s_uuid at 0x68, s_hash_seed at 0xec, its own checksum behind 0x3fc bytes. */
function renewed(first: Buffer): Buffer {
  const copy = Buffer.from(first);
  const superblock = copy.subarray(1024, 2048);
  if (superblock.readUInt16LE(0x38) !== 0xef53) throw new Error("mkfs.ext4 has made something else");
  for (const at of [0x68, 0xec]) {
    const random = randomBytes(16);
    // RFC 9562, version 4.
    random[6] = (random[6]! & 0x0f) | 0x40;
    random[8] = (random[8]! & 0x3f) | 0x80;
    superblock.set(random, at);
  }
  superblock.writeUInt32LE(crc32c(superblock.subarray(0, 0x3fc)), 0x3fc);
  return copy;
}

/** Castagnoli's, as the kernel has it: without the last inversion. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return crc >>> 0;
}
