/** A layer goes through, both ways, without ever being in memory. `GANTRY_TEST_LAYER_MIB=2048` is the size the issue names. */
import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../support/port.ts";
import { startProcess } from "./process.ts";
import { raw } from "./support.ts";

const mebibytes = Number(process.env.GANTRY_TEST_LAYER_MIB ?? 320);
const limitMiB = 300;

test(`a layer of ${mebibytes} MiB through a server below ${limitMiB} MiB`, { timeout: 400_000 }, async (t) => {
  const home = await mkdtemp(join(tmpdir(), "gantry-big-"));
  const port = await freePort();
  const server = await startProcess(home, port);
  try {
    const piece = randomFillSync(Buffer.alloc(1 << 20));
    const hash = createHash("sha256");
    const begun = await raw(port, "POST", "/v2/big/blobs/uploads/", {});
    const patched = await new Promise<number>((resolve, reject) => {
      const outgoing = request({ host: "127.0.0.1", port, method: "PATCH", path: begun.headers.location }, (incoming) => {
        incoming.resume();
        resolve(incoming.statusCode ?? 0);
      });
      outgoing.on("error", reject);
      const send = async () => {
        for (let sent = 0; sent < mebibytes; sent++) {
          piece.writeUInt32LE(sent);
          hash.update(piece);
          await new Promise<void>((written) => outgoing.write(piece, () => written()));
        }
        outgoing.end();
      };
      send().catch(reject);
    });
    assert.equal(patched, 202);
    const digest = `sha256:${hash.digest("hex")}`;
    const done = await raw(port, "PUT", `${begun.headers.location}?digest=${digest}`, {});
    assert.equal(done.status, 201, done.text);
    const pushed = await server.peakMiB();
    const back = createHash("sha256");
    await new Promise<void>((resolve, reject) => {
      request({ host: "127.0.0.1", port, path: `/v2/big/blobs/${digest}` }, (incoming) => {
        incoming.on("data", (bytes: Buffer) => back.update(bytes));
        incoming.on("end", resolve);
        incoming.on("error", reject);
      })
        .on("error", reject)
        .end();
    });
    assert.equal(`sha256:${back.digest("hex")}`, digest);
    const pulled = await server.peakMiB();
    t.diagnostic(`most resident memory: ${pushed.toFixed(0)} MiB after the push, ${pulled.toFixed(0)} MiB after the pull`);
    assert.ok(pulled < limitMiB, `${pulled} MiB`);
  } finally {
    await server.kill();
    await rm(home, { recursive: true, force: true });
  }
});
