import { ApiError } from "./contract.ts";
import { decodeText } from "./http-text.ts";
import type { Member, ServiceTable } from "./schema.ts";
import { parseXml, type XmlElement, XmlError } from "#platform/xml-parse.ts";

/** The root element of a REST-XML body. Throws ApiError when it is not well-formed. */
export function parseBody(body: Uint8Array): XmlElement {
  try {
    return parseXml(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    throw new ApiError("MalformedInput", `The request body is not well-formed XML: ${error.message}.`, 400);
  }
}

/** Where required members that are absent are written down, and the path to here, e.g. `ChangeBatch.`. */
export interface Missing {
  readonly paths: string[];
  readonly prefix: string;
}

/** An element → the value of its shape; unknown elements are ignored. Source: Smithy, "XML binding traits". */
export function decodeXml(table: ServiceTable, [ref]: Member, element: XmlElement, missing: Missing): unknown {
  const shape = table.shapes[ref];
  if (!shape) return decodeText(table.protocol, ref, element.text, element.name);
  if ("l" in shape) {
    const tag = shape.l[1]?.xmlName ?? "member";
    return element.children
      .filter(({ name }) => name === tag)
      .map((item, i) => decodeXml(table, shape.l, item, within(missing, `${i + 1}.member`)));
  }
  if ("m" in shape) return entriesOf(table, ref, named(element, "entry"), missing);
  const structure: Record<string, unknown> = {};
  let index = 0;
  for (const name in shape.s) {
    const value = decodeMember(table, name, shape.s[name]!, element, missing);
    if (value !== undefined) structure[name] = value;
    else if (index < shape.r) missing.paths.push(`${missing.prefix}${name}`);
    index++;
  }
  return structure;
}

const within = ({ paths, prefix }: Missing, name: string): Missing => ({ paths, prefix: `${prefix}${name}.` });

/** A member of the structure that `parent` holds; undefined when it is absent. */
export function decodeMember(table: ServiceTable, name: string, member: Member, parent: XmlElement, missing: Missing): unknown {
  const [ref, traits] = member;
  const tag = traits?.xmlName ?? name;
  if (traits?.xmlAttribute) {
    const text = parent.attributes.get(tag);
    return text === undefined ? undefined : decodeText(table.protocol, ref, text, name);
  }
  const found = named(parent, tag);
  if (found.length === 0) return undefined;
  const shape = table.shapes[ref];
  if (traits?.xmlFlattened && shape && "l" in shape)
    return found.map((item, i) => decodeXml(table, shape.l, item, within(missing, `${name}.${i + 1}.member`)));
  if (traits?.xmlFlattened && shape && "m" in shape) return entriesOf(table, ref, found, missing);
  return decodeXml(table, member, found[0]!, within(missing, name));
}

const named = (element: XmlElement, tag: string) => element.children.filter(({ name }) => name === tag);

function entriesOf(table: ServiceTable, ref: string, entries: readonly XmlElement[], missing: Missing): Record<string, unknown> {
  const shape = table.shapes[ref];
  if (!shape || !("m" in shape)) return {};
  const [key, value] = shape.m;
  const pairs = entries.flatMap((entry): [string, unknown][] => {
    const [name, held] = [named(entry, key[1]?.xmlName ?? "key")[0], named(entry, value[1]?.xmlName ?? "value")[0]];
    return name && held ? [[name.text, decodeXml(table, value, held, within(missing, name.text))]] : [];
  });
  return Object.fromEntries(pairs);
}
