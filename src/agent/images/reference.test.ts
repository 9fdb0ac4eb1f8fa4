import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InvalidReference, isLocal, parseReference } from "./reference.ts";

const sha = `sha256:${"a".repeat(64)}`;

test("short names become Docker Hub's", () => {
  const cases: Record<string, string> = {
    busybox: "docker.io/library/busybox:latest",
    "busybox:1.36": "docker.io/library/busybox:1.36",
    "bitnami/redis": "docker.io/bitnami/redis:latest",
    "index.docker.io/busybox": "docker.io/library/busybox:latest",
    "docker.io/library/busybox": "docker.io/library/busybox:latest",
    "localhost/app": "localhost/app:latest",
    "localhost:4566/app:1": "localhost:4566/app:1",
    "127.0.0.1:5000/a/b/c": "127.0.0.1:5000/a/b/c:latest",
    "[::1]:5000/a": "[::1]:5000/a:latest",
    "public.ecr.aws/docker/library/nginx:latest": "public.ecr.aws/docker/library/nginx:latest",
    [`busybox@${sha}`]: `docker.io/library/busybox@${sha}`,
    [`localhost:5000/app:1@${sha}`]: `localhost:5000/app:1@${sha}`,
    "000000000000.dkr.ecr.us-east-1.amazonaws.com/a_b/c__d-e.f": "000000000000.dkr.ecr.us-east-1.amazonaws.com/a_b/c__d-e.f:latest",
    "MyHost/app": "MyHost/app:latest",
  };
  for (const [text, name] of Object.entries(cases)) assert.equal(parseReference(text).name, name, text);
});

test("what Docker refuses is refused", () => {
  const bad = [
    "",
    "UPPER",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a:b:c",
    "a@sha256:12",
    `a@md5:${"a".repeat(64)}`,
    "a..b",
    "-a",
    "a-",
    "a b",
    "../../etc",
  ];
  bad.push(
    "a".repeat(64),
    "host:port/a",
    "http://host/a",
    `a:${"t".repeat(129)}`,
    "x/".repeat(130) + "a",
    "host:123456/a",
    "a\nb",
    "host.:5/a",
  );
  for (const text of bad) assert.throws(() => parseReference(text), InvalidReference, JSON.stringify(text));
});

test("any text is either refused or has a canonical name that parses to itself", () => {
  const alphabet = fc.constantFrom(..."ab1.:/@-_A[]é ".split(""), "sha256:", sha, "localhost", "docker.io/", "..", "%2f");
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(alphabet, { maxLength: 12 }).map((parts) => parts.join("")),
      ),
      (text) => {
        let parsed;
        try {
          parsed = parseReference(text);
        } catch (error) {
          assert.ok(error instanceof InvalidReference);
          return;
        }
        assert.deepEqual(parseReference(parsed.name), parsed);
        assert.match(parsed.path, /^[a-z0-9._/-]+$/);
        assert.ok(!parsed.path.split("/").includes(".."));
      },
    ),
    { numRuns: 2000 },
  );
});

test("plain HTTP is for this machine only", () => {
  for (const host of ["localhost", "localhost:5000", "127.0.0.1:4566", "127.8.9.1", "[::1]:80", "repo.localhost:4566"])
    assert.ok(isLocal(host), host);
  for (const host of ["docker.io", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1:5000", "[fe80::1]"])
    assert.ok(!isLocal(host), host);
});
