import { XMLParser } from "fast-xml-parser";
import { ApiError } from "./contract.ts";
import { missingMember } from "./errors.ts";
import { decodeInput, encodeOutput, jsonDialect, validDate } from "./json-codec.ts";
import { type Member, type Ref, type ServiceTable, type Structure, serviceTable } from "./schema.ts";
import { encodeMember, encodeText } from "./xml.ts";

/** REST-JSON and REST-XML: where a member of the input or output stands in the HTTP message. Source: Smithy, "HTTP binding traits". */
interface Route {
  readonly operation: string;
  readonly method: string;
  readonly pattern: RegExp;
  readonly labels: readonly string[];
  readonly query: ReadonlyMap<string, string>;
  /** Literal characters: the more, the more specific. */
  readonly weight: number;
}

const routes = new Map<string, readonly Route[]>();

function routesOf(service: string): readonly Route[] {
  let known = routes.get(service);
  if (!known) {
    known = Object.entries(serviceTable(service).operations)
      .flatMap(([operation, { h }]) => (h ? [compile(operation, h[0], h[1])] : []))
      .sort((a, b) => b.weight - a.weight);
    routes.set(service, known);
  }
  return known;
}

function compile(operation: string, method: string, uri: string): Route {
  const [path, query = ""] = uri.split("?") as [string, string?];
  const labels: string[] = [];
  const source = path.split("/").map((part) => {
    const label = /^\{(\w+)(\+?)\}$/.exec(part);
    if (!label) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    labels.push(label[1]!);
    return label[2] ? "(.+)" : "([^/]+)";
  });
  return {
    operation,
    method,
    labels,
    pattern: new RegExp(`^${source.join("/").replace(/\/$/, "")}/?$`),
    query: new Map(new URLSearchParams(query)),
    weight: path.replace(/\{[^}]*\}/g, "").length + query.length,
  };
}

export interface RestMatch {
  readonly operation: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function matchRest(service: string, method: string, rawPath: string, query: URLSearchParams): RestMatch | undefined {
  for (const route of routesOf(service)) {
    if (route.method !== method) continue;
    const found = route.pattern.exec(rawPath);
    if (!found || ![...route.query].every(([name, value]) => query.has(name) && (value === "" || query.get(name) === value))) continue;
    const labels: Record<string, string> = {};
    try {
      route.labels.forEach((label, i) => (labels[label] = decodeURIComponent(found[i + 1]!)));
    } catch {
      throw new ApiError("SerializationException", "The path is not valid percent-encoding", 400);
    }
    return { operation: route.operation, labels };
  }
  return undefined;
}

export interface RestRequest {
  readonly labels: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export function decodeRest(table: ServiceTable, ref: Ref, request: RestRequest): Record<string, unknown> {
  const shape = table.shapes[ref] as Structure | undefined;
  const bound: Record<string, unknown> = {};
  const rest: Record<string, Member> = {};
  let payload: [string, Member] | undefined;
  for (const [name, member] of Object.entries(shape?.s ?? {})) {
    const [memberRef, traits] = member;
    if (traits?.httpLabel) bound[name] = text(table, memberRef, request.labels[name] ?? "", name);
    else if (traits?.httpQuery) {
      const values = request.query.getAll(traits.httpQuery);
      const list = table.shapes[memberRef];
      if (values.length > 0)
        bound[name] =
          list && "l" in list ? values.map((value) => text(table, list.l[0], value, name)) : text(table, memberRef, values[0]!, name);
    } else if (traits?.httpHeader) {
      const value = request.headers[traits.httpHeader.toLowerCase()];
      if (value !== undefined) bound[name] = text(table, memberRef, String(value), name);
    } else if (traits?.httpPayload) payload = [name, member];
    else rest[name] = member;
  }
  if (payload) {
    const [name, [payloadRef]] = payload;
    if (payloadRef === "x" || payloadRef === "xs") bound[name] = request.body;
    else if (payloadRef === "s") bound[name] = Buffer.from(request.body).toString("utf8");
    else if (request.body.length > 0) bound[name] = decodeBody(table, payloadRef, request.body);
  } else if (Object.keys(rest).length > 0 && request.body.length > 0) {
    Object.assign(bound, decodeBody(table, ref, request.body, new Set(Object.keys(bound))));
  }
  let index = 0;
  for (const [name, [, traits]] of Object.entries(shape?.s ?? {})) {
    if (index++ < (shape?.r ?? 0) && bound[name] === undefined && !traits?.idempotencyToken)
      throw missingMember(table.service, table.protocol, name);
  }
  return bound;
}

function decodeBody(table: ServiceTable, ref: Ref, body: Uint8Array, skip: ReadonlySet<string> = new Set()): Record<string, unknown> {
  const lenient = { ...table, shapes: { ...table.shapes } };
  // What is bound elsewhere is not missing here.
  const shape = table.shapes[ref] as Structure;
  lenient.shapes[ref] = { ...shape, r: 0 };
  if (table.protocol === "restJson1") {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(body).toString("utf8"));
    } catch {
      throw new ApiError("SerializationException", "The body is not valid JSON", 400);
    }
    const input = decodeInput(lenient, jsonDialect(true), ref, value);
    for (const name of skip) delete input[name];
    return input;
  }
  return decodeXml(lenient, ref, body);
}

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  removeNSPrefix: true,
  processEntities: true,
  trimValues: false,
  ignoreDeclaration: true,
});

function decodeXml(table: ServiceTable, ref: Ref, body: Uint8Array): Record<string, unknown> {
  let tree: Record<string, unknown>;
  try {
    tree = parser.parse(Buffer.from(body).toString("utf8"), true) as Record<string, unknown>;
  } catch (error) {
    throw new ApiError("MalformedInput", `The body is not well-formed XML: ${(error as Error).message}`, 400);
  }
  const root = Object.values(tree).find((value) => typeof value === "object") ?? {};
  return fromXml(table, [ref], root, 0) as Record<string, unknown>;
}

const asList = (value: unknown) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

function fromXml(table: ServiceTable, [ref, traits]: Member, value: unknown, depth: number): unknown {
  if (depth > 64) throw new ApiError("MalformedInput", "The body nests too deep", 400);
  const shape = table.shapes[ref];
  if (!shape) return text(table, ref, typeof value === "object" ? "" : String(value as string), "");
  const node = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if ("l" in shape) {
    const items = traits?.xmlFlattened ? asList(value) : asList(node[shape.l[1]?.xmlName ?? "member"]);
    return items.map((item) => fromXml(table, shape.l, item, depth + 1));
  }
  if ("m" in shape) {
    const entries = asList(traits?.xmlFlattened ? value : node.entry) as Record<string, unknown>[];
    return Object.fromEntries(
      entries.map((entry) => [
        String(entry[shape.m[0][1]?.xmlName ?? "key"]),
        fromXml(table, shape.m[1], entry[shape.m[1][1]?.xmlName ?? "value"], depth + 1),
      ]),
    );
  }
  const structure: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(shape.s)) {
    const child = node[member[1]?.xmlName ?? name];
    if (child !== undefined) structure[name] = fromXml(table, member, child, depth + 1);
  }
  return structure;
}

function text(table: ServiceTable, ref: Ref, value: string, name: string): unknown {
  const bad = () =>
    new ApiError(
      table.protocol === "restXml" ? "MalformedInput" : "SerializationException",
      `Value '${value.slice(0, 128)}' of '${name}' has the wrong type`,
      400,
    );
  if (ref === "n") {
    const number = Number(value);
    if (value.trim() === "" || Number.isNaN(number)) throw bad();
    return number;
  }
  if (ref === "b") {
    if (value !== "true" && value !== "false") throw bad();
    return value === "true";
  }
  if (ref.startsWith("t") && ref.length <= 2) {
    const date = validDate(/^\d+(\.\d+)?$/.test(value) ? new Date(Number(value) * 1000) : new Date(value));
    if (!date) throw bad();
    return date;
  }
  if (ref === "x" || ref === "xs") return Buffer.from(value, "base64");
  return value;
}

export interface RestResponse {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
}

export function encodeRest(table: ServiceTable, operation: string, output: Record<string, unknown>): RestResponse {
  const { o, h } = table.operations[operation]!;
  const shape = table.shapes[o] as Structure | undefined;
  const headers: Record<string, string> = {};
  const rest: Record<string, unknown> = {};
  let status = h?.[2] ?? 200;
  let body: string | Uint8Array | undefined;
  let xml = "";
  for (const [name, member] of Object.entries(shape?.s ?? {})) {
    const value = output[name];
    if (value === undefined || value === null) continue;
    const [ref, traits] = member;
    if (traits?.httpHeader)
      headers[traits.httpHeader] = ref.startsWith("t") && ref.length <= 2 ? (value as Date).toUTCString() : String(value as string);
    else if (traits?.httpResponseCode) status = value as number;
    else if (traits?.httpPayload)
      body = table.shapes[ref]
        ? table.protocol === "restXml"
          ? encodeMember(table, name, member, value)
          : JSON.stringify(encodeOutput(table, jsonDialect(true), ref, value))
        : ref === "x" || ref === "xs"
          ? (value as Uint8Array)
          : encodeText(ref, value);
    else if (table.protocol === "restXml") xml += encodeMember(table, name, member, value);
    else rest[traits?.jsonName ?? name] = encodeOutput(table, jsonDialect(true), ref, value);
  }
  if (table.protocol === "restXml") {
    headers["content-type"] = "text/xml";
    const root = shape?.t?.xmlName ?? o;
    body ??= `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${table.namespace ? ` xmlns="${table.namespace}"` : ""}>${xml}</${root}>`;
  } else {
    headers["content-type"] = "application/json";
    body ??= JSON.stringify(rest);
  }
  return { status, headers, body };
}
