import { ApiError } from "./contract.ts";
import { missingMembers } from "./errors.ts";
import { decodeText, encodeText, isTimestamp } from "./http-text.ts";
import { decodeMembers, encodeOutput, jsonDialect } from "./json-codec.ts";
import type { RestMatch } from "./rest-match.ts";
import type { Member, Ref, ServiceTable, Structure } from "./schema.ts";
import { encodeMember } from "./xml.ts";
import { decodeMember, decodeXml, parseBody } from "./xml-decode.ts";

/** REST-JSON and REST-XML: where a member of the input or output stands in the HTTP message. Source: Smithy, "HTTP binding traits". */
export interface RestRequest {
  readonly labels: RestMatch["labels"];
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

const json = jsonDialect(true);
const noShape: Structure = { s: {}, r: 0 };
const structureOf = (table: ServiceTable, ref: Ref): Structure => (table.shapes[ref] as Structure | undefined) ?? noShape;

export function decodeRest(table: ServiceTable, ref: Ref, request: RestRequest): Record<string, unknown> {
  const shape = structureOf(table, ref);
  const inBody = readBody(table, shape, request.body);
  const missing: string[] = [];
  const input: Record<string, unknown> = {};
  let index = 0;
  for (const name in shape.s) {
    const member = shape.s[name]!;
    const value = bound(table, shape, name, member, request) ?? inBody(name, member, missing);
    if (value !== undefined) input[name] = value;
    else if (index < shape.r && !member[1]?.idempotencyToken) missing.push(name);
    index++;
  }
  if (missing.length > 0) throw missingMembers(table, table.protocol, ref, missing);
  return input;
}

/** A member's value from path, query or headers; undefined when it is not there or belongs into the body. */
function bound(table: ServiceTable, shape: Structure, name: string, [ref, traits]: Member, request: RestRequest): unknown {
  if (!traits) return undefined;
  const { labels, query, headers } = request;
  const text = (value: string, of = ref) => decodeText(table.protocol, of, value, name);
  const list = table.shapes[ref];
  if (traits.httpLabel) return text(labels[name] ?? "");
  if (traits.httpQuery !== undefined) {
    const values = query.getAll(traits.httpQuery);
    if (values.length === 0) return undefined;
    return list && "l" in list ? values.map((value) => text(value, list.l[0])) : text(values[0]!);
  }
  if (traits.httpQueryParams) {
    const taken = new Set(Object.values(shape.s).map(([, each]) => each?.httpQuery));
    const rest = [...query.keys()].filter((key) => !taken.has(key));
    const many = list && "m" in list && list.m[1][0] in table.shapes;
    return rest.length === 0 ? undefined : Object.fromEntries(rest.map((key) => [key, many ? query.getAll(key) : query.get(key)]));
  }
  if (traits.httpHeader !== undefined) {
    const value = headers[traits.httpHeader.toLowerCase()];
    if (value === undefined) return undefined;
    if (list && "l" in list) return splitHeader(String(value), isTimestamp(list.l[0])).map((each) => text(each, list.l[0]));
    return text(String(value));
  }
  if (traits.httpPrefixHeaders !== undefined) {
    const prefix = traits.httpPrefixHeaders.toLowerCase();
    const found = Object.entries(headers).filter(([key]) => key.startsWith(prefix));
    return found.length === 0 ? undefined : Object.fromEntries(found.map(([key, value]) => [key.slice(prefix.length), String(value)]));
  }
  return undefined;
}

/** A list in a header; an http-date has a comma of its own. */
const splitHeader = (value: string, dates: boolean) =>
  dates ? (value.match(/[^,]+,[^,]+/g) ?? []).map((each) => each.trim()) : value.split(",").map((each) => each.trim());

type InBody = (name: string, member: Member, missing: string[]) => unknown;

/** What the body says of a member that stands nowhere else. Nested members that are missing are added to the list. */
function readBody(table: ServiceTable, shape: Structure, body: Uint8Array): InBody {
  const members = Object.entries(shape.s);
  const payload = members.find(([, [, traits]]) => traits?.httpPayload)?.[0];
  if (payload !== undefined)
    return (name, member, missing) => (name === payload ? readPayload(table, name, member, body, missing) : undefined);
  if (body.length === 0) return () => undefined;
  if (!members.some(([, [, traits]]) => inBodyOnly(traits))) return () => undefined;
  if (table.protocol === "restXml") {
    const root = parseBody(body);
    return (name, member, paths) => (inBodyOnly(member[1]) ? decodeMember(table, name, member, root, { paths, prefix: "" }) : undefined);
  }
  const own: Structure = { s: Object.fromEntries(members.filter(([, [, traits]]) => inBodyOnly(traits))), r: 0 };
  let decoded: Record<string, unknown> | undefined;
  return (name, _member, missing) => {
    decoded ??= decodeMembers(table, json, own, parseJson(body), missing);
    return decoded[name];
  };
}

const inBodyOnly = (traits: Member[1]) =>
  !traits ||
  !(
    traits.httpLabel ??
    traits.httpQuery ??
    traits.httpQueryParams ??
    traits.httpHeader ??
    traits.httpPrefixHeaders ??
    traits.httpResponseCode
  );

function readPayload(table: ServiceTable, name: string, member: Member, body: Uint8Array, missing: string[]): unknown {
  const [ref] = member;
  if (ref === "x" || ref === "xs") return body;
  if (body.length === 0) return undefined;
  if (ref === "s") return Buffer.from(body).toString("utf8");
  if (table.protocol === "restXml") return decodeXml(table, member, parseBody(body), { paths: missing, prefix: `${name}.` });
  if (ref === "d") return parseJson(body);
  const inner: string[] = [];
  const value = decodeMembers(table, json, structureOf(table, ref), parseJson(body), inner);
  missing.push(...inner.map((path) => `${name}.${path}`));
  return value;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    throw new ApiError("SerializationException", "The request body is not valid JSON.", 400);
  }
}

export interface RestResponse {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
}

export function encodeRest(table: ServiceTable, operation: string, output: Record<string, unknown>): RestResponse {
  const { o, h } = table.operations[operation]!;
  const shape = structureOf(table, o);
  const isXml = table.protocol === "restXml";
  const headers: Record<string, string> = {};
  const rest: Record<string, unknown> = {};
  let status = h?.[2] ?? 200;
  let body: string | Uint8Array | undefined;
  let xml = "";
  for (const name in shape.s) {
    const member = shape.s[name]!;
    const value = output[name];
    if (value === undefined || value === null) continue;
    const [ref, traits] = member;
    if (traits?.httpHeader !== undefined) headers[traits.httpHeader] = headerText(table, ref, value);
    else if (traits?.httpPrefixHeaders !== undefined)
      for (const [key, text] of Object.entries(value as Record<string, string>)) headers[`${traits.httpPrefixHeaders}${key}`] = text;
    else if (traits?.httpResponseCode) status = value as number;
    else if (traits?.httpPayload) body = payloadBody(table, name, member, value);
    else if (isXml) xml += encodeMember(table, name, member, value);
    else rest[traits?.jsonName ?? name] = encodeOutput(table, json, ref, value);
  }
  headers["content-type"] = isXml ? "text/xml" : "application/json";
  if (status === 204) return { status, headers: {}, body: "" };
  const root = shape.t?.xmlName ?? o;
  body ??= isXml
    ? `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${table.namespace ? ` xmlns="${table.namespace}"` : ""}>${xml}</${root}>`
    : JSON.stringify(rest);
  return { status, headers, body };
}

function payloadBody(table: ServiceTable, name: string, member: Member, value: unknown): string | Uint8Array {
  const [ref] = member;
  if (ref === "x" || ref === "xs") return value as Uint8Array;
  if (ref === "s") return value as string;
  if (table.protocol === "restXml") return encodeMember(table, table.shapes[ref]?.t?.xmlName ?? name, member, value);
  return JSON.stringify(encodeOutput(table, json, ref, value));
}

function headerText(table: ServiceTable, ref: Ref, value: unknown): string {
  const list = table.shapes[ref];
  if (list && "l" in list) return (value as unknown[]).map((each) => encodeText(list.l[0], each, "th")).join(", ");
  return encodeText(ref, value, "th");
}
