/** The map in ARCHITECTURE.md is true: each folder imports only what stands below it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { globSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../..", import.meta.url).pathname;
const files = globSync("src/**/*.ts", { cwd: root }).filter((file) => !file.includes("/generated/"));

/** Who may import whom, and why. A folder may always import itself. */
const layers: Readonly<Record<string, { readonly may: readonly string[]; readonly because: string }>> = {
  model: { may: [], because: "pure types and state machines: whoever reads them needs nothing else" },
  platform: { may: [], because: "clock, randomness, configuration know nothing of what is built on them" },
  "agent-protocol": {
    may: ["load-balancer"],
    because: "messages only, and one carries what the load balancers' driver is told: both ends import it",
  },
  "load-balancer": { may: ["platform"], because: "a snapshot in, HAProxy out: it knows neither records nor AWS services" },
  store: { may: ["platform"], because: "state knows nothing of what is kept in it" },
  metrics: { may: ["platform", "model"], because: "data points know nothing of who measures, asks or alarms" },
  vulnerabilities: {
    may: ["platform", "model"],
    because: "a database that a command writes and the server reads: it knows neither images nor records",
  },
  scheduler: { may: ["model"], because: "pure: a snapshot in, assignments and reasons out" },
  api: { may: ["model", "platform", "store"], because: "the front door serves any service and knows none; policies are pure" },
  identity: { may: ["platform", "store", "api", "model"], because: "who asks, and what they may do: whoever answers a request needs it" },
  registry: { may: ["platform", "store", "api", "model", "identity"], because: "OCI's side of ECR stands beside the services" },
  reconcilers: {
    may: ["platform", "store", "metrics", "api", "model", "identity", "scheduler", "agent-protocol", "load-balancer"],
    because: "they read and write records; what they ask of an operation goes the API's own way, by its caller",
  },
  services: {
    may: [
      "platform",
      "store",
      "metrics",
      "vulnerabilities",
      "api",
      "model",
      "identity",
      "scheduler",
      "reconcilers",
      "agent-protocol",
      "registry",
    ],
    because: "the operations of AWS's services",
  },
  server: {
    may: ["platform", "store", "api", "model", "identity", "services", "registry", "reconcilers"],
    because: "puts the parts together",
  },
  agent: {
    may: ["platform", "model", "agent-protocol", "load-balancer"],
    because:
      "a process of its own that talks to the server by AWS's protocols only, so it never sees store or services; it owns the driver",
  },
  cli: {
    may: ["platform", "vulnerabilities", "agent", "agent-protocol"],
    because: "starts processes and asks them by AWS's protocols; an import is its own work, not the server's",
  },
};

function importsOf(file: string): string[] {
  return [...readFileSync(`${root}${file}`, "utf8").matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map((match) => match[1]!);
}

function folderOf(file: string, specifier: string): string | undefined {
  if (specifier.startsWith("#")) return specifier.slice(1).split("/")[0];
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, `file:///${file}`).pathname.split("/")[2];
}

for (const [folder, { may, because }] of Object.entries(layers)) {
  test(`src/${folder} imports only ${may.join(", ") || "nothing of ours"}: ${because}`, () => {
    const wrong = files
      .filter((file) => file.startsWith(`src/${folder}/`) && !file.endsWith(".test.ts"))
      .flatMap((file) => importsOf(file).map((specifier) => [file, specifier] as const))
      .filter(([file, specifier]) => {
        const target = folderOf(file, specifier);
        return target !== undefined && target !== folder && !may.includes(target);
      });
    assert.deepEqual(wrong, []);
  });
}

test("every folder of src is on the map", () => {
  assert.deepEqual(
    [...new Set(files.map((file) => file.split("/")[1]!))].filter((folder) => !(folder in layers)),
    [],
  );
});

test("services do not import each other", () => {
  const wrong = files
    .filter((file) => file.startsWith("src/services/") && !file.endsWith(".test.ts"))
    .flatMap((file) =>
      importsOf(file)
        .map((specifier) =>
          specifier.startsWith("#services/")
            ? specifier.split("/")[1]
            : specifier.startsWith(".")
              ? new URL(specifier, `file:///${file}`).pathname.split("/")[3]
              : undefined,
        )
        .filter((service) => service !== undefined && service !== file.split("/")[2])
        .map((service) => `${file} imports ${service}`),
    );
  assert.deepEqual(wrong, []);
});

test("no AWS SDK at run time: types only, it costs 115 MB", () => {
  const wrong = files.filter(
    (file) => !file.endsWith(".test.ts") && /^import (?!type).*from "@aws-sdk\//m.test(readFileSync(`${root}${file}`, "utf8")),
  );
  assert.deepEqual(wrong, []);
});

test("no file is longer than 400 lines: then it is two things", () => {
  const long = files.filter((file) => readFileSync(`${root}${file}`, "utf8").split("\n").length > 401);
  assert.deepEqual(long, []);
});

test("every dependency has its reason in docs/dependencies.md", () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as Record<
    string,
    Record<string, string>
  >;
  const text = readFileSync(`${root}docs/dependencies.md`, "utf8");
  assert.deepEqual(
    Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) => !text.includes(`\`${name}\``) && !name.startsWith("@aws-sdk/client-"),
    ),
    [],
  );
});
