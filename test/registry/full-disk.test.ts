/** A full disk is told to the client, costs nothing that was acknowledged, and is over when there is room again. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { CreateRepositoryCommand } from "@aws-sdk/client-ecr";
import { digestOf, startRegistry } from "./support.ts";

const run = promisify(execFile);

test("a full disk", { skip: process.getuid?.() !== 0 && "needs root, to mount a small file system" }, async () => {
  const registry = await startRegistry();
  const uploads = join(registry.server.home, "registry", "uploads");
  const root = join(registry.server.home, "registry");
  // Blobs and uploads have to be on one file system: rename moves between them.
  await rm(root, { recursive: true });
  await mkdir(root);
  await run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", root]);
  try {
    await mkdir(uploads);
    await mkdir(join(root, "blobs/sha256"), { recursive: true });
    await registry.client.send(new CreateRepositoryCommand({ repositoryName: "app" }));
    const small = randomBytes(1_000_000);
    await registry.pushBlob("app", small);
    const large = randomBytes(5_000_000);
    const { headers } = await registry.call("POST", "/v2/app/blobs/uploads/");
    const full = await registry.call("PATCH", headers.location!, { body: large });
    assert.equal(full.status, 507, full.text);
    assert.equal(full.code, "UNKNOWN");
    assert.equal((await registry.call("GET", headers.location!)).status, 404, "it gave back what it had taken");
    const fits = randomBytes(2_000_000);
    await registry.pushBlob("app", fits);
    await writeFile(join(root, "filler"), Buffer.alloc(900_000));
    assert.equal((await registry.call("POST", `/v2/app/blobs/uploads/?digest=${digestOf(large)}`, { body: large })).status, 507);
    await rm(join(root, "filler"));
    for (const bytes of [small, fits]) assert.deepEqual((await registry.call("GET", `/v2/app/blobs/${digestOf(bytes)}`)).body, bytes);
    await registry.pushBlob("app", randomBytes(500_000));
  } finally {
    await run("umount", ["-l", root]);
    await registry.close();
  }
});
