/** Writes docs/coverage.md: every operation of every service that has a table, and whether a handler is registered. `node tools/generate-coverage.ts [--check]`. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serviceTable } from "#api/schema.ts";
import { services } from "#api/services.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createParts } from "#server/parts.ts";
import { openSqliteStore } from "#store/sqlite.ts";

export const coveragePath = new URL("../docs/coverage.md", import.meta.url).pathname;

/** What the parts register, asked of the parts themselves. */
export async function coverageText(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "gantry-coverage-"));
  const store = await openSqliteStore({ path: ":memory:", clock: systemClock });
  try {
    const config = readConfig({ GANTRY_HOME: home });
    const parts = createParts({
      store,
      clock: systemClock,
      random: systemRandom,
      vault: createVault([new Uint8Array(32)]),
      sealer: createSealer(Buffer.alloc(32)),
      config,
      log: silentLogger,
    });
    const registered = new Map<string, Set<string>>();
    for (const { service, handlers } of parts.flatMap((part) => part.registrations ?? [])) {
      const known = registered.get(service) ?? new Set();
      for (const name of Object.keys(handlers)) known.add(name);
      registered.set(service, known);
    }
    const sections: string[] = [];
    const rows: string[] = [];
    for (const { service } of services) {
      const { serviceId, operations } = serviceTable(service);
      const names = Object.keys(operations);
      const there = registered.get(service) ?? new Set();
      rows.push(`| ${serviceId} | ${there.size} | ${names.length} |`);
      if (there.size === 0) continue;
      sections.push(
        `## ${serviceId}\n\n| operation | |\n|---|---|\n${names.map((name) => `| ${name} | ${there.has(name) ? "yes" : "501 NotImplemented"} |`).join("\n")}\n`,
      );
    }
    return `# Coverage\n\nMade by tools/generate-coverage.ts from the AWS SDK's schemas and the registered handlers. What is not there answers \`501 NotImplemented\` and names\nitself.\n\n| service | there | of |\n|---|---|---|\n${rows.join("\n")}\n\n${sections.join("\n")}`;
  } finally {
    await store.close();
    await rm(home, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const text = await coverageText();
  if (!process.argv.includes("--check")) writeFileSync(coveragePath, text);
  else if (readFileSync(coveragePath, "utf8") !== text) {
    process.stderr.write("docs/coverage.md is stale: run node tools/generate-coverage.ts\n");
    process.exitCode = 1;
  }
  process.exit();
}
