import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { compareApk } from "./apk.ts";
import { compareDpkg } from "./dpkg.ts";
import { comparisons } from "./index.ts";
import { compareRpm, compareSegments } from "./rpm.ts";

/** Each line: `a < b` or `a = b`. */
function holds(compare: (a: string, b: string) => number, vectors: string): void {
  for (const line of vectors.trim().split("\n")) {
    const [a = "", sign = "", b = ""] = line.trim().split(" ");
    const expected = sign === "<" ? -1 : sign === ">" ? 1 : 0;
    assert.equal(Math.sign(compare(a, b)), expected, line);
    assert.equal(Math.sign(compare(b, a)), 0 - expected, line);
  }
}

const joined = (parts: readonly string[], least: number, most: number) =>
  fc.array(fc.constantFrom(...parts), { minLength: least, maxLength: most }).map((all) => all.join(""));

const dpkgVersion = fc
  .tuple(
    fc.constantFrom("", "", "0:", "1:", "02:"),
    fc.constantFrom("0", "1", "2", "10", "01"),
    joined([".", "0", "1", "9", "a", "Z", "~", "+", "~~", "00", "10"], 0, 6),
    joined(["-1", "-0", "~", "a", "+b", "."], 0, 3),
  )
  .map((parts) => parts.join(""));

const apkVersion = fc
  .tuple(
    joined(["1", "0", "10", "01", "9"], 1, 1),
    joined([".0", ".1", ".10", ".01", ".9", ".00"], 0, 3),
    fc.constantFrom("", "", "a", "b"),
    joined(["_alpha", "_rc1", "_p2", "_git20", "_pre"], 0, 2),
    fc.constantFrom("", "-r0", "-r1", "-r10"),
  )
  .map((parts) => parts.join(""));

const rpmVersion = fc
  .tuple(
    fc.constantFrom("", "0:", "1:"),
    joined(["1", "0", "10", "a", "B", ".", "~", "^", "_", "rc", "00"], 1, 6),
    fc.constantFrom("-1", "-2.el9", "-10.el9_1"),
  )
  .map((parts) => parts.join(""));

test("dpkg orders as `dpkg --compare-versions` does", { skip: spawnSync("dpkg", ["--version"]).status !== 0 && "there is no dpkg" }, () => {
  const pairs = fc.sample(fc.tuple(dpkgVersion, dpkgVersion), { numRuns: 400, seed: 7 });
  const script = `while read -r a b; do if dpkg --compare-versions "$a" lt "$b" 2>/dev/null; then echo -1; elif dpkg --compare-versions "$a" gt "$b" 2>/dev/null; then echo 1; else echo 0; fi; done`;
  const { stdout } = spawnSync("sh", ["-c", script], { input: pairs.map(([a, b]) => `${a} ${b}\n`).join(""), encoding: "utf8" });
  const answers = stdout.trim().split("\n").map(Number);
  assert.equal(answers.length, pairs.length);
  pairs.forEach(([a, b], index) => assert.equal(Math.sign(compareDpkg(a, b)), answers[index], `${a} against ${b}`));
});

test("dpkg's corners", () =>
  holds(
    compareDpkg,
    `1.0~rc1 < 1.0
    1.0 < 1.0+b1
    1.0-1 < 1.0-1.1
    2.36-9+deb12u4 < 2.36-9+deb12u10
    9:0 > 1.0
    1:1.2.13.dfsg-1 < 1:1.3
    1.2-3-4 > 1.2-3
    0:1.0 = 1.0
    1.0-0 = 1.0
    1.001 = 1.1
    99999999999999999999999 < 100000000000000000000000`,
  ));

/** As apk-tools' own list of version tests has them, and apk-package(5). */
test("apk's corners", () =>
  holds(
    compareApk,
    `2.34 > 0.1.0_alpha
    0.1.0_alpha = 0.1.0_alpha
    0.1.0_alpha < 0.1.3_alpha
    0.1.0_alpha2 > 0.1.0_alpha
    0.1.0_alpha_pre2 < 0.1.0_alpha
    2.2.39-r1 > 1.0.4-r3
    1.0.4-r3 < 1.0.4-r4
    1.6 > 1.6_rc1
    6.0_pre1 < 6.0
    6.1_pre1 < 6.1
    6.0_p1 > 6.0
    1.0_p10-r0 > 1.0_p9-r0
    20050718-r1 < 20050718-r2
    1.3.2a > 1.3.2
    1.3.2a < 1.3.2b
    1.3.2.1 > 1.3.2a
    0.01 < 0.1
    0.09 < 0.1
    1.10 > 1.9
    1.36.1-r15 < 1.36.1-r16
    1.0 < 1.0-r0
    3.0_git20200101 < 3.0_p1
    1.0~abcdef-r1 = 1.0-r1
    nonsense < 0`,
  ));

/** As RPM's manual and its own tests have them. */
test("rpm's corners", () =>
  holds(
    compareRpm,
    `1.0 < 2.0
    2.0.1 < 2.0.1a
    5.5p1 < 5.5p2
    5.5p10 > 5.5p1
    10xyz < 10.1xyz
    xyz10 < xyz10.1
    xyz.4 < 8
    xyz.4 < 2
    5.6 = 5_6
    10.0001 = 10.1
    1.0~rc1 < 1.0
    1.0~rc1 < 1.0~rc2
    1.0~rc1~git123 < 1.0~rc1
    1.0^ > 1.0
    1.0^git1 < 1.01
    1.0^git1~pre < 1.0^git1
    1.0^20160101 < 1.0.1
    6.0.rc1 > 6.0
    0:3.0.7-27.el9 = 3.0.7-27.el9
    1:1.0-1 > 9.0-1
    3.0.7-27.el9 < 3.0.7-27.el9_4
    3.0.7-27.el9 = 3.0.7`,
  ));

/** rpmvercmp in the way its authors tell it: step by step along both texts. */
function naiveSegments(left: string, right: string): number {
  let [a, b] = [left, right];
  const strip = (text: string) => text.replace(/^[^0-9A-Za-z~^]+/, "");
  for (;;) {
    [a, b] = [strip(a), strip(b)];
    if (a.startsWith("~") || b.startsWith("~")) {
      if (!a.startsWith("~")) return 1;
      if (!b.startsWith("~")) return -1;
      [a, b] = [a.slice(1), b.slice(1)];
      continue;
    }
    if (a.startsWith("^") || b.startsWith("^")) {
      if (a === "") return -1;
      if (b === "") return 1;
      if (!a.startsWith("^")) return 1;
      if (!b.startsWith("^")) return -1;
      [a, b] = [a.slice(1), b.slice(1)];
      continue;
    }
    if (a === "" || b === "") return a === b ? 0 : a === "" ? -1 : 1;
    const kind = /^[0-9]/.test(a) ? /^[0-9]+/ : /^[A-Za-z]+/;
    const x = kind.exec(a)![0];
    const y = kind.exec(b)?.[0];
    if (y === undefined) return /^[0-9]/.test(a) ? 1 : -1;
    const difference = /^[0-9]/.test(x) ? Number(BigInt(x) - BigInt(y)) : x < y ? -1 : x > y ? 1 : 0;
    if (difference !== 0) return Math.sign(difference);
    [a, b] = [a.slice(x.length), b.slice(y.length)];
  }
}

test("rpm's segments are compared as told step by step", () => {
  const text = joined(["1", "0", "10", "a", "B", ".", "~", "^", "_", "rc", "00", "+"], 0, 8);
  fc.assert(
    fc.property(text, text, (a, b) => assert.equal(Math.sign(compareSegments(a, b)), naiveSegments(a, b))),
    { numRuns: 3000 },
  );
});

for (const [scheme, version] of [
  ["dpkg", dpkgVersion],
  ["apk", apkVersion],
  ["rpm", rpmVersion],
] as const)
  test(`${scheme}: an order, of valid versions and of any text`, () => {
    const compare = comparisons[scheme];
    const any = fc.oneof({ weight: 9, arbitrary: version }, { weight: 1, arbitrary: fc.string({ maxLength: 6 }) });
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        assert.equal(Math.sign(compare(a, b)), 0 - Math.sign(compare(b, a)));
        assert.equal(compare(a, a), 0);
        if (compare(a, b) <= 0 && compare(b, c) <= 0) assert.ok(compare(a, c) <= 0, `${a} ${b} ${c}`);
      }),
      { numRuns: 5000 },
    );
  });
