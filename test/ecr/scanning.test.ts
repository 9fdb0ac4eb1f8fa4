/** Basic scans: images are pushed as clients do it, scanned, and their findings read through the SDK. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as ecr from "@aws-sdk/client-ecr";
import { parseDpkgStatus } from "#model/image-packages/packages.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import type { ScanRecord } from "#registry/records.ts";
import type { BlobStore } from "#registry/blobs/blob-store.ts";
import { createRegistry } from "#registry/registry.ts";
import { isInspected } from "#services/ecr/scanning/inspect.ts";
import { layerLimits, readFiles, UnreadableImage } from "#services/ecr/scanning/rootfs.ts";
import { scanImage, type ScanDeps } from "#services/ecr/scanning/scan.ts";
import { startRegistry, type TestRegistry, types } from "#test/registry/support.ts";
import { until } from "#test/support/until.ts";
import { apkInstalled, debian, fixed, importRecords, layer, osv, rpmHeader, status } from "./scan-support.ts";

let registry: TestRegistry;
let client: ecr.ECRClient;

before(async () => {
  registry = await startRegistry();
  ({ client } = registry);
  await importRecords(
    registry.server.home,
    osv("DEBIAN-CVE-2026-0001", "Debian:12", "openssl", fixed("3.0.15-1~deb12u1"), {
      severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
    }),
    osv("DEBIAN-CVE-2026-0002", "Debian:12", "openssl", [{ introduced: "0" }], {
      affected: [
        {
          package: { ecosystem: "Debian:12", name: "openssl" },
          ranges: [{ type: "ECOSYSTEM", events: [{ introduced: "0" }] }],
          ecosystem_specific: { urgency: "unimportant" },
        },
      ],
    }),
    osv("DSA-9000-1", "Debian:12", "zlib", fixed("1:1.3"), { upstream: ["CVE-2026-0003", "CVE-2026-0004"] }),
    osv("DEBIAN-CVE-2026-0005", "Debian:12", "bash", fixed("5.2.15-2"), { withdrawn: "2026-10-01T00:00:00Z" }),
    osv("ALPINE-CVE-2026-0006", "Alpine:v3.19", "busybox", fixed("1.36.1-r16"), {
      severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N" }],
    }),
  );
});
after(() => registry.close());

const create = (repositoryName: string, scanOnPush = false) =>
  client.send(new ecr.CreateRepositoryCommand({ repositoryName, imageScanningConfiguration: { scanOnPush } }));
const start = (repositoryName: string, imageTag = "v1") =>
  client.send(new ecr.StartImageScanCommand({ repositoryName, imageId: { imageTag } }));
const describe = (repositoryName: string, more: Partial<ecr.DescribeImageScanFindingsCommandInput> = {}) =>
  client.send(new ecr.DescribeImageScanFindingsCommand({ repositoryName, imageId: { imageTag: "v1" }, ...more }));

async function ended(repository: string): Promise<ecr.DescribeImageScanFindingsCommandOutput> {
  return until(`${repository} is scanned`, async () => {
    const answer = await describe(repository).catch((error: Error) => {
      if (error.name !== "ScanNotFoundException") throw error;
      return undefined;
    });
    return answer?.imageScanStatus?.status === "IN_PROGRESS" ? undefined : answer;
  });
}

async function scanned(repository: string, ...layers: readonly Buffer[]) {
  await create(repository);
  await registry.pushImage(repository, "v1", layers);
  await start(repository);
  return ended(repository);
}

const namesIn = ({ imageScanFindings }: ecr.DescribeImageScanFindingsCommandOutput) =>
  imageScanFindings?.findings?.map(({ name, attributes }) => `${name} ${attributes?.map(({ value }) => value).join(" ")}`);

async function fails(call: Promise<unknown>, name: string, message: RegExp) {
  await assert.rejects(call, (error: Error) => {
    assert.equal(error.name, name, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test("findings of a Debian image, as ECR shows them", async () => {
  const digest = await (async () => {
    await create("debian");
    const packages = status(["libssl3", "3.0.14-1~deb12u2", "openssl"], ["zlib1g", "1:1.2.13.dfsg-1", "zlib"], ["bash", "5.2.15-1"]);
    return registry.pushImage("debian", "v1", [gzipSync(await layer(debian(), packages))]);
  })();
  await fails(
    describe("debian"),
    "ScanNotFoundException",
    new RegExp(`^Image scan does not exist for the image with '\\{imageDigest:'${digest}', imageTag:'v1'\\}'`),
  );
  const started = await start("debian");
  assert.deepEqual(
    [started.imageScanStatus?.status, started.imageId, started.registryId],
    ["IN_PROGRESS", { imageDigest: digest, imageTag: "v1" }, "000000000000"],
  );
  const waited = await ecr.waitUntilImageScanComplete(
    { client, maxWaitTime: 120, minDelay: 1, maxDelay: 1 },
    { repositoryName: "debian", imageId: { imageTag: "v1" } },
  );
  assert.equal(waited.state, "SUCCESS");
  await registry.server.aws("ecr", "wait", "image-scan-complete", "--repository-name", "debian", "--image-id", "imageTag=v1");
  const answer = await describe("debian");
  assert.deepEqual(answer.imageScanStatus, { status: "COMPLETE", description: "The scan was completed successfully." });
  const { findings, findingSeverityCounts, vulnerabilitySourceUpdatedAt } = answer.imageScanFindings!;
  assert.deepEqual(findingSeverityCounts, { CRITICAL: 1, INFORMATIONAL: 1, UNDEFINED: 2 });
  assert.deepEqual(vulnerabilitySourceUpdatedAt, new Date("2026-11-01T10:00:00Z"));
  assert.deepEqual(findings![0], {
    name: "CVE-2026-0001",
    description: "about DEBIAN-CVE-2026-0001",
    uri: "https://example.com/DEBIAN-CVE-2026-0001",
    severity: "CRITICAL",
    attributes: [
      { key: "package_version", value: "3.0.14-1~deb12u2" },
      { key: "package_name", value: "openssl" },
      { key: "CVSS3_VECTOR", value: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" },
      { key: "CVSS3_SCORE", value: "9.8" },
    ],
  });
  assert.deepEqual(namesIn(answer)!.slice(1), [
    "CVE-2026-0002 3.0.14-1~deb12u2 openssl",
    "CVE-2026-0003 1:1.2.13.dfsg-1 zlib",
    "CVE-2026-0004 1:1.2.13.dfsg-1 zlib",
  ]);
  const pages: string[] = [];
  for await (const page of ecr.paginateDescribeImageScanFindings(
    { client, pageSize: 3 },
    { repositoryName: "debian", imageId: { imageDigest: digest } },
  ))
    pages.push(page.imageScanFindings!.findings!.map(({ name }) => name).join());
  assert.deepEqual(pages, ["CVE-2026-0001,CVE-2026-0002,CVE-2026-0003", "CVE-2026-0004"]);
  await fails(describe("debian", { maxResults: 1001 }), "InvalidParameterException", /maxResults/);
  await fails(describe("debian", { nextToken: "x" }), "InvalidParameterException", /nextToken/);
  const { imageDetails } = await client.send(new ecr.DescribeImagesCommand({ repositoryName: "debian" }));
  assert.equal(imageDetails![0]!.imageScanStatus?.status, "COMPLETE");
  assert.deepEqual(imageDetails![0]!.imageScanFindingsSummary?.findingSeverityCounts, findingSeverityCounts);
  await fails(start("debian"), "LimitExceededException", /^The scan quota per image has been exceeded/);
  // What is known anew is worth a scan.
  await importRecords(registry.server.home, osv("DEBIAN-CVE-2026-0007", "Debian:12", "bash", fixed("6")));
  await start("debian");
  assert.equal(namesIn(await ended("debian"))!.length, 5);
});

test("layers lie upon each other: whiteouts, opaque directories, what was deleted", async () => {
  const old = status(["libssl3", "3.0.14-1", "openssl"], ["bash", "5.2.15-1"]);
  const upgraded = await scanned(
    "upgraded",
    await layer(debian(), old),
    zstdCompressSync(await layer(status(["libssl3", "3.0.20-1", "openssl"]))),
  );
  assert.deepEqual(namesIn(upgraded), ["CVE-2026-0002 3.0.20-1 openssl"]);
  const gone = await scanned("gone", await layer(debian(), old), await layer({ name: "var/lib/dpkg/.wh.status", text: "" }));
  assert.equal(gone.imageScanStatus?.status, "FAILED");
  // Distroless: a file for each package, one of which a later layer takes away, another one it brings.
  const part = (name: string, version: string) => ({
    name: `./var/lib/dpkg/status.d/${name}`,
    text: `Package: ${name}\nVersion: ${version}\n`,
  });
  const distroless = await scanned(
    "distroless",
    await layer(debian(), part("openssl", "3.0.14-1"), part("zlib", "1:1.2"), { name: "var/lib/dpkg/status.d/zlib.md5sums", text: "x" }),
    await layer({ name: "./var/lib/dpkg/status.d/.wh.openssl", text: "" }),
  );
  assert.deepEqual(namesIn(distroless), ["CVE-2026-0003 1:1.2 zlib", "CVE-2026-0004 1:1.2 zlib"]);
  const opaque = await scanned(
    "opaque",
    await layer(debian(), part("openssl", "3.0.14-1")),
    await layer({ name: "var/lib/dpkg/.wh..wh..opq", text: "" }, part("bash", "7")),
  );
  assert.deepEqual([opaque.imageScanStatus?.status, namesIn(opaque)], ["COMPLETE", []]);
});

test("an Alpine image, matched by origin", async () => {
  const release = { name: "etc/os-release", text: 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.1\n' };
  const answer = await scanned(
    "alpine",
    await layer(release, apkInstalled(["ssl_client", "1.36.1-r15", "busybox"], ["busybox", "1.36.1-r15"])),
  );
  assert.deepEqual(namesIn(answer), ["CVE-2026-0006 1.36.1-r15 busybox CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N 2.5"]);
});

test("what cannot be said is a failed scan with its reason, never a clean image", async () => {
  const { imageScanStatus, imageScanFindings } = await scanned("scratch", await layer({ name: "app", text: "binary" }));
  assert.deepEqual(imageScanStatus, {
    status: "FAILED",
    description: "UnsupportedImageError: The operating system and/or package manager are not supported.",
  });
  assert.equal(imageScanFindings, undefined);
  const amazon = await scanned("amazon", await layer({ name: "etc/os-release", text: 'ID="amzn"\nVERSION_ID="2023"\n' }));
  assert.match(amazon.imageScanStatus!.description!, /^UnsupportedImageError: .* It is amzn 2023\.$/);
  const unknown = await scanned("unknown", await layer(debian("11"), status(["bash", "5"])));
  assert.equal(unknown.imageScanStatus?.status, "FAILED");
  assert.match(
    unknown.imageScanStatus!.description!,
    /^There is no vulnerability database for Debian:11, .*\.\/gantry vulnerabilities import/,
  );
  // A failed scan does not count.
  await importRecords(registry.server.home, osv("DEBIAN-CVE-2026-0008", "Debian:11", "bash", fixed("6")));
  await start("unknown");
  assert.deepEqual(namesIn(await ended("unknown")), ["CVE-2026-0008 5 bash"]);
});

test("images that are none, and images that are not there", async () => {
  await create("kinds");
  const digest = await registry.pushImage("kinds", "v1", [await layer(debian())]);
  const index = JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [{ mediaType: types.manifest, digest, size: 100 }] });
  await registry.call("PUT", "/v2/kinds/manifests/many", { body: index, headers: { "content-type": types.index } });
  await fails(start("kinds", "many"), "UnsupportedImageTypeException", /scan the images that it names/);
  await fails(start("kinds", "none"), "ImageNotFoundException", /none/);
  await fails(start("nowhere"), "RepositoryNotFoundException", /nowhere/);
  await fails(describe("kinds", { imageId: {} }), "InvalidParameterException", /imageId/);
  const artifact = { artifactType: "application/x.chart", mediaType: types.manifest, config: undefined };
  await registry.pushBlob("kinds", "{}");
  const config = {
    mediaType: "application/x.chart.config",
    digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    size: 2,
  };
  const chart = JSON.stringify({ schemaVersion: 2, ...artifact, config, layers: [] });
  const { status: put, text } = await registry.call("PUT", "/v2/kinds/manifests/chart", {
    body: chart,
    headers: { "content-type": types.manifest },
  });
  assert.equal(put, 201, text);
  await fails(start("kinds", "chart"), "UnsupportedImageTypeException", /application\/x\.chart/);
});

test("scan on push: by the repository, or by the registry's rules, once", async () => {
  const image = async () => layer(debian(), status(["openssl", "3.0.14-1"]));
  await create("auto", true);
  await registry.pushImage("auto", "v1", [await image()]);
  assert.equal(namesIn(await ended("auto"))!.length, 2);
  const completedAt = (await describe("auto")).imageScanFindings!.imageScanCompletedAt;
  // The same image by another name is not scanned again.
  await registry.pushImage("auto", "v2", [await image()]);
  const get = async (...repositoryNames: string[]) => {
    const { scanningConfigurations = [], failures } = await client.send(
      new ecr.BatchGetRepositoryScanningConfigurationCommand({ repositoryNames }),
    );
    return {
      found: scanningConfigurations.map(({ repositoryName, scanOnPush, scanFrequency, appliedScanFilters }) => [
        repositoryName,
        scanOnPush,
        scanFrequency,
        appliedScanFilters!.map(({ filter }) => filter).join(),
      ]),
      failures,
    };
  };
  assert.deepEqual((await get("auto")).found, [["auto", true, "SCAN_ON_PUSH", ""]]);
  const empty = await client.send(new ecr.GetRegistryScanningConfigurationCommand({}));
  assert.deepEqual([empty.registryId, empty.scanningConfiguration], ["000000000000", { scanType: "BASIC", rules: [] }]);
  const rules: ecr.RegistryScanningRule[] = [
    {
      scanFrequency: "SCAN_ON_PUSH",
      repositoryFilters: [
        { filter: "prod", filterType: "WILDCARD" },
        { filter: "x*y", filterType: "WILDCARD" },
      ],
    },
  ];
  const put = (scanType: ecr.ScanType, given: ecr.RegistryScanningRule[]) =>
    client.send(new ecr.PutRegistryScanningConfigurationCommand({ scanType, rules: given }));
  assert.deepEqual((await put("BASIC", rules)).registryScanningConfiguration, { scanType: "BASIC", rules });
  assert.deepEqual((await client.send(new ecr.GetRegistryScanningConfigurationCommand({}))).scanningConfiguration, {
    scanType: "BASIC",
    rules,
  });
  await create("my-prod-app");
  assert.deepEqual((await get("auto", "my-prod-app")).found, [
    ["auto", false, "MANUAL", ""],
    ["my-prod-app", true, "SCAN_ON_PUSH", "prod"],
  ]);
  assert.deepEqual(
    (await get("nowhere")).failures!.map(({ failureCode }) => failureCode),
    ["REPOSITORY_NOT_FOUND"],
  );
  await registry.pushImage("my-prod-app", "v1", [await image()]);
  assert.equal((await ended("my-prod-app")).imageScanStatus?.status, "COMPLETE");
  assert.deepEqual((await describe("auto")).imageScanFindings!.imageScanCompletedAt, completedAt);
  await fails(put("ENHANCED", []), "NotImplemented", /enhanced scanning/);
  await fails(put("BASIC", [{ ...rules[0]!, scanFrequency: "CONTINUOUS_SCAN" }]), "InvalidParameterException", /SCAN_ON_PUSH and MANUAL/);
  await fails(put("BASIC", [rules[0]!, rules[0]!]), "InvalidParameterException", /once/);
  await put("BASIC", []);
  const setting = await client.send(new ecr.GetAccountSettingCommand({ name: "BASIC_SCAN_TYPE_VERSION" }));
  assert.deepEqual([setting.name, setting.value], ["BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE"]);
  await fails(
    client.send(new ecr.PutAccountSettingCommand({ name: "BASIC_SCAN_TYPE_VERSION", value: "CLAIR" })),
    "InvalidParameterException",
    /CLAIR/,
  );
});

/** Changed bytes of a header, and its checksum made right again. */
function forge(tar: Buffer, at: number, change: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(tar);
  const header = copy.subarray(at, at + 512);
  change(header);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return copy;
}

const one = async function* (...layers: readonly Uint8Array[]) {
  for (const each of layers)
    yield (async function* () {
      yield each;
    })();
};

test("layers that were made to harm end in a failed scan, and the server goes on", async () => {
  const whole = await layer(debian(), status(["openssl", "3.0.14-1"]));
  const forged = (change: (header: Buffer) => void) => forge(whole, 0, change);
  const hostile: Record<string, Buffer> = {
    cut: gzipSync(whole).subarray(0, 60),
    garbage: Buffer.from("this is no tar at all".repeat(100)),
    trailing: Buffer.concat([gzipSync(whole), Buffer.alloc(3_000_000, "garbage")]),
    short: whole.subarray(0, 700),
    huge: forged((header) => header.write("77777777777\0", 124, "latin1")),
    "pax-huge": forged((header) => {
      header.write("x", 156);
      header.write("77777777777\0", 124, "latin1");
    }),
    checksum: Buffer.concat([Buffer.from("x"), whole.subarray(1)]),
  };
  for (const [name, bytes] of Object.entries(hostile)) {
    const { imageScanStatus } = await scanned(`hostile-${name}`, bytes);
    assert.equal(imageScanStatus?.status, "FAILED", name);
    assert.match(imageScanStatus.description!, /^The image cannot be scanned: a layer of it cannot be read: /, name);
  }
  // Eight thousand times the packages of a large image.
  const endless = gzipSync(await layer(debian(), { name: "var/lib/dpkg/status", text: "Package: a\nVersion: 1\n\n".repeat(5_000_000) }), {
    level: 1,
  });
  assert.match(
    (await scanned("hostile-endless", endless)).imageScanStatus!.description!,
    /^The image cannot be scanned: it has more than 100000 packages/,
  );
  // An archive may be padded as far as it likes.
  const padded = gzipSync(Buffer.concat([whole, Buffer.alloc(3_072_000)]));
  const second = await layer(status(["zlib", "1:1.2"]));
  assert.deepEqual(namesIn(await scanned("hostile-padded", padded, second)), ["CVE-2026-0003 1:1.2 zlib", "CVE-2026-0004 1:1.2 zlib"]);
  // Names that lead out of the image lead nowhere, and a link's target is not read.
  const wild = await layer(
    { name: "../../../usr/lib/os-release", text: "ID=debian\nVERSION_ID=12\n" },
    { name: "var/lib/dpkg/status", type: "symlink", linkname: "/etc/passwd" },
  );
  assert.match((await scanned("hostile-links", wild)).imageScanStatus!.description!, /^UnsupportedImageError/);
});

test("what is read of layers is bounded", async () => {
  const small = { ...layerLimits, file: 1000, kept: 1500, unpacked: 100_000 };
  const file = (name: string, size: number) => layer({ name, text: "x".repeat(size) });
  const read = (...layers: readonly Buffer[]) => readFiles(one(...layers), isInspected, small);
  const refused = (work: Promise<unknown>, message: RegExp) =>
    assert.rejects(work, (error: Error) => error instanceof UnreadableImage && message.test(error.message));
  await refused(read(await file("var/lib/dpkg/status", 1001)), /status has more than 1000 bytes/);
  await refused(read(await file("var/lib/dpkg/status", 900), await file("lib/apk/db/installed", 900)), /more than 1500 bytes/);
  // A megabyte of zeros is a kilobyte of gzip.
  await refused(read(gzipSync(await file("app", 1_000_000))), /more than 100000 bytes/);
  await refused(read(zstdCompressSync(await file("app", 1_000_000))), /more than 100000 bytes/);
  assert.deepEqual([...(await read(gzipSync(await file("app", 50_000)))).keys()], []);
});

test("files as the layers leave them", async () => {
  const files = async (...layers: readonly Buffer[]) =>
    Object.fromEntries([...(await readFiles(one(...layers), isInspected))].map(([path, bytes]) => [path, bytes.toString()]));
  const text = (name: string, content: string) => ({ name, text: content });
  const base = await layer(text("etc/os-release", "a"), text("./var/lib/dpkg/status", "b"), text("/lib/apk/db/installed", "c"));
  assert.deepEqual(await files(base), { "etc/os-release": "a", "var/lib/dpkg/status": "b", "lib/apk/db/installed": "c" });
  // A whiteout hides what is below, not what the same layer brings, whichever comes first.
  assert.deepEqual(await files(base, await layer(text("var/lib/dpkg/status", "new"), text("var/lib/.wh.dpkg", ""))), {
    "etc/os-release": "a",
    "var/lib/dpkg/status": "new",
    "lib/apk/db/installed": "c",
  });
  // A directory replaced by a file or a link takes what was in it along.
  assert.deepEqual(await files(base, await layer({ name: "lib", type: "symlink", linkname: "usr/lib" }, text("etc", "file"))), {
    "var/lib/dpkg/status": "b",
  });
  assert.deepEqual(await files(base, await layer(text(".wh..wh..opq", ""), text("etc/os-release", "z"))), { "etc/os-release": "z" });
  assert.deepEqual(
    await files(await layer(text("usr/lib/os-release", "u"), { name: "etc/os-release", type: "link", linkname: "usr/lib/os-release" })),
    {
      "usr/lib/os-release": "u",
      "etc/os-release": "u",
    },
  );
  assert.deepEqual(await files(await layer(text("etc/os-release", "first"), text("etc/os-release", "second"))), {
    "etc/os-release": "second",
  });
});

/** rpmdb.sqlite as rpm keeps it. */
async function rpmDatabase(headers: readonly Buffer[], wal: boolean): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), "gantry-rpm-"));
  const path = join(directory, "rpmdb.sqlite");
  const db = new DatabaseSync(path);
  if (wal) db.exec("PRAGMA journal_mode = WAL");
  db.exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)");
  for (const header of headers) db.prepare("INSERT INTO Packages (blob) VALUES (?)").run(header);
  db.close();
  const bytes = await readFile(path);
  await rm(directory, { recursive: true });
  return bytes;
}

test("a Rocky Linux image, out of rpm's database", async () => {
  const release = { name: "etc/os-release", text: 'NAME="Rocky Linux"\nID="rocky"\nVERSION_ID="9.3"\n' };
  const severity = { database_specific: { severity: "Important" } };
  await importRecords(
    registry.server.home,
    osv("RLSA-2026:0001", "Rocky Linux:9", "openssl", fixed("1:3.0.7-28.el9"), { ...severity, upstream: ["CVE-2026-0020"] }),
    osv("RLSA-2026:0002", "Rocky Linux:9", "bash", fixed("0:5.1.8-6.el9"), severity),
    osv("RLSA-2026:0003", "Rocky Linux:9", "gpg-pubkey", [{ introduced: "0" }], severity),
  );
  const headers = [
    rpmHeader({ name: "openssl-libs", version: "3.0.7", release: "27.el9", epoch: 1, source: "openssl-3.0.7-27.el9.src.rpm" }),
    rpmHeader({ name: "bash", version: "5.1.8", release: "6.el9", source: "bash-5.1.8-6.el9.src.rpm" }),
    rpmHeader({ name: "gpg-pubkey", version: "1", release: "1" }),
    Buffer.from("no header"),
  ];
  for (const wal of [false, true]) {
    const answer = await scanned(
      `rocky-${wal}`,
      await layer(release, { name: "var/lib/rpm/rpmdb.sqlite", text: await rpmDatabase(headers, wal) }),
    );
    assert.deepEqual(answer.imageScanStatus?.description, "The scan was completed successfully.");
    assert.deepEqual(namesIn(answer), ["CVE-2026-0020 1:3.0.7-27.el9 openssl"]);
    assert.equal(answer.imageScanFindings!.findings![0]!.severity, "HIGH");
  }
  const broken = await scanned(
    "rocky-broken",
    await layer(release, { name: "usr/lib/sysimage/rpm/rpmdb.sqlite", text: Buffer.alloc(5000, "SQLite") }),
  );
  assert.match(broken.imageScanStatus!.description!, /^The image cannot be scanned: its rpm database cannot be read: /);
});

test(
  "this machine's packages against twenty thousand records, as a naive evaluator finds them",
  { skip: !existsSync("/var/lib/dpkg/status") && "no dpkg here" },
  async () => {
    const text = await readFile("/var/lib/dpkg/status", "utf8");
    const installed = parseDpkgStatus(text);
    const sources = [
      ...new Map(installed.map(({ source, sourceVersion }) => [`${source} ${sourceVersion}`, { source, sourceVersion }])).values(),
    ];
    assert.ok(sources.length > 50);
    const records: object[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 20_000; i++) {
      const { source, sourceVersion } = sources[i % sources.length]!;
      // Fixed in this very version, in a later one, never; or a package that is not there.
      const kind = Math.floor(i / sources.length) % 4;
      const name = kind === 3 ? `not-${source}` : source;
      const events = kind === 0 ? fixed(sourceVersion) : kind === 1 ? fixed(`${sourceVersion}+z1`) : [{ introduced: "0" }];
      records.push(osv(`DEBIAN-CVE-2020-${100_000 + i}`, "Debian:13", name, events));
      if (kind === 1 || kind === 2) expected.push(`CVE-2020-${100_000 + i} ${sourceVersion} ${source}`);
    }
    await importRecords(registry.server.home, ...records);
    const answer = await scanned("machine", gzipSync(await layer(debian("13"), { name: "var/lib/dpkg/status", text })));
    assert.deepEqual(answer.imageScanFindings?.findingSeverityCounts, { UNDEFINED: expected.length });
    const found: string[] = [];
    for await (const page of ecr.paginateDescribeImageScanFindings(
      { client, pageSize: 1000 },
      { repositoryName: "machine", imageId: { imageTag: "v1" } },
    ))
      found.push(...namesIn(page as ecr.DescribeImageScanFindingsCommandOutput)!);
    assert.deepEqual(found.toSorted(), expected.toSorted());
  },
);

test("a scan whose process is ended, or falls silent, is a failed scan", async () => {
  await create("ended");
  const digest = await registry.pushImage("ended", "v1", [await layer(debian(), status(["openssl", "3.0.14-1"]))]);
  const { server } = registry;
  const { manifests, blobs } = createRegistry(server.deps);
  const never = new AbortController().signal;
  const scan = (more: Partial<ScanDeps>, signal = never) =>
    scanImage(digest, { config: server.deps.config, manifests, blobs, ...more }, signal);
  assert.equal((await scan({})).kind, "complete");
  const hanging: BlobStore = { ...blobs, read: () => new Promise(() => {}) };
  const { reason } = (await scan({ blobs: hanging, silenceMs: 300 })) as { reason: string };
  assert.match(reason, /came to no end within 0\.3 s/);
  const ending = new AbortController();
  const aborted = scan({ blobs: hanging }, ending.signal);
  setTimeout(() => ending.abort(), 100);
  await assert.rejects(aborted, { name: "AbortError" });
  await assert.rejects(scan({ config: { home: "/proc/self/nothing\0" } }), /./);
  const lost: BlobStore = { ...blobs, read: async () => undefined };
  assert.match(((await scan({ blobs: lost })) as { reason: string }).reason, /is not in the registry any more: push it again/);
});

test("findings are kept while their image is, and nothing of a scan outlives it", async () => {
  const clock = new FakeClock(Date.now());
  // Nothing is signed: the clock goes ahead of the client's.
  const other = await startRegistry({ clock, open: true });
  try {
    const { home, deps } = other.server;
    await importRecords(home, osv("DEBIAN-CVE-2026-0001", "Debian:12", "openssl", fixed("4")));
    const imageScanningConfiguration = { scanOnPush: true };
    await other.client.send(new ecr.CreateRepositoryCommand({ repositoryName: "kept", imageScanningConfiguration }));
    const push = async () => other.pushImage("kept", "v1", [await layer(debian(), status(["openssl", "3.0.14-1"]))]);
    const imageDigest = await push();
    const input = { repositoryName: "kept", imageId: { imageDigest } };
    const names = async () => {
      await ecr.waitUntilImageScanComplete({ client: other.client, maxWaitTime: 120, minDelay: 1, maxDelay: 1 }, input);
      return namesIn(await other.client.send(new ecr.DescribeImageScanFindingsCommand(input)));
    };
    assert.deepEqual(await names(), ["CVE-2026-0001 3.0.14-1 openssl"]);
    const records = async () =>
      (await deps.store.list<ScanRecord>("/ecr/")).entries.filter(({ key }) => key.includes("/scans/")).map(({ value }) => value);
    const [record] = await records();
    assert.ok(record?.state === "COMPLETE" && record.findings);
    const isHeld = async () =>
      (await readdir(home, { recursive: true })).some((name) => name.endsWith(record.findings!.slice("sha256:".length)));
    const days = async (over: () => Promise<boolean>) => {
      let hours = 0;
      const look = async () => {
        await clock.advance(3_600_000);
        return ++hours >= 50 && (await over());
      };
      await until("days later", look, { every: 2 });
    };
    await days(async () => true);
    assert.ok(await isHeld());
    assert.deepEqual(await names(), ["CVE-2026-0001 3.0.14-1 openssl"]);
    await other.client.send(new ecr.BatchDeleteImageCommand({ repositoryName: "kept", imageIds: [{ imageDigest }] }));
    assert.deepEqual(await records(), []);
    await days(async () => !(await isHeld()));
    assert.equal(await isHeld(), false);
    // Pushed again it is a new image.
    await push();
    assert.deepEqual(await names(), ["CVE-2026-0001 3.0.14-1 openssl"]);
    await other.client.send(new ecr.DeleteRepositoryCommand({ repositoryName: "kept", force: true }));
    assert.deepEqual(await records(), []);
  } finally {
    await other.close();
  }
});
