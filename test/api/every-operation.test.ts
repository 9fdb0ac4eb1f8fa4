/**
 * Every operation of every service, in the SDK's own codecs: what the SDK writes we read, what we write the SDK reads, and every error of
 * every service arrives as itself. Values are random but the same in each run; GANTRY_SEED makes others.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AwsJson1_0Protocol, AwsJson1_1Protocol, AwsQueryProtocol } from "@aws-sdk/core/protocols";
import { SmithyRpcV2CborProtocol } from "@smithy/core/cbor";
import { HttpResponse } from "@smithy/core/transport";
import { ApiError } from "#api/contract.ts";
import { type Call, readInput, writeError, writeOutput } from "#api/protocols.ts";
import { resolveCall } from "#api/resolve.ts";
import { type Protocol, type Ref, type ServiceTable, serviceTable, type Traits } from "#api/schema.ts";
import { packages } from "../../tools/generate-schemas.ts";
import { type Random, seededRandom } from "#platform/random.ts";

const seed = Number(process.env.GANTRY_SEED ?? "1");

/** Event streams are no single answer; they are for the service that has them. */
const streams = new Set(["logs:StartLiveTail", "logs:GetLogObject"]);

/** Members that agents send though the SDK's model does not name them: see tools/generate-schemas.ts. */
const unknownToSdk: Readonly<Record<string, readonly string[]>> = { RegisterContainerInstance: ["clientToken"] };

type Schema = readonly [kind: number, namespace: string, name: string, traits: unknown, input: unknown, output: unknown];
interface Wire {
  readonly method: string;
  readonly path: string;
  readonly query?: Record<string, string | string[] | null>;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array;
}
interface SdkProtocol {
  setSerdeContext(config: unknown): void;
  serializeRequest(operation: object, input: unknown, context: unknown): Promise<Wire>;
  deserializeResponse(operation: object, context: unknown, response: HttpResponse): Promise<Record<string, unknown>>;
}
type Sdk = Record<string, unknown> & { readonly config?: never };

async function sdkOf(service: string, protocol?: unknown) {
  const sdk = (await import(`@aws-sdk/${packages[service]}`)) as Sdk;
  const name = Object.keys(sdk).find((each) => each.endsWith("Client") && !each.startsWith("_") && each !== "Client")!;
  const Client = sdk[name] as new (options: object) => { readonly config: { readonly protocol: SdkProtocol; readonly endpoint: unknown } };
  const { config } = new Client({
    region: "us-east-1",
    endpoint: "http://localhost:4566",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    ...(protocol ? { protocol } : {}),
  });
  config.protocol.setSerdeContext(config);
  const operations = Object.values(sdk).filter((each): each is Schema => Array.isArray(each) && each[0] === 9);
  return { config, operations };
}

const asOperation = ([, namespace, name, traits, input, output]: Schema) => ({ namespace, name, traits, input, output });

const words = ["a", "Zoë & <b>", "x\"y'z", "1.5", "true", "line\nline", "👋 ok", "a=b&c", "arn:aws:ecs:us-east-1:000000000000:task/x"];

/** A value of the shape with all required members and some others; nothing is empty, because Query and flattened XML cannot say so. */
function sample(table: ServiceTable, ref: Ref, traits: Traits | undefined, random: Random, depth: number): unknown {
  const pick = <T>(from: readonly T[]) => from[Math.floor(random.next() * from.length)]!;
  switch (ref) {
    case "s":
      return traits?.httpHeader !== undefined ? "plain-text" : pick(words);
    case "n":
      return Math.floor(random.next() * 100_000);
    case "b":
      return random.next() < 0.5;
    case "t":
    case "td":
    case "th":
    case "te":
      return new Date(1_700_000_000_000 + Math.floor(random.next() * 1e9) * 1000);
    case "x":
    case "xs":
      return new Uint8Array([1, 2, 250, Math.floor(random.next() * 256)]);
    case "d":
      return { any: [1, "x", null] };
  }
  const shape = table.shapes[ref]!;
  if ("l" in shape) return Array.from({ length: depth > 3 ? 1 : 2 }, () => sample(table, shape.l[0], shape.l[1], random, depth + 1));
  if ("m" in shape)
    return Object.fromEntries(["k", "k 2"].map((key) => [key, sample(table, shape.m[1][0], shape.m[1][1], random, depth + 1)]));
  const names = Object.keys(shape.s);
  // A union has exactly one member; the first will do where any may be left out.
  const chance = depth === 0 ? 0.8 : depth < 3 ? 0.4 : 0.1;
  const chosen = names.filter((name, index) => {
    const member = shape.s[name]![1];
    return index < shape.r || member?.idempotencyToken || member?.httpLabel || (depth < 7 && random.next() < chance);
  });
  if (shape.u) chosen.splice(1);
  if (chosen.length === 0 && depth < 16) chosen.push(names.find((name) => !(shape.s[name]![0] in table.shapes)) ?? names[0]!);
  const value: Record<string, unknown> = {};
  for (const name of chosen) if (name !== undefined) value[name] = sample(table, ...member(shape.s[name]!), random, depth + 1);
  return value;
}

const member = ([ref, traits]: readonly [Ref, Traits?]) => [ref, traits] as const;

/** Bytes and dates by value, absent members left out. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return `date ${value.toISOString()}`;
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  // Numbers that the SDK keeps as text with a sign of their type.
  if (typeof value === "object" && value !== null && value.constructor !== Object && "string" in value) return Number(value.string);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, each]) => each !== undefined && name !== "$metadata")
      .map(([name, each]) => [name, plain(each)])
      .sort(([a], [b]) => (a! < b! ? -1 : 1)),
  );
}

/** A form cannot name a structure without members. */
function pruned(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(pruned);
  const kept = Object.entries(value).flatMap(([name, each]) => (pruned(each) === undefined ? [] : [[name, pruned(each)] as const]));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function resolved(table: ServiceTable, wire: Wire): { call: Call; query: URLSearchParams; body: Uint8Array } {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wire.query ?? {}))
    for (const each of Array.isArray(value) ? value : [value ?? ""]) query.append(name, each);
  const body = Buffer.from(wire.body ?? "");
  const headers = Object.fromEntries(Object.entries(wire.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const call = resolveCall({ method: wire.method, rawPath: wire.path, query, headers, signingName: table.signingName, body });
  if ("error" in call) throw new Error(`not resolved: ${wire.method} ${wire.path}: ${call.error.message}`);
  return { call, query, body };
}

const answer = ({ status, headers, body }: { status: number; headers: Record<string, string>; body: string | Uint8Array }) =>
  new HttpResponse({ statusCode: status, headers, body: Buffer.from(body) });

/** Each service in its own protocol, and those that clients speak in several. */
const spoken: readonly (readonly [service: string, protocol?: unknown, name?: Protocol])[] = [
  ...Object.keys(packages).map((service) => [service] as const),
  ["cloudwatch", AwsQueryProtocol, "awsQuery"],
  ["cloudwatch", SmithyRpcV2CborProtocol, "rpcV2Cbor"],
  ["ecs", SmithyRpcV2CborProtocol, "rpcV2Cbor"],
  ["logs", AwsJson1_0Protocol, "awsJson1_0"],
  ["sts", AwsJson1_1Protocol, "awsJson1_1"],
];

for (const [service, protocol, protocolName] of spoken) {
  const table = serviceTable(service);
  const inProtocol = protocolName ?? table.protocol;
  test(`${service} in ${inProtocol}: ${Object.keys(table.operations).length} operations, to and from the SDK`, async () => {
    const { config, operations } = await sdkOf(service, protocol);
    const random = seededRandom(seed);
    const form = inProtocol === "awsQuery" || inProtocol === "ec2Query";
    assert.equal(operations.length, Object.keys(table.operations).length);
    for (const schema of operations) {
      const name = schema[2];
      if (streams.has(`${service}:${name}`)) continue;
      const { i, o } = table.operations[name]!;
      const made = i in table.shapes ? sample(table, i, undefined, random, 0) : {};
      const input = (form ? (pruned(made) ?? {}) : made) as Record<string, unknown>;
      const context = { ...config, __smithy_context: { service: table.target, operation: name } };
      for (const unnamed of unknownToSdk[name] ?? []) delete input[unnamed];
      const wire = await config.protocol.serializeRequest(asOperation(schema), input, context);
      const { call, query, body } = resolved(table, wire);
      assert.deepEqual([call.operation, call.protocol], [name, inProtocol]);
      const headers = Object.fromEntries(Object.entries(wire.headers).map(([header, value]) => [header.toLowerCase(), value]));
      assert.deepEqual(plain(readInput(call, body, query, headers)), plain(input), `the input of ${name}`);
      const output = (o in table.shapes ? sample(table, o, undefined, random, 0) : {}) as Record<string, unknown>;
      const read = await config.protocol.deserializeResponse(asOperation(schema), config, answer(writeOutput(call, output, "id")));
      assert.deepEqual(plain(read), plain(output), `the output of ${name}`);
    }
  });

  test(`${service} in ${inProtocol}: every error arrives as itself`, async () => {
    const { config, operations } = await sdkOf(service, protocol);
    for (const [name, shape] of Object.entries(table.shapes)) {
      if (!("s" in shape) || !shape.e) continue;
      const error = new ApiError(name, `what <went> wrong`, shape.e[1]);
      const wire = answer(writeError(inProtocol, table, error, "id", true));
      await assert.rejects(config.protocol.deserializeResponse(asOperation(operations[0]!), config, wire), (thrown: Error) => {
        // Services that once spoke Query have errors that share a code; the SDK then takes the code.
        assert.ok([name, shape.e?.[2]].includes(thrown.name), thrown.name);
        assert.equal(thrown.message, "what <went> wrong");
        return true;
      });
    }
  });
}
