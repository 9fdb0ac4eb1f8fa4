/** KMS, Secrets Manager and Parameter Store by real Terraform: applied, planned clean, changed in place, destroyed. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { KeyRecord, SecretRecord } from "#model/secrets-records.ts";
import { createKms } from "#services/kms/index.ts";
import { createSecretsManager } from "#services/secretsmanager/index.ts";
import { createSsm } from "#services/ssm/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer } from "../support/http.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;
const source = new URL("secrets.tf", import.meta.url);

test(
  "Terraform applies keys, aliases, secrets and parameters, plans clean, changes them, destroys them",
  { skip, timeout: 600_000 },
  async () => {
    assert.ok("terraform" in found);
    const server = await startServer({ parts: (deps) => [createSts(deps), createKms(deps), createSecretsManager(deps), createSsm(deps)] });
    const terraform = await startTerraform(found, server.endpoint, ["kms", "secretsmanager", "ssm", "sts", "iam"]);
    const list = async <T>(prefix: string) => (await server.deps.store.list<T>(prefix)).entries.map(({ value }) => value);
    try {
      const configuration = await readFile(source, "utf8");
      // A service has used its managed key before anybody asks for it.
      await server.aws("kms", "describe-key", "--key-id", "alias/aws/ssm");
      await terraform.apply(configuration);
      const clean = await terraform.plan();
      assert.equal(clean.code, 0, clean.text);
      assert.deepEqual(await terraform.outputs(), {
        read: "sesame",
        parameter: "hidden",
        names: ["/app/advanced", "/app/list", "/app/plain", "/app/secure"],
        managed: 36,
      });

      const changed = configuration
        .replace('description             = "for the app"', 'description             = "for the app and more"')
        .replace("rotation_period_in_days = 120", "rotation_period_in_days = 365")
        .replace('description             = "of the database"', 'description             = "of the databases"')
        .replace('password = "sesame"', 'password = "new"')
        .replace('value  = "hidden"', 'value  = "hidden again"')
        .replace('value           = "12"', 'value           = "13"')
        .replaceAll('tags                    = { team = "a" }', 'tags                    = { team = "b", more = "c" }')
        .replace("secretsmanager:GetSecretValue", "secretsmanager:*");
      await terraform.apply(changed);
      const again = await terraform.plan();
      assert.equal(again.code, 0, again.text);
      const { read, parameter } = await terraform.outputs();
      assert.deepEqual([read, parameter], ["new", "hidden again"]);

      await terraform.destroy();
      assert.deepEqual(await list("/ssm/"), []);
      // What has a window stays until it is over.
      assert.deepEqual(
        (await list<SecretRecord>("/secretsmanager/")).map(({ name, deleted }) => [name, deleted !== undefined]),
        [["app/db", true]],
      );
      const keys = (await list<KeyRecord>("/kms/")).filter((record) => "material" in record && record.manager === "CUSTOMER");
      assert.deepEqual(
        keys.map(({ state }) => state),
        ["PendingDeletion"],
      );
    } finally {
      await terraform.remove();
      await server.close();
    }
  },
);
