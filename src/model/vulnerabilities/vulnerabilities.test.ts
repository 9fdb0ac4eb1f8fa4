import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseOsRelease } from "../image-packages/os-release.ts";
import { parseApkInstalled, parseDpkgStatus } from "../image-packages/packages.ts";
import { compareDpkg } from "../versions/dpkg.ts";
import { isAffected } from "./affected.ts";
import { cvss3BaseScore } from "./cvss.ts";
import { ecosystemOf } from "./ecosystems.ts";
import { type Advisory, findingsOf } from "./findings.ts";
import { type OsvEvent, OsvError, parseOsv } from "./osv.ts";
import { qualitative, ratingOf } from "./severity.ts";

/** As NVD and FIRST's examples have them. */
test("CVSS 3 base scores", () => {
  const scores: Record<string, number> = {
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 9.8,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H": 10,
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N": 7.5,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N": 6.1,
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H": 7.8,
    "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H": 8.1,
    "CVSS:3.0/AV:L/AC:H/PR:L/UI:N/S:C/C:H/I:N/A:N": 5.6,
    "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H": 9.9,
    "CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 6.8,
    "CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H": 6.5,
    "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N": 2.5,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N": 0,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O": 9.8,
  };
  for (const [vector, score] of Object.entries(scores)) assert.equal(cvss3BaseScore(vector), score, vector);
  for (const wrong of [
    "",
    "CVSS:3.1/AV:N",
    "CVSS:4.0/AV:N/AC:L",
    "AV:N/AC:L/Au:N/C:P/I:P/A:P",
    "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:constructor/UI:N/S:U/C:H/I:H/A:H",
  ])
    assert.equal(cvss3BaseScore(wrong), undefined, wrong);
  assert.deepEqual([0, 0.1, 3.9, 4, 6.9, 7, 8.9, 9].map(qualitative), [
    "INFORMATIONAL",
    "LOW",
    "LOW",
    "MEDIUM",
    "MEDIUM",
    "HIGH",
    "HIGH",
    "CRITICAL",
  ]);
});

const record = (more: object) => parseOsv({ id: "X-1", modified: "2026-01-01T00:00:00Z", ...more });
const affects = (more: object = {}) => ({ package: { ecosystem: "Ubuntu:22.04:LTS", name: "p" }, ...more });

test("the distribution's own word comes before the score", () => {
  const score = { type: "CVSS_V3", score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" };
  const severityOf = (more: object, affected: object = {}) => {
    const osv = record({ ...more, affected: [affects(affected)] });
    return ratingOf(osv, osv.affected[0]!).severity;
  };
  assert.equal(severityOf({ severity: [score] }), "CRITICAL");
  assert.equal(severityOf({ severity: [{ type: "Ubuntu", score: "medium" }, score] }), "MEDIUM");
  assert.equal(severityOf({ severity: [{ type: "Ubuntu", score: "untriaged" }, score] }), "CRITICAL");
  assert.equal(severityOf({ severity: [score] }, { ecosystem_specific: { urgency: "unimportant" } }), "INFORMATIONAL");
  assert.equal(severityOf({ severity: [score] }, { ecosystem_specific: { urgency: "not yet assigned" } }), "CRITICAL");
  assert.equal(severityOf({ database_specific: { severity: "Important" } }), "HIGH");
  assert.equal(severityOf({}), "UNDEFINED");
});

test("what a record is about", () => {
  assert.deepEqual(record({ id: "DEBIAN-CVE-2024-1234", upstream: ["CVE-2024-9"] }).names, ["CVE-2024-1234"]);
  assert.deepEqual(
    [record({ id: "DSA-1-1", upstream: ["CVE-2024-1", "CVE-2024-2"] }).names, record({ id: "GHSA-x", aliases: ["CVE-2024-1"] }).single],
    [["CVE-2024-1", "CVE-2024-2"], true],
  );
  assert.deepEqual(record({ id: "RLSA-2024:1" }).names, ["RLSA-2024:1"]);
  for (const wrong of [null, [], "x", {}, { id: "x" }, { id: "x", modified: "never" }]) assert.throws(() => parseOsv(wrong), OsvError);
  // What is of another shape is left out; nothing of it breaks the import.
  const odd = record({
    aliases: 5,
    affected: [
      null,
      { package: 7 },
      affects({
        ranges: [
          { type: "GIT", events: [] },
          { type: "ECOSYSTEM", events: [7, {}, { limit: "1" }] },
        ],
        versions: [1, "2"],
      }),
    ],
    references: [{ url: "javascript:x" }],
  });
  assert.deepEqual(
    odd.affected.map(({ ranges, versions }) => [ranges, versions]),
    [[[[]], ["2"]]],
  );
  assert.match(odd.uri, /^https:\/\/osv\.dev\//);
});

test("affected versions, by the last event that was reached", () => {
  const events: OsvEvent[] = [{ fixed: "5" }, { introduced: "3" }, { introduced: "0" }, { fixed: "2" }];
  const at = (version: string, given: readonly OsvEvent[] = events) =>
    isAffected({ ranges: [given], versions: ["9"] }, version, compareDpkg);
  assert.deepEqual(
    ["0", "1", "2", "2.5", "3", "4.9", "5", "6", "9"].map((version) => at(version)),
    [true, true, false, false, true, true, false, false, true],
  );
  assert.deepEqual(
    ["1", "3", "3.1"].map((version) => at(version, [{ introduced: "0" }, { lastAffected: "3" }])),
    [true, true, false],
  );
  assert.equal(at("1", []), false);
});

/** By asking of each version between two events on whose side it lies: intervals, not a walk. */
test("affected versions, as intervals say", () => {
  const version = fc.constantFrom("0.1", "1", "1.1", "2~rc1", "2", "2-1", "3", "10", "1:0");
  const interval = fc.tuple(version, version).filter(([a, b]) => compareDpkg(a, b) < 0);
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 3 }), version, fc.boolean(), (intervals, asked, shuffled) => {
      // One after the other, as ranges are written.
      const apart = intervals
        .toSorted(([a], [b]) => compareDpkg(a, b))
        .filter(([from], index, all) => index === 0 || compareDpkg(all[index - 1]![1], from) < 0);
      const disjoint = apart.every(([from], index) => index === 0 || compareDpkg(apart[index - 1]![1], from) < 0);
      fc.pre(disjoint);
      const events = apart.flatMap(([introduced, fixed]): OsvEvent[] => [{ introduced }, { fixed }]);
      const naive = apart.some(([from, to]) => compareDpkg(from, asked) <= 0 && compareDpkg(asked, to) < 0);
      assert.equal(isAffected({ ranges: [shuffled ? events.toReversed() : events], versions: [] }, asked, compareDpkg), naive);
    }),
    { numRuns: 2000 },
  );
});

test("releases as OSV names them", () => {
  const names = (text: string) => {
    const release = parseOsRelease(text);
    return release && ecosystemOf(release)?.names[0];
  };
  assert.equal(names('ID=debian\nVERSION_ID="12"'), "Debian:12");
  assert.equal(names("ID=ubuntu\nVERSION_ID='22.04'\n"), "Ubuntu:22.04:LTS");
  assert.equal(names("ID=alpine\nVERSION_ID=3.19.1"), "Alpine:v3.19");
  assert.equal(names("ID=alpine\nVERSION_ID=3.23.0_alpha20250612"), "Alpine:edge");
  assert.equal(names('ID="rocky"\nVERSION_ID="9.3"'), "Rocky Linux:9");
  assert.equal(names('ID="almalinux"\nVERSION_ID="8.10"'), "AlmaLinux:8");
  assert.equal(names('ID="rhel"\nVERSION_ID="9.4"'), "Red Hat:enterprise_linux:9::baseos");
  assert.equal(names("ID=wolfi"), "Wolfi");
  for (const none of ["", "NAME=x", "ID=debian", "ID=amzn\nVERSION_ID=2023", "ID=fedora\nVERSION_ID=40"])
    assert.equal(names(none), undefined, none);
});

test("installed packages", () => {
  const dpkg = `Package: libc6
Status: install ok installed
Source: glibc (2.36-9+deb12u3)
Version: 2.36-9+deb12u4
Description: text
 Version: 7
 .

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-configured
Version: 1

Package: bash
Version: 5.2
`;
  assert.deepEqual(parseDpkgStatus(dpkg), [
    { name: "libc6", version: "2.36-9+deb12u4", source: "glibc", sourceVersion: "2.36-9+deb12u3" },
    { name: "bash", version: "5.2", source: "bash", sourceVersion: "5.2" },
  ]);
  assert.deepEqual(parseApkInstalled("P:musl\nV:1.2-r0\no:musl\nF:lib\nR:x\n\nP:x\nV:1\n"), [
    { name: "musl", version: "1.2-r0", source: "musl", sourceVersion: "1.2-r0" },
    { name: "x", version: "1", source: "x", sourceVersion: "1" },
  ]);
});

const advisory = (id: string, names: string[], fixed: string, single = names.length === 1): Advisory => ({
  id,
  names,
  single,
  description: "",
  uri: "",
  rating: { severity: "LOW" },
  ranges: [[{ introduced: "0" }, { fixed }]],
  versions: [],
});

test("a record about one CVE is believed before an advisory about many", () => {
  const debian = ecosystemOf({ id: "debian", versionId: "12" })!;
  const installed = [{ name: "libx", version: "2", source: "x", sourceVersion: "2" }];
  const found = findingsOf(installed, debian, (name) =>
    name === "x" ? [advisory("DSA-1-1", ["CVE-1", "CVE-2"], "3"), advisory("DEBIAN-CVE-1", ["CVE-1"], "1")] : [],
  );
  assert.deepEqual(
    found.map(({ name }) => name),
    ["CVE-2"],
  );
});

test("one flaw of one source is one finding, whatever packages were made of it", () => {
  const rocky = ecosystemOf({ id: "rocky", versionId: "9" })!;
  const of = (name: string) => ({ name, version: "0:3.0.7-1.el9", source: "openssl", sourceVersion: "0:3.0.7-1.el9" });
  const found = findingsOf([of("openssl-libs"), of("openssl"), of("openssl-devel")], rocky, () => [
    advisory("RLSA-1", ["CVE-1"], "0:3.0.7-2.el9"),
  ]);
  assert.deepEqual(
    found.map(({ name, packageName }) => [name, packageName]),
    [["CVE-1", "openssl-libs"]],
  );
});
