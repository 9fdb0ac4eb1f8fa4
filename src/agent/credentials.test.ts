import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { AgentConfigError, readAgentConfig } from "./config.ts";
import { parseProfile, watchCredentials } from "./credentials.ts";

const profile = (key: string) =>
  `[default]\naws_access_key_id = ${key}\naws_secret_access_key = s/${key}=\naws_session_token = t-${key}==\n`;

test("the default profile of a shared credentials file", () => {
  assert.deepEqual(parseProfile(profile("A")), { accessKeyId: "A", secretAccessKey: "s/A=", sessionToken: "t-A==" });
  assert.deepEqual(parseProfile(`[other]\naws_access_key_id=X\n[default]\naws_access_key_id=A\naws_secret_access_key=B\n`), {
    accessKeyId: "A",
    secretAccessKey: "B",
  });
  for (const text of ["", "[other]\naws_access_key_id=A\naws_secret_access_key=B", "[default]\naws_access_key_id=A"])
    assert.equal(parseProfile(text), undefined);
});

test("renewed credentials are used within ten seconds; a file that cannot be read changes nothing", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "gantry-credentials-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "credentials");
  const clock = new FakeClock();
  assert.throws(() => watchCredentials(path, clock, silentLogger), AgentConfigError);
  writeFileSync(path, profile("A"));
  const credentials = watchCredentials(path, clock, silentLogger);
  assert.equal(credentials.accessKeyId, "A");
  writeFileSync(path, profile("B"));
  await clock.advance(10_000);
  assert.deepEqual({ ...credentials }, { accessKeyId: "B", secretAccessKey: "s/B=", sessionToken: "t-B==" });
  writeFileSync(path, "half of it");
  await clock.advance(10_000);
  assert.equal(credentials.accessKeyId, "B");
  writeFileSync(path, profile("C"));
  await clock.advance(10_000);
  assert.equal(credentials.sessionToken, "t-C==");
});

test("keys in the environment win over the file", () => {
  const env = { GANTRY_HOME: "/tmp/x", AWS_SHARED_CREDENTIALS_FILE: "/f" };
  assert.equal(readAgentConfig(env).credentialsFile, "/f");
  assert.equal(readAgentConfig({ ...env, AWS_ACCESS_KEY_ID: "A", AWS_SECRET_ACCESS_KEY: "B" }).credentialsFile, undefined);
});
