/** What lies on the disk is unreadable, and the key can be exchanged: while others write, and with a crash after any step. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as Kms from "@aws-sdk/client-kms";
import * as Sdk from "@aws-sdk/client-secrets-manager";
import * as Ssm from "@aws-sdk/client-ssm";
import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { rootPrincipal } from "#api/credentials.ts";
import { loadKeys } from "#platform/key-file.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createVault, keyIdOf, sealedPrefix, type Vault } from "#platform/vault.ts";
import { createVaultKeys } from "#server/vault-keys.ts";
import { createKms } from "#services/kms/index.ts";
import { createSecretsManager } from "#services/secretsmanager/index.ts";
import { createSsm } from "#services/ssm/index.ts";
import type { Store } from "#store/store.ts";
import { startServer } from "../support/http.ts";

const marks = ["Plaintext-of-a-secret-31", "Plaintext-of-a-parameter-32", "Plaintext-of-a-new-version-33"];

async function start() {
  const keys = await mkdtemp(join(tmpdir(), "gantry-keys-"));
  const file = { path: join(keys, "secrets.key"), make: true };
  const vault = createVault(await loadKeys(file, systemRandom));
  let keyPart: ServerPart | undefined;
  let deps: ServerDeps | undefined;
  const server = await startServer({
    parts: (given) => {
      deps = { ...given, vault };
      keyPart = createVaultKeys({ ...deps, file });
      return [keyPart, createKms(deps), createSecretsManager(deps), createSsm(deps)];
    },
  });
  const asker = { account: "000000000000", region: "us-east-1", now: Date.now(), principal: rootPrincipal("000000000000", "k") };
  return {
    server,
    vault,
    file,
    store: deps!.store,
    rotate: () => keyPart!.questions!.find(({ path }) => path === "/_gantry/keys/rotate")!.answer(new URLSearchParams(), asker),
    sm: new Sdk.SecretsManagerClient(server.sdk()),
    ssm: new Ssm.SSMClient(server.sdk()),
    kms: new Kms.KMSClient(server.sdk()),
    async close() {
      await server.close();
      await rm(keys, { recursive: true, force: true });
    },
  };
}

async function fill({ sm, ssm, kms }: Awaited<ReturnType<typeof start>>) {
  const key = (await kms.send(new Kms.CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  await sm.send(new Sdk.CreateSecretCommand({ Name: "s", SecretString: marks[0], KmsKeyId: key }));
  await sm.send(new Sdk.PutSecretValueCommand({ SecretId: "s", SecretString: marks[2] }));
  await ssm.send(new Ssm.PutParameterCommand({ Name: "/p", Value: marks[1], Type: "SecureString" }));
  const { CiphertextBlob } = await kms.send(new Kms.EncryptCommand({ KeyId: key, Plaintext: Buffer.from("given out") }));
  return async () => {
    assert.equal((await sm.send(new Sdk.GetSecretValueCommand({ SecretId: "s" }))).SecretString, marks[2]);
    assert.equal((await sm.send(new Sdk.GetSecretValueCommand({ SecretId: "s", VersionStage: "AWSPREVIOUS" }))).SecretString, marks[0]);
    assert.equal((await ssm.send(new Ssm.GetParameterCommand({ Name: "/p", WithDecryption: true }))).Parameter!.Value, marks[1]);
    assert.equal(Buffer.from((await kms.send(new Kms.DecryptCommand({ CiphertextBlob }))).Plaintext!).toString(), "given out");
  };
}

/** The ids of the keys that the store's sealed texts need. */
async function keysInUse(store: Store): Promise<string[]> {
  const text = JSON.stringify((await store.list("/")).entries);
  return [
    ...new Set([...text.matchAll(new RegExp(`${sealedPrefix.replaceAll(".", "\\.")}([0-9a-f]{16})\\.`, "g"))].map((match) => match[1]!)),
  ];
}

const idOf = async (path: string) => keyIdOf(Buffer.from((await readFile(path, "utf8")).trim(), "hex"));

test("no plaintext in the store's files; a rotation leaves nothing under the old key, and all is there", async () => {
  const gantry = await start();
  try {
    const check = await fill(gantry);
    const found = (...words: string[]) => {
      try {
        return execFileSync("grep", ["-r", "-l", "-a", ...words.flatMap((word) => ["-e", word]), gantry.server.home], { encoding: "utf8" });
      } catch {
        return "";
      }
    };
    assert.ok(found("SecretRecord-is-not-there", "alias/aws/ssm") !== "", "the search finds what is there");
    assert.equal(found(...marks, ...marks.map((mark) => Buffer.from(mark).toString("base64").slice(0, 24))), "");
    const before = await idOf(gantry.file.path);
    assert.deepEqual(await keysInUse(gantry.store), [before]);
    await gantry.rotate();
    const now = await idOf(gantry.file.path);
    assert.notEqual(now, before);
    assert.deepEqual(await keysInUse(gantry.store), [now]);
    await check();
  } finally {
    await gantry.close();
  }
});

test("while a rotation runs others write: nothing is lost, nothing is left under the old key", async () => {
  const gantry = await start();
  try {
    const check = await fill(gantry);
    let writing = true;
    let written = 0;
    const writer = (async () => {
      for (; writing && written < 500; written++)
        await gantry.ssm.send(new Ssm.PutParameterCommand({ Name: `/w/${written}`, Value: `w${written}`, Type: "SecureString" }));
    })();
    for (let i = 0; i < 5; i++) await gantry.rotate();
    writing = false;
    await writer;
    await check();
    assert.deepEqual(await keysInUse(gantry.store), [await idOf(gantry.file.path)]);
    for (let i = 0; i < written; i++)
      assert.equal(
        (await gantry.ssm.send(new Ssm.GetParameterCommand({ Name: `/w/${i}`, WithDecryption: true }))).Parameter!.Value,
        `w${i}`,
      );
    assert.ok(written > 0);
  } finally {
    await gantry.close();
  }
});

test("a crash after any step of a rotation: the next start ends it, and all is there", async () => {
  for (let steps = 0; ; steps++) {
    const gantry = await start();
    try {
      const check = await fill(gantry);
      const before = await idOf(gantry.file.path);
      const dead = new Error("the power went");
      let left = steps;
      const step = () => {
        if (left-- <= 0) throw dead;
      };
      const store: Store = { ...bound(gantry.store), transaction: async (transaction) => (step(), gantry.store.transaction(transaction)) };
      const part = createVaultKeys({
        store,
        vault: gantry.vault,
        random: { ...systemRandom, hex: (count) => (step(), systemRandom.hex(count)) },
        log: silentLogger,
        file: gantry.file,
      });
      const asker = { account: "", region: "", now: 0, principal: rootPrincipal("000000000000", "k") };
      const died = await Promise.resolve(
        part.questions!.find(({ path }) => path === "/_gantry/keys/rotate")!.answer(new URLSearchParams(), asker),
      ).then(
        () => false,
        (error: unknown) => {
          assert.equal(error, dead);
          return true;
        },
      );
      // Another process: it knows what the file says and nothing else.
      gantry.vault.use(await loadKeys(gantry.file, systemRandom));
      await check();
      await createVaultKeys({ store: gantry.store, vault: gantry.vault, random: systemRandom, log: silentLogger, file: gantry.file })
        .start!();
      await check();
      const keys = await loadKeys(gantry.file, systemRandom);
      assert.equal(keys.length, 1);
      assert.deepEqual(await keysInUse(gantry.store), [keyIdOf(keys[0]!)]);
      if (!died) {
        assert.notEqual(await idOf(gantry.file.path), before);
        assert.ok(steps >= 4, `${steps} steps`);
        return;
      }
    } finally {
      await gantry.close();
    }
  }
});

test("the key of another Gantry is refused at the start", async () => {
  const gantry = await start();
  try {
    const other: Vault = createVault([Buffer.alloc(32, 9)]);
    const part = createVaultKeys({ store: gantry.store, vault: other, random: systemRandom, log: silentLogger, file: gantry.file });
    await assert.rejects(part.start!(), /is not the one that this Gantry's secrets are encrypted with/);
  } finally {
    await gantry.close();
  }
});

const bound = (store: Store): Store => ({
  get: (key) => store.get(key),
  list: (prefix, options) => store.list(prefix, options),
  transaction: (transaction) => store.transaction(transaction),
  watch: (prefix, options) => store.watch(prefix, options),
  lease: (ttl) => store.lease(ttl),
  close: () => store.close(),
});
