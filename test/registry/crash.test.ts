/** Killed at any moment of any push: what was acknowledged is there, whole, and whoever was cut off goes on or begins again. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../support/port.ts";
import { until } from "../support/until.ts";
import { type ServerProcess, startProcess } from "./process.ts";
import { digestOf, raw, type Reply, types } from "./support.ts";

const kills = Number(process.env.KILLS ?? 6);

test(`${kills} times SIGKILL under pushes`, { timeout: 60_000 + kills * 40_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), "gantry-crash-"));
  const port = await freePort();
  let server: ServerProcess | undefined;
  const blobs = new Set<string>();
  const images = new Map<string, string>();
  const call = (method: string, path: string, body?: Uint8Array | string, headers = {}) => raw(port, method, path, { body, headers });
  const ok = ({ status, text }: Reply, expected: number) => assert.equal(status, expected, text);

  async function pushOne(tag: string): Promise<void> {
    const config = JSON.stringify({ tag });
    const layers = [randomBytes(1 + Math.floor(Math.random() * 400_000)), randomBytes(1000)];
    for (const bytes of [Buffer.from(config), ...layers]) {
      const begun = await call("POST", "/v2/app/blobs/uploads/");
      ok(begun, 202);
      const half = bytes.length >> 1;
      ok(await call("PATCH", begun.headers.location!, bytes.subarray(0, half)), 202);
      ok(await call("PUT", `${begun.headers.location}?digest=${digestOf(bytes)}`, bytes.subarray(half)), 201);
      blobs.add(digestOf(bytes));
    }
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: { mediaType: types.config, digest: digestOf(config), size: config.length },
      layers: layers.map((bytes) => ({ mediaType: types.layer, digest: digestOf(bytes), size: bytes.length })),
    });
    ok(await call("PUT", `/v2/app/manifests/${tag}`, manifest, { "content-type": types.manifest }), 201);
    images.set(tag, digestOf(manifest));
  }

  try {
    for (let round = 0; round < kills; round++) {
      server = await startProcess(home, port);
      for (const digest of blobs) assert.equal(digestOf((await call("GET", `/v2/app/blobs/${digest}`)).body), digest);
      for (const [tag, digest] of images) assert.equal(digestOf((await call("GET", `/v2/app/manifests/${tag}`)).body), digest);
      // An upload that was begun before the kill is gone on with after it.
      const kept = await call("POST", "/v2/app/blobs/uploads/");
      ok(kept, 202);
      ok(await call("PATCH", kept.headers.location!, `kept ${round}, `), 202);
      let killed = false;
      const pushing = Array.from({ length: 4 }, async (_, worker) => {
        for (let turn = 0; !killed; turn++) {
          try {
            await pushOne(`r${round}-${worker}-${turn}`);
          } catch (error) {
            if (!killed || error instanceof assert.AssertionError) throw error;
          }
        }
      });
      // One push at least comes through before the first kill.
      if (round === 0) await until("an image", () => images.size > 0);
      await pause(Math.random() * 300);
      killed = true;
      await server.kill();
      await Promise.all(pushing);
      server = await startProcess(home, port);
      const bytes = `kept ${round}, and completed`;
      const status = await call("GET", kept.headers.location!);
      ok(status, 204);
      const have = Number(status.headers.range!.split("-")[1]) + 1;
      assert.equal(have, `kept ${round}, `.length);
      ok(await call("PUT", `${kept.headers.location}?digest=${digestOf(bytes)}`, bytes.slice(have)), 201);
      blobs.add(digestOf(bytes));
      await server.kill();
      server = undefined;
    }
    assert.ok(images.size > 0, "some pushes came through");
  } finally {
    await server?.kill();
    await rm(home, { recursive: true, force: true });
  }
});
