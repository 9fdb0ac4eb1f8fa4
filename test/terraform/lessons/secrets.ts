/** KMS, Secrets Manager and Parameter Store. */
import assert from "node:assert/strict";
import type { KeyRecord, SecretRecord } from "#model/secrets-records.ts";
import type { Lesson } from "./lesson.ts";
import type { TestServer } from "../../support/http.ts";
import { fileOf } from "./lesson.ts";

const list = async <T>(server: TestServer, prefix: string) => (await server.deps.store.list<T>(prefix)).entries.map(({ value }) => value);

export const secrets: Lesson = {
  name: "secrets",
  services: ["kms", "secretsmanager", "ssm"],
  configuration: () => fileOf("secrets.tf"),
  changed: (text) =>
    text
      .replace('description             = "for the app"', 'description             = "for the app and more"')
      .replace("rotation_period_in_days = 120", "rotation_period_in_days = 365")
      .replace('description             = "of the database"', 'description             = "of the databases"')
      .replace('password = "sesame"', 'password = "new"')
      .replace('value  = "hidden"', 'value  = "hidden again"')
      .replace('value           = "12"', 'value           = "13"')
      .replaceAll('tags                    = { team = "a" }', 'tags                    = { team = "b", more = "c" }')
      .replace("secretsmanager:GetSecretValue", "secretsmanager:*"),
  async before(server) {
    // A service has used its managed key before anybody asks for it.
    await server.aws("kms", "describe-key", "--key-id", "alias/aws/ssm");
  },
  applied(outputs) {
    assert.deepEqual(outputs, {
      read: "sesame",
      parameter: "hidden",
      names: ["/app/advanced", "/app/list", "/app/plain", "/app/secure"],
      managed: 36,
    });
  },
  afterChange({ read, parameter }) {
    assert.deepEqual([read, parameter], ["new", "hidden again"]);
  },
  async destroyed(server) {
    assert.deepEqual(await list(server, "/ssm/"), []);
    // What has a window stays until it is over.
    assert.deepEqual(
      (await list<SecretRecord>(server, "/secretsmanager/")).map(({ name, deleted }) => [name, deleted !== undefined]),
      [["app/db", true]],
    );
    const keys = (await list<KeyRecord>(server, "/kms/")).filter((record) => "material" in record && record.manager === "CUSTOMER");
    assert.deepEqual(
      keys.map(({ state }) => state),
      ["PendingDeletion"],
    );
  },
};
