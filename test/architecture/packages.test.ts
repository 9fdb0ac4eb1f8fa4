/** What is installed is what is used, and what is written down. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { test } from "node:test";

const root = new URL("../..", import.meta.url).pathname;
const read = (file: string) => readFileSync(`${root}${file}`, "utf8");
const manifest = JSON.parse(read("package.json")) as Record<"dependencies" | "devDependencies", Record<string, string>>;
const lock = read("package-lock.json");

/** Packages that a run-time file of src imports for more than their types. */
function imported(): string[] {
  const found = new Set<string>();
  for (const file of globSync("src/**/*.ts", { cwd: root }).filter((name) => !name.endsWith(".test.ts")))
    for (const [, specifier = ""] of read(file).matchAll(
      /(?:^import (?!type )[^;]*?from|^export [^;]*?from|import\()\s*"([^"#.][^"]*)"/gms,
    ))
      if (!isBuiltin(specifier))
        found.add(
          specifier
            .split("/")
            .slice(0, specifier.startsWith("@") ? 2 : 1)
            .join("/"),
        );
  return [...found].toSorted();
}

test("a run needs exactly the packages that src imports: the rest is for development", () => {
  assert.deepEqual(imported(), Object.keys(manifest.dependencies).toSorted());
});

test("package-lock.json belongs to package.json, and names no host", () => {
  const { packages } = JSON.parse(lock) as { packages: Record<string, Record<string, unknown>> };
  assert.deepEqual(packages[""]?.dependencies, manifest.dependencies);
  assert.deepEqual(packages[""]?.devDependencies, manifest.devDependencies);
  assert.ok(!lock.includes('"resolved"'), "the registry is the user's choice: see .npmrc");
});

test("every Debian package has a command that shows it, and a reason", () => {
  for (const file of ["setup/packages-run.txt", "setup/packages-test.txt"])
    for (const line of read(file)
      .split("\n")
      .filter((text) => text !== "" && !text.startsWith("#")))
      assert.match(line, /^[a-z0-9][a-z0-9.+-]+ +(-|[a-z0-9.-]+) +\S+ \S+/, `${file}: ${line}`);
});
