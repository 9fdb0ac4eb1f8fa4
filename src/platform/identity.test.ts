import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadIdentity } from "./identity.ts";
import { systemRandom } from "./random.ts";

test("made once, by whoever comes first, readable by its owner only", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "gantry-identity-"));
  t.after(() => rm(home, { recursive: true }));
  const all = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(home, systemRandom)));
  for (const identity of all) assert.deepEqual(identity, all[0]);
  assert.match(all[0]!.rootAccessKeyId, /^AKIA[A-Z2-7]{16}$/);
  assert.equal(all[0]!.rootSecretAccessKey.length, 40);
  assert.equal(all[0]!.sealerKey.length, 32);
  assert.equal((await stat(join(home, "identity.json"))).mode & 0o777, 0o600);
});

test("a damaged file is an error that names it, and stays as it is", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "gantry-identity-"));
  t.after(() => rm(home, { recursive: true }));
  await writeFile(join(home, "identity.json"), '{"rootAccessKeyId":"AKIA"}');
  await assert.rejects(loadIdentity(home, systemRandom), /identity\.json is damaged/);
});
