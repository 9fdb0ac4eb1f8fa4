import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { systemClock } from "#platform/clock.ts";
import { withNames, writeNames } from "./hosts-file.ts";

const web = { name: "web.elb", addresses: ["198.18.0.1"] };

test("names come and go; every other line stays as it was", () => {
  const line = fc.constantFrom("127.0.0.1 localhost", "", "# comment", "10.0.0.1 a b", "::1 x");
  fc.assert(
    fc.property(fc.array(line), fc.boolean(), (lines, ended) => {
      const text = lines.join("\n") + (ended && lines.length > 0 ? "\n" : "");
      const one = withNames(text, "aaaaaaaa", [web]);
      assert.equal(withNames(one, "aaaaaaaa", [web]), one);
      const both = withNames(one, "bbbbbbbb", [{ name: "other.elb", addresses: ["198.18.9.9"] }]);
      const without = withNames(both, "aaaaaaaa", []);
      assert.ok(without.includes("198.18.9.9 other.elb") && !without.includes("web.elb"));
      assert.equal(withNames(without, "bbbbbbbb", []).trimEnd(), text.trimEnd());
    }),
  );
});

test("a block that was cut off takes nothing else with it", () => {
  const cut = withNames("127.0.0.1 localhost\n", "aaaaaaaa", [web]).split("\n").slice(0, 2).join("\n") + "\n10.0.0.1 theirs\n";
  assert.equal(withNames(cut, "aaaaaaaa", []), "127.0.0.1 localhost\n10.0.0.1 theirs\n");
});

test("eight Gantrys at once lose none of their names", async () => {
  const directory = mkdtempSync(join(tmpdir(), "hosts-"));
  const path = join(directory, "hosts");
  writeFileSync(path, "127.0.0.1 localhost\n");
  const all = Array.from({ length: 8 }, (_, n) => `0000000${n}`);
  const write = (names: boolean) =>
    Promise.all(
      all.map((instance) =>
        writeNames({ path, instance, clock: systemClock }, names ? [{ name: `n${instance}`, addresses: ["198.18.0.1"] }] : []),
      ),
    );
  try {
    await write(true);
    for (const instance of all) assert.ok(readFileSync(path, "utf8").includes(` n${instance}\n`));
    await write(false);
    assert.equal(readFileSync(path, "utf8"), "127.0.0.1 localhost\n");
    assert.ok(!existsSync(`${path}.gantry-lock`));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
