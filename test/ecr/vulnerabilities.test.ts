/** The vulnerability database: what is imported from where, in one piece or not at all. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { ecosystemOf } from "#model/vulnerabilities/ecosystems.ts";
import { importOf, vulnerabilityStatus } from "#cli/vulnerabilities.ts";
import { openVulnerabilities } from "#vulnerabilities/database.ts";
import { importVulnerabilities } from "#vulnerabilities/import.ts";
import { fixed, importRecords, osv } from "./scan-support.ts";

const root = await mkdtemp(join(tmpdir(), "gantry-osv-"));
after(() => rm(root, { recursive: true }));
let homes = 0;
const newHome = async () => {
  const home = join(root, `home${++homes}`);
  await mkdir(home);
  return home;
};

/** A zip file as OSV publishes them. Source: PKWARE, APPNOTE.TXT, 4.3. */
function zipOf(files: Iterable<readonly [name: string, text: string]>): Buffer {
  const [local, central]: [Buffer[], Buffer[]] = [[], []];
  let at = 0;
  let count = 0;
  for (const [name, text] of files) {
    const data = deflateRawSync(text, { level: 1 });
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(text), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(Buffer.byteLength(text), 18);
    fields.writeUInt16LE(name.length, 22);
    const offset = Buffer.alloc(14);
    offset.writeUInt32LE(at, 10);
    local.push(Buffer.from("PK\x03\x04"), fields, Buffer.from(name), data);
    central.push(Buffer.from("PK\x01\x02\x14\x00"), fields, offset, Buffer.from(name));
    at += 30 + name.length + data.length;
    count++;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...local, directory, end]);
}

function* generated(count: number): Generator<[string, string]> {
  for (let i = 0; i < count; i++) {
    const id = `DEBIAN-CVE-2026-${10_000 + i}`;
    const affected = ["11", "12", "13"].map((release) => ({
      package: { ecosystem: `Debian:${release}`, name: `package${i % 3000}` },
      ranges: [{ type: "ECOSYSTEM", events: fixed(`${release}.${i % 100}-1`) }],
      ecosystem_specific: { urgency: "low" },
    }));
    yield [`${id}.json`, JSON.stringify(osv(id, "", "", [], { affected, details: "something is wrong with it. ".repeat(20) }))];
  }
}

const debian = ecosystemOf({ id: "debian", versionId: "12" })!;
function known(home: string, name: string): string[] {
  const database = openVulnerabilities(home);
  try {
    return (
      database
        ?.lookup(debian)(name)
        .map(({ id }) => id) ?? []
    );
  } finally {
    database?.close();
  }
}

test("from a file, a directory, a zip file and a URL", async () => {
  const home = await newHome();
  const directory = join(root, "records");
  await mkdir(join(directory, "below"), { recursive: true });
  await writeFile(join(directory, "a.json"), JSON.stringify(osv("A-1", "Debian:12", "a", fixed("2"))));
  await writeFile(
    join(directory, "below", "b.json"),
    JSON.stringify([osv("B-1", "Debian:12", "b", fixed("2")), osv("B-2", "Debian:12", "b", fixed("3"))]),
  );
  await writeFile(join(directory, "README"), "not a record");
  const zip = zipOf([
    ["Z-1.json", JSON.stringify(osv("Z-1", "Debian:12", "z", fixed("2")))],
    ["notes.txt", "no record"],
  ]);
  await writeFile(join(root, "all.zip"), zip);
  const server = createServer((request, response) => void (request.url === "/all.zip" ? response.end(zip) : response.writeHead(404).end()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    assert.match(await importOf(home, directory, 1, () => {}), /^imported 3 records; there are records for 1 releases/);
    assert.match(await importOf(home, join(root, "all.zip"), 2, () => {}), /^imported 1 records/);
    assert.deepEqual([known(home, "a"), known(home, "b"), known(home, "z")], [["A-1"], ["B-1", "B-2"], ["Z-1"]]);
    const other = await newHome();
    await importOf(other, `${url}/all.zip`, 3, () => {});
    assert.deepEqual([known(other, "a"), known(other, "z")], [[], ["Z-1"]]);
    assert.deepEqual(await readdir(join(other, "vulnerabilities")), ["database.sqlite", "import.lock"]);
    await assert.rejects(
      importOf(other, `${url}/none`, 3, () => {}),
      /answers 404/,
    );
    await assert.rejects(
      importOf(other, "http://example.com/all.zip", 3, () => {}),
      /only https/,
    );
  } finally {
    server.close();
  }
});

test("a newer record takes the place of an older one, a withdrawn one leaves nothing", async () => {
  const home = await newHome();
  const at = (modified: string, more: object = {}) => osv("A-1", "Debian:12", "a", fixed("2"), { modified, ...more });
  await importRecords(home, at("2026-02-01T00:00:00Z"), osv("A-2", "Debian:12", "a", fixed("2")));
  await importRecords(home, at("2026-01-01T00:00:00Z", { affected: [] }));
  assert.deepEqual(known(home, "a"), ["A-1", "A-2"]);
  await importRecords(home, at("2026-03-01T00:00:00Z", { withdrawn: "2026-03-01T00:00:00Z" }));
  assert.deepEqual(known(home, "a"), ["A-2"]);
  assert.deepEqual(
    openVulnerabilities(home)!.ecosystems.map(({ name, records }) => [name, records]),
    [["Debian:12", 1]],
  );
});

test("what is no record leaves everything as it was, and says what it is", async () => {
  const home = await newHome();
  await importRecords(home, osv("A-1", "Debian:12", "a", fixed("2")));
  const refused = async (name: string, bytes: string | Buffer, message: RegExp) => {
    const source = join(root, name);
    await writeFile(source, bytes);
    await assert.rejects(importVulnerabilities({ home, source, now: 0 }), message);
    assert.deepEqual(known(home, "a"), ["A-1"]);
    assert.deepEqual(await readdir(join(home, "vulnerabilities")), ["database.sqlite", "import.lock"]);
  };
  await refused("bad.json", "{", /bad\.json is no JSON/);
  await refused("other.json", JSON.stringify([osv("B-1", "Debian:12", "a", []), { name: "x" }]), /no OSV record/);
  await refused("empty.json", "[]", /no OSV records in it/);
  await refused("cut.zip", zipOf(generated(50)).subarray(0, 4000), /cut\.zip is no zip file that can be read/);
  await refused("bomb.zip", zipOf([["bomb.json", " ".repeat(65 * 2 ** 20)]]), /bomb\.json: too long/);
  await assert.rejects(importVulnerabilities({ home, source: join(root, "nowhere"), now: 0 }), /there is no file/);
});

test("status says what is there and how old it is", async () => {
  const home = await newHome();
  const now = Date.now();
  assert.match(await vulnerabilityStatus(home, now, false), /^there is no vulnerability database: every scan fails/);
  assert.equal(await vulnerabilityStatus(home, now, true), '{"importedAt":null,"ecosystems":[]}');
  await importRecords(home, osv("A-1", "Debian:12", "a", fixed("2")), osv("A-2", "Alpine:v3.19", "a", fixed("2")));
  const text = await vulnerabilityStatus(home, now + 5.5 * 24 * 3_600_000, false);
  assert.match(text, /^imported 5 days ago, \d+ MiB\nRELEASE +RECORDS +NEWEST\nAlpine:v3\.19 +1 +2026-11-01\nDebian:12 +1 +2026-11-01$/);
});

test("an import that is killed leaves the old database whole, and the next one works", { timeout: 300_000 }, async () => {
  const home = await newHome();
  await importRecords(home, osv("A-1", "Debian:12", "a", fixed("2")));
  const source = join(root, "many.zip");
  await writeFile(source, zipOf(generated(8000)));
  const program = new URL("vulnerability-import.ts", import.meta.url).pathname;
  for (const killAt of ["1000", "4000", "8000", "done"]) {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, home, source, killAt], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    assert.deepEqual(known(home, "a"), ["A-1"], killAt);
    if (killAt === "done") assert.deepEqual([code, known(home, "package7").length > 0], [0, true]);
    else {
      assert.equal(signal, "SIGKILL");
      assert.deepEqual(known(home, "package7"), [], killAt);
    }
  }
  assert.deepEqual(await readdir(join(home, "vulnerabilities")), ["database.sqlite", "import.lock"]);
});

test("one import at a time; who reads while it runs sees the old database", async () => {
  const home = await newHome();
  await importRecords(home, osv("A-1", "Debian:12", "a", fixed("2")));
  const source = join(root, "two.zip");
  await writeFile(source, zipOf(generated(1999)));
  let second: Promise<unknown> = Promise.resolve();
  await importVulnerabilities({
    home,
    source,
    now: 0,
    progress: () => {
      second = assert.rejects(importVulnerabilities({ home, source, now: 0 }), /another import is under way/);
      assert.deepEqual([known(home, "a"), known(home, "package7")], [["A-1"], []]);
    },
  });
  await second;
  assert.ok(known(home, "package7").length > 0);
});
