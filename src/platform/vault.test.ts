import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { ConfigError } from "./config.ts";
import { loadKeys, writeKeys } from "./key-file.ts";
import { systemRandom } from "./random.ts";
import { createVault, VaultError } from "./vault.ts";

const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)] as const;
let home: string;
before(async () => void (home = await mkdtemp(join(tmpdir(), "gantry-vault-"))));
after(() => rm(home, { recursive: true, force: true }));

test("what is sealed opens for its scope, and for no other scope, key, or after any change", () => {
  const vault = createVault([one]);
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 200 }), fc.nat(), (scope, bytes, at) => {
      const sealed = vault.seal(scope, bytes);
      assert.deepEqual([...vault.open(scope, sealed)], [...bytes]);
      assert.throws(() => vault.open(`${scope}x`, sealed), VaultError);
      assert.throws(() => createVault([two]).open(scope, sealed), VaultError);
      const changed = [...sealed];
      const place = at % changed.length;
      changed[place] = changed[place] === "A" ? "B" : "A";
      // A last letter of base64 has bits that mean nothing: the same bytes are no change.
      const same =
        sealed
          .split(".")
          .map((part) => Buffer.from(part, "base64url").toString("hex"))
          .join() ===
        changed
          .join("")
          .split(".")
          .map((part) => Buffer.from(part, "base64url").toString("hex"))
          .join();
      if (!same) assert.throws(() => vault.open(scope, changed.join("")), VaultError);
    }),
  );
});

test("two sealed texts of one value have nothing in common but their scope", () => {
  const vault = createVault([one]);
  const [a, b] = [vault.seal("s", Buffer.from("value")), vault.seal("s", Buffer.from("value"))];
  assert.notEqual(a.split(".").at(-1), b.split(".").at(-1));
  assert.notEqual(a.split(".").at(-2), b.split(".").at(-2));
});

test("the first key seals, all open; resealing moves to the first", () => {
  const vault = createVault([one]);
  const old = vault.seal("s", Buffer.from("value"));
  vault.use([two, one]);
  assert.equal(vault.open("s", old).toString(), "value");
  const fresh = vault.reseal(old)!;
  assert.equal(vault.reseal(fresh), undefined);
  vault.use([two]);
  assert.equal(vault.open("s", fresh).toString(), "value");
  assert.throws(() => vault.open("s", old), /not in the key file/);
});

test("the key file is made once, for its owner only, and replaced whole", async () => {
  const file = { path: join(home, "keys"), make: true };
  const made = await Promise.all([1, 2, 3].map(() => loadKeys(file, systemRandom)));
  assert.deepEqual(made[0], made[1]);
  assert.deepEqual(made[1], made[2]);
  assert.equal((await stat(file.path)).mode & 0o777, 0o600);
  await writeKeys(file.path, [two, ...made[0]!], systemRandom);
  assert.deepEqual(await loadKeys(file, systemRandom), [two, ...made[0]!]);
  assert.equal((await stat(file.path)).mode & 0o777, 0o600);
  assert.equal((await readFile(file.path, "utf8")).split("\n").length, 3);
});

test("a key file that others can read, that is missing where it was named, or is something else is refused with what to do", async () => {
  const path = join(home, "given");
  await assert.rejects(
    loadKeys({ path, make: false }, systemRandom),
    (error) => error instanceof ConfigError && /openssl rand -hex 32/.test(error.message),
  );
  await writeFile(path, `${one.toString("hex")}\n`, { mode: 0o600 });
  assert.deepEqual(await loadKeys({ path, make: false }, systemRandom), [one]);
  await chmod(path, 0o640);
  await assert.rejects(loadKeys({ path, make: false }, systemRandom), /chmod 600/);
  await chmod(path, 0o600);
  await writeFile(path, "not a key\n");
  await assert.rejects(loadKeys({ path, make: false }, systemRandom), /64 hex digits/);
});
