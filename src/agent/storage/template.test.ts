import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { crc32c, makeTemplate, piecesOf, writeImage } from "./template.ts";

test("crc32c, without the last inversion, of the check sequence", () => {
  assert.equal((crc32c(Buffer.from("123456789")) ^ 0xffffffff) >>> 0, 0xe3069283);
});

test("written again, a file system is sound, of its size, nearly without blocks, and has a UUID of its own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "gantry-template-"));
  try {
    for (const gib of [1, 21, 200]) {
      const template = await makeTemplate(join(directory, "draft"), gib);
      assert.ok(template.pieces.length < 200, `${template.pieces.length} pages`);
      const paths = ["a", "b"].map((name) => join(directory, `${gib}-${name}`));
      for (const path of paths) {
        await writeImage(path, template);
        const checked = spawnSync("e2fsck", ["-f", "-n", path], { encoding: "utf8" });
        assert.equal(checked.status, 0, checked.stdout + checked.stderr);
        const { size, blocks } = await stat(path);
        assert.equal(size, gib * 1024 ** 3);
        assert.ok(blocks * 512 < 2 ** 20, `${blocks} blocks`);
      }
      const [a, b] = paths.map((path) => /UUID:\s+(\S+)/.exec(spawnSync("dumpe2fs", ["-h", path], { encoding: "utf8" }).stdout)?.[1]);
      assert.ok(a && b && a !== b, `${a} and ${b}`);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("an archive without a map of holes is refused", () => {
  const header = Buffer.alloc(1024);
  header[156] = 0x30;
  assert.throws(() => piecesOf(header), /no map/);
});
