/** Generated files are what their generators make today: nobody edits them, nobody forgets to make them anew. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { serviceTable } from "#api/schema.ts";
import { services } from "#api/services.ts";
import { coveragePath, coverageText } from "../../tools/generate-coverage.ts";
import { packages, tableOf, tableText, typesText } from "../../tools/generate-schemas.ts";

const generated = (file: string) => readFileSync(new URL(`../../src/api/generated/${file}`, import.meta.url), "utf8");

for (const service of Object.keys(packages)) {
  test(`the table of ${service} is what the SDK's schemas give`, async () => {
    const table = await tableOf(service);
    assert.equal(generated(`${service}.json`), tableText(table), "run node tools/generate-schemas.ts");
    assert.equal(generated(`${service}.types.ts`), typesText(table), "run node tools/generate-schemas.ts");
  });
}

test("services.ts says of each service what its table says", () => {
  assert.deepEqual(services.map((each) => each.service).toSorted(), Object.keys(packages).toSorted());
  for (const { service, target, signingName, rest, version } of services) {
    const table = serviceTable(service);
    assert.deepEqual(
      [service, target, signingName, rest ?? false, version ?? table.version],
      [service, table.target, table.signingName, table.protocol.startsWith("rest"), table.version],
    );
  }
});

test("docs/coverage.md is what the parts register", async () => {
  assert.equal(readFileSync(coveragePath, "utf8"), await coverageText(), "run node tools/generate-coverage.ts");
});
