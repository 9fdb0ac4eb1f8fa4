import { ApiError } from "./contract.ts";
import { missingMembers } from "./errors.ts";
import type { Protocol, Ref, ServiceTable, Structure } from "./schema.ts";

/** No shape of AWS nests deeper; recursion through recursive shapes and documents ends here. */
const maxDepth = 64;

/** How one wire format carries the types that plain JSON lacks. */
export interface JsonDialect {
  readonly jsonName: boolean;
  decodeTimestamp(ref: Ref, value: unknown): Date | undefined;
  encodeTimestamp(ref: Ref, value: Date): unknown;
  decodeBlob(value: unknown): Uint8Array | undefined;
  encodeBlob(value: Uint8Array): unknown;
}

/** AWS JSON 1.0/1.1 and REST-JSON bodies. Source: Smithy, "AWS JSON protocols" and "AWS restJson1". */
export function jsonDialect(restJson: boolean): JsonDialect {
  return {
    jsonName: restJson,
    decodeTimestamp(ref, value) {
      if (typeof value === "number") return validDate(new Date(value * 1000));
      if (typeof value !== "string") return undefined;
      return ref === "te" ? undefined : validDate(new Date(value));
    },
    encodeTimestamp(ref, value) {
      if (ref === "td") return value.toISOString().replace(".000Z", "Z");
      return ref === "th" ? value.toUTCString() : value.getTime() / 1000;
    },
    decodeBlob(value) {
      if (typeof value !== "string") return undefined;
      const bytes = Buffer.from(value, "base64");
      return bytes.length === Math.floor((value.replace(/=+$/, "").length * 3) / 4) ? bytes : undefined;
    },
    encodeBlob: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"),
  };
}

export const validDate = (date: Date) => (Number.isNaN(date.getTime()) ? undefined : date);

/** AWS's words for the types; the schemas don't say which numbers are integers, nearly all are. */
const wanted: Readonly<Record<string, string>> = {
  s: "String",
  n: "Integer",
  b: "Boolean",
  t: "Timestamp",
  td: "Timestamp",
  th: "Timestamp",
  te: "Timestamp",
  x: "Blob",
  xs: "Blob",
};

/** AWS's sentences, and where it happened, which AWS does not tell. */
function wrongType(ref: string, value: unknown, path: string): ApiError {
  const type = wanted[ref];
  const where = path ? ` at '${path}'` : "";
  const error = (message: string) => new ApiError("SerializationException", `${message}${where}`, 400);
  if (Array.isArray(value)) return error("Start of list found where not expected");
  if (typeof value === "object" && value !== null) return error("Start of structure or map found where not expected");
  if (type === undefined) return error(ref === "List" ? "Expected list or null" : "Unexpected value where a structure or map is expected");
  const given = typeof value === "boolean" ? `${String(value).toUpperCase()}_VALUE` : `${(typeof value).toUpperCase()}_VALUE`;
  return error(`${given} cannot be converted to ${type}`);
}

/** JSON → the operation's input. Checks types and required members; unknown members and nulls are dropped, as AWS does. */
export function decodeInput(
  table: ServiceTable,
  protocol: Protocol,
  dialect: JsonDialect,
  ref: Ref,
  value: unknown,
): Record<string, unknown> {
  const missing: string[] = [];
  const input = decodeMembers(table, dialect, table.shapes[ref] as Structure | undefined, value, missing);
  if (missing.length > 0) throw missingMembers(table, protocol, ref, missing);
  return input;
}

/** The members of a structure; the paths of required ones that are absent are added to `missing`. */
export function decodeMembers(
  table: ServiceTable,
  dialect: JsonDialect,
  shape: Structure | undefined,
  value: unknown,
  missing: string[],
): Record<string, unknown> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw wrongType("Structure", value, "");
  return shape ? decodeStructure(table, dialect, shape, value as Record<string, unknown>, "", 0, missing) : {};
}

function decode(
  table: ServiceTable,
  dialect: JsonDialect,
  ref: Ref,
  value: unknown,
  path: string,
  depth: number,
  missing: string[],
): unknown {
  if (depth > maxDepth) throw new ApiError("SerializationException", "The input nests too deep", 400);
  switch (ref) {
    case "s":
      if (typeof value === "string") return value;
      throw wrongType(ref, value, path);
    case "n":
      if (typeof value === "number") return value;
      if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
      throw wrongType(ref, value, path);
    case "b":
      if (typeof value === "boolean") return value;
      throw wrongType(ref, value, path);
    case "t":
    case "td":
    case "th":
    case "te": {
      const date = dialect.decodeTimestamp(ref, value);
      if (!date) throw wrongType(ref, value, path);
      return date;
    }
    case "x":
    case "xs": {
      const bytes = dialect.decodeBlob(value);
      if (!bytes) throw wrongType(ref, value, path);
      return bytes;
    }
    case "d":
      checkDepth(value, depth);
      return value;
  }
  const shape = table.shapes[ref];
  if (!shape) return undefined;
  if (typeof value !== "object" || value === null) throw wrongType("s" in shape ? "Structure" : "l" in shape ? "List" : "Map", value, path);
  if ("l" in shape) {
    if (!Array.isArray(value)) throw wrongType("List", value, path);
    const list: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      if (value[i] !== null) list.push(decode(table, dialect, shape.l[0], value[i], `${path}.${i + 1}.member`, depth + 1, missing));
    }
    return list;
  }
  if (Array.isArray(value)) throw wrongType("s" in shape ? "Structure" : "Map", value, path);
  const given = value as Record<string, unknown>;
  const prefix = path ? `${path}.` : "";
  if ("m" in shape) {
    const map: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(given)) {
      if (item !== null) put(map, key, decode(table, dialect, shape.m[1][0], item, `${prefix}${key}`, depth + 1, missing));
    }
    return map;
  }
  return decodeStructure(table, dialect, shape, given, path, depth, missing);
}

function decodeStructure(
  table: ServiceTable,
  dialect: JsonDialect,
  shape: Structure,
  given: Record<string, unknown>,
  path: string,
  depth: number,
  missing: string[],
): Record<string, unknown> {
  const prefix = path ? `${path}.` : "";
  const structure: Record<string, unknown> = {};
  let index = 0;
  for (const name in shape.s) {
    const [memberRef, traits] = shape.s[name]!;
    const key = dialect.jsonName && traits?.jsonName ? traits.jsonName : name;
    const item = Object.hasOwn(given, key) ? given[key] : undefined;
    if (item !== undefined && item !== null)
      structure[name] = decode(table, dialect, memberRef, item, `${prefix}${name}`, depth + 1, missing);
    else if (index < shape.r && !traits?.idempotencyToken) missing.push(`${prefix}${name}`);
    index++;
  }
  return structure;
}

/** `__proto__` as a key is data like any other. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

function checkDepth(value: unknown, depth: number): void {
  if (depth > maxDepth) throw new ApiError("SerializationException", "The input nests too deep", 400);
  if (typeof value === "object" && value !== null) for (const item of Object.values(value)) checkDepth(item, depth + 1);
}

/** An output (SDK form: Dates, Uint8Arrays) → plain JSON. Members that the schema does not know are left out. */
export function encodeOutput(table: ServiceTable, dialect: JsonDialect, ref: Ref, value: unknown): unknown {
  switch (ref) {
    case "t":
    case "td":
    case "th":
    case "te":
      return dialect.encodeTimestamp(ref, value as Date);
    case "x":
    case "xs":
      return dialect.encodeBlob(value as Uint8Array);
    case "n":
      return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
    case "s":
    case "b":
    case "d":
      return value;
  }
  const shape = table.shapes[ref];
  if (!shape || value === null || value === undefined) return undefined;
  if ("l" in shape) {
    const item = shape.l[0];
    return (value as unknown[]).map((each) => encodeOutput(table, dialect, item, each));
  }
  const given = value as Record<string, unknown>;
  const out: Record<string, unknown> = {};
  if ("m" in shape) {
    for (const key of Object.keys(given))
      if (given[key] !== undefined) put(out, key, encodeOutput(table, dialect, shape.m[1][0], given[key]));
    return out;
  }
  for (const name in shape.s) {
    const item = given[name];
    if (item === undefined || item === null) continue;
    const [memberRef, traits] = shape.s[name]!;
    out[dialect.jsonName && traits?.jsonName ? traits.jsonName : name] = encodeOutput(table, dialect, memberRef, item);
  }
  return out;
}
