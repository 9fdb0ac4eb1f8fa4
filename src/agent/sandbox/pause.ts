import { chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * The first process of a sandbox: it sleeps until it is killed. A sandbox lives as long as its first container, so that one must not be any of the task's own. Two
 * hundred bytes of ELF written here spare us an image or a compiler.
 */
export function pauseProgram(architecture: string): Buffer {
  const machine = machines[architecture];
  if (!machine) throw new Error(`no pause program for ${architecture}`);
  const code = Buffer.from(machine.code, "hex");
  const load = 0x400000n;
  const header = Buffer.alloc(64 + 56);
  // Elf64_Ehdr, see elf(5): 64 bits, little endian, ET_EXEC.
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(machine.number, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(load + BigInt(header.length), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt16LE(64, 58);
  // Elf64_Phdr: the whole file, to be read and executed.
  const size = BigInt(header.length + code.length);
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(load, 80);
  header.writeBigUInt64LE(load, 88);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(0x10000n, 112);
  return Buffer.concat([header, code]);
}

const machines: Readonly<Record<string, { readonly number: number; readonly code: string }>> = {
  // again: mov eax, SYS_pause; syscall; jmp again
  x64: { number: 62, code: "b8220000000f05ebf7" },
  // again: mov x0..x3, 0; mov x8, SYS_ppoll; svc 0; b again
  arm64: { number: 183, code: "000080d2010080d2020080d2030080d2280980d2010000d4faffff17" },
};

/** The root file system of a sandbox's first container: that program and nothing else. Returns its directory. */
export async function writePauseRoot(directory: string, architecture: string = process.arch): Promise<string> {
  const root = join(directory, "pause");
  // Where gVisor mounts its own.
  for (const name of ["dev", "proc", "sys", "tmp"]) await mkdir(join(root, name), { recursive: true, mode: 0o755 });
  const file = join(root, "pause");
  await writeFile(`${file}.new`, pauseProgram(architecture), { mode: 0o755 });
  await chmod(`${file}.new`, 0o755);
  await rename(`${file}.new`, file);
  return root;
}
