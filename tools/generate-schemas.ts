/**
 * Writes src/api/generated/<service>.json (compact tables) and <service>.types.ts (operation → input and output types) from the schemas
 * that the installed @aws-sdk/client-* packages carry. `node tools/generate-schemas.ts [--check]`.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Operation, Protocol, Ref, ServiceTable, Shape, Traits } from "#api/schema.ts";

const root = new URL("..", import.meta.url).pathname;

/** Our service id → the SDK's package. */
export const packages: Readonly<Record<string, string>> = {
  ecs: "client-ecs",
  ecr: "client-ecr",
  "ecr-public": "client-ecr-public",
  logs: "client-cloudwatch-logs",
  sts: "client-sts",
  cloudwatch: "client-cloudwatch",
  ec2: "client-ec2",
  iam: "client-iam",
  elbv2: "client-elastic-load-balancing-v2",
  servicediscovery: "client-servicediscovery",
  "application-autoscaling": "client-application-auto-scaling",
  autoscaling: "client-auto-scaling",
  events: "client-eventbridge",
  scheduler: "client-scheduler",
  secretsmanager: "client-secrets-manager",
  ssm: "client-ssm",
  kms: "client-kms",
  acm: "client-acm",
  route53: "client-route-53",
  cloudtrail: "client-cloudtrail",
};

const protocols: Readonly<Record<string, Protocol>> = {
  AwsJson1_0Protocol: "awsJson1_0",
  AwsJson1_1Protocol: "awsJson1_1",
  AwsQueryProtocol: "awsQuery",
  AwsEc2QueryProtocol: "ec2Query",
  AwsRestJsonProtocol: "restJson1",
  AwsRestXmlProtocol: "restXml",
  AwsSmithyRpcV2CborProtocol: "rpcV2Cbor",
};

/** Members that agents send and AWS reads, though the SDK's model does not name them. Source: amazon-ecs-agent's own model of the API. */
const unnamed: Readonly<Record<string, Readonly<Record<string, Record<string, [Ref]>>>>> = {
  ecs: { RegisterContainerInstanceRequest: { clientToken: ["s"] } },
};

// Smithy's schema encoding, @smithy/types schema sentinels and static schema arrays.
const simple: Readonly<Record<number, Ref>> = {
  0: "s",
  1: "n",
  2: "b",
  4: "t",
  5: "td",
  6: "th",
  7: "te",
  15: "d",
  17: "n",
  19: "n",
  21: "x",
  42: "xs",
};
const traitBits = ["httpLabel", "idempotent", "idempotencyToken", "sensitive", "httpPayload", "httpResponseCode", "httpQueryParams"];
const keptTraits = [
  "httpLabel",
  "idempotencyToken",
  "httpPayload",
  "httpResponseCode",
  "httpQueryParams",
  "httpQuery",
  "httpHeader",
  "httpPrefixHeaders",
  "jsonName",
  "xmlName",
  "xmlFlattened",
  "xmlNamespace",
  "xmlAttribute",
  "ec2QueryName",
  "timestampFormat",
];

type Schema = number | string | Schema[] | (() => Schema) | Record<string, unknown>;

function traitsOf(indicator: unknown): Traits | undefined {
  let all: Record<string, unknown> = {};
  if (typeof indicator === "number") traitBits.forEach((name, bit) => (indicator >> bit) & 1 && (all[name] = 1));
  else if (typeof indicator === "object" && indicator !== null) all = indicator as Record<string, unknown>;
  const kept = Object.fromEntries(Object.entries(all).filter(([name]) => keptTraits.includes(name)));
  return Object.keys(kept).length > 0 ? (kept as Traits) : undefined;
}

export async function tableOf(service: string): Promise<ServiceTable> {
  const directory = join(root, "node_modules/@aws-sdk", packages[service] ?? "");
  const version = (JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { version: string }).version;
  const runtime = readFileSync(join(directory, "dist-es/runtimeConfig.shared.js"), "utf8");
  const setting = (name: string) => new RegExp(`${name}:\\s*"([^"]+)"`).exec(runtime)?.[1] ?? "";
  const shapes: Record<string, Shape> = {};
  const operations: Record<string, Operation> = {};

  const refOf = (schema: Schema): Ref => {
    if (typeof schema === "function") return refOf(schema());
    if (typeof schema === "number") {
      if (schema & 64) return listOf(simple[schema & ~64] ?? "s");
      if (schema & 128) return mapOf(simple[schema & ~128] ?? "s");
      return simple[schema] ?? "s";
    }
    if (!Array.isArray(schema)) return "s";
    const [kind, , name, traits] = schema as [number, string, string, unknown, ...Schema[]];
    if (kind === 0) return refOf(schema[4] as Schema);
    const key = shapes[name] && shapeKinds[name] !== kind ? `${name}#${kind}` : name;
    if (key in shapes) return key;
    shapeKinds[key] = kind;
    if (kind === 1) {
      shapes[key] = { l: ["s"] };
      shapes[key] = { l: member(schema[4] as Schema), ...withTraits(traits) };
    } else if (kind === 2) {
      shapes[key] = { m: [["s"], ["s"]] };
      shapes[key] = { m: [member(schema[4] as Schema), member(schema[5] as Schema)], ...withTraits(traits) };
    } else {
      shapes[key] = { s: {}, r: 0 };
      const names = schema[4] as string[];
      const members = schema[5] as Schema[];
      const fields: Record<string, [Ref, Traits?]> = {};
      names.forEach((field, i) => (fields[field] = member(members[i] as Schema)));
      const error = kind === -3 ? (traits as { error?: string; httpError?: number; awsQueryError?: [string, number] }) : undefined;
      shapes[key] = {
        s: fields,
        r: (schema[6] as number | undefined) ?? 0,
        ...(kind === 4 ? { u: 1 } : {}),
        ...withTraits(traits),
        ...(error?.error
          ? {
              e: [
                error.error === "server" ? 1 : 0,
                error.awsQueryError?.[1] ?? error.httpError ?? (error.error === "server" ? 500 : 400),
                error.awsQueryError?.[0] ?? name,
              ],
            }
          : {}),
      } as Shape;
    }
    return key;
  };
  const shapeKinds: Record<string, number> = {};
  const withTraits = (traits: unknown) => {
    const kept = traitsOf(traits);
    return kept ? { t: kept } : {};
  };
  const member = (schema: Schema): [Ref, Traits?] => {
    if (
      Array.isArray(schema) &&
      (typeof schema[0] === "function" || (schema.length === 2 && (typeof schema[1] === "number" || typeof schema[1] === "object")))
    ) {
      const traits = traitsOf(schema[1]);
      return traits ? [refOf(schema[0] as Schema), traits] : [refOf(schema[0] as Schema)];
    }
    return [refOf(schema)];
  };
  const listOf = (ref: Ref): Ref => {
    shapes[`[${ref}]`] ??= { l: [ref] };
    return `[${ref}]`;
  };
  const mapOf = (ref: Ref): Ref => {
    shapes[`{${ref}}`] ??= { m: [["s"], [ref]] };
    return `{${ref}}`;
  };

  const module = (await import(pathToFileURL(join(directory, "dist-cjs/index.js")).href)) as Record<string, Schema>;
  for (const schema of Object.values(module)) {
    if (!Array.isArray(schema)) continue;
    if (schema[0] === -3 && String(schema[1]).startsWith("com.amazonaws")) refOf(schema);
    if (schema[0] !== 9) continue;
    const [, , name, traits, input, output] = schema as [
      number,
      string,
      string,
      { http?: [string, string, number] } | number,
      Schema,
      Schema,
    ];
    const http = typeof traits === "object" ? traits.http : undefined;
    operations[name] = { i: refOf(input), o: refOf(output), ...(http ? { h: http } : {}) };
  }
  for (const [name, members] of Object.entries(unnamed[service] ?? {})) Object.assign((shapes[name] as { s: object }).s, members);
  return {
    service,
    source: `@aws-sdk/${packages[service]} ${version} (Apache-2.0)`,
    serviceId: /serviceId \?\? "([^"]+)"/.exec(runtime)?.[1] ?? service,
    protocol: protocols[/protocol: config\?\.protocol \?\? (\w+)/.exec(runtime)?.[1] ?? ""] ?? "awsJson1_1",
    target: setting("serviceTarget"),
    version: setting("version"),
    namespace: setting("xmlNamespace"),
    signingName: /name: "([^"]+)"/.exec(readFileSync(join(directory, "dist-es/auth/httpAuthSchemeProvider.js"), "utf8"))?.[1] ?? service,
    operations: sorted(operations),
    shapes: sorted(shapes),
  };
}

const sorted = <T>(record: Record<string, T>) => Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

export function tableText(table: ServiceTable): string {
  const { operations, shapes, ...head } = table;
  const lines = (record: object) =>
    Object.entries(record)
      .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
      .join(",\n");
  return `{${Object.entries(head)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(",\n")},\n"operations":{\n${lines(operations)}\n},\n"shapes":{\n${lines(shapes)}\n}}\n`;
}

export function typesText(table: ServiceTable): string {
  const typeName = `${table.service
    .split("-")
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join("")}Operations`;
  const names = Object.keys(table.operations);
  return [
    `// Made by tools/generate-schemas.ts from ${table.source}. Do not edit.`,
    `import type * as sdk from "@aws-sdk/${packages[table.service]}";`,
    "",
    `export interface ${typeName} {`,
    ...names.map((name) => `  ${name}: { input: sdk.${name}CommandInput; output: Omit<sdk.${name}CommandOutput, "$metadata"> };`),
    "}",
    "",
  ].join("\n");
}

if (import.meta.main) {
  let stale = 0;
  for (const service of Object.keys(packages)) {
    const table = await tableOf(service);
    for (const [file, text] of [
      [`${service}.json`, tableText(table)],
      [`${service}.types.ts`, typesText(table)],
    ] as const) {
      const path = join(root, "src/api/generated", file);
      if (process.argv.includes("--check")) {
        if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
          stale++;
          process.stderr.write(`${path} is not what the SDK's schemas give: run node tools/generate-schemas.ts\n`);
        }
      } else writeFileSync(path, text);
    }
  }
  process.exitCode = stale > 0 ? 1 : 0;
}
