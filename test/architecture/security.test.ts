/** docs/security.md promises nothing without a test: each that it names exists, and each promise names one. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../..", import.meta.url).pathname;
const page = readFileSync(`${root}docs/security.md`, "utf8");
const [promised = "", notPromised] = page.split("## What is not promised");

/** The tests that a line names: a file in backquotes, then names in quotes until the next file. */
function namedIn(line: string): { readonly file: string; readonly name: string }[] {
  const found: { file: string; name: string }[] = [];
  let file = "";
  for (const [, path, name] of line.matchAll(/`((?:test|src)\/[\w./-]+\.test\.ts)`|"([^"]+)"/g)) {
    if (path !== undefined) file = path;
    else if (file !== "" && name !== undefined) found.push({ file, name });
  }
  return found;
}

const promises = promised.split("\n").filter((line) => line.startsWith("- "));

test("each promise names a test", () => {
  assert.ok(promises.length > 20);
  assert.deepEqual(
    promises.filter((line) => namedIn(line).length === 0),
    [],
  );
});

test("each test that is named exists", () => {
  const missing = promises.flatMap(namedIn).filter(({ file, name }) => {
    if (!existsSync(root + file)) return true;
    const text = readFileSync(root + file, "utf8");
    return ![`"${name}"`, `\`${name}\``, `"${name.replaceAll('"', '\\"')}"`].some((quoted) =>
      new RegExp(`\\b(test|it)\\(\\s*${quoted.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}`).test(text),
    );
  });
  assert.deepEqual(missing, []);
});

test("the page says what is not promised", () => assert.ok((notPromised ?? "").split("\n- ").length > 5));
