import { encodeText } from "./http-text.ts";
import type { Member, Ref, ServiceTable, Traits } from "./schema.ts";

export function escapeXml(text: string): string {
  // Characters that XML 1.0 cannot carry at all are replaced; AWS does not send them either.
  return text.replace(/[&<>"']|[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, (character) => named[character] ?? "\uFFFD");
}
const named: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

/** The members of a structure as XML elements. Source: Smithy, "XML binding traits". */
export function encodeMembers(table: ServiceTable, ref: Ref, value: unknown): string {
  const shape = table.shapes[ref];
  if (!shape || !("s" in shape) || value === null || value === undefined) return "";
  const given = value as Record<string, unknown>;
  let xml = "";
  for (const name in shape.s) {
    const item = given[name];
    if (item !== undefined && item !== null) xml += encodeMember(table, name, shape.s[name]!, item);
  }
  return xml;
}

export function encodeMember(table: ServiceTable, name: string, [ref, traits]: Member, value: unknown): string {
  const tag = traits?.xmlName ?? name;
  const shape = table.shapes[ref];
  if (shape && "l" in shape) {
    const items = value as readonly unknown[];
    if (traits?.xmlFlattened) return items.map((item) => encodeMember(table, tag, withName(shape.l, tag), item)).join("");
    const itemTag = shape.l[1]?.xmlName ?? "member";
    return `<${tag}>${items.map((item) => encodeMember(table, itemTag, withName(shape.l, itemTag), item)).join("")}</${tag}>`;
  }
  if (shape && "m" in shape) {
    const [key, item] = shape.m;
    const entries = Object.entries(value as Record<string, unknown>)
      .filter(([, each]) => each !== undefined)
      .map(([k, each]) => {
        const inner = `${encodeMember(table, key[1]?.xmlName ?? "key", withName(key, key[1]?.xmlName ?? "key"), k)}${encodeMember(table, item[1]?.xmlName ?? "value", withName(item, item[1]?.xmlName ?? "value"), each)}`;
        return traits?.xmlFlattened ? `<${tag}>${inner}</${tag}>` : `<entry>${inner}</entry>`;
      })
      .join("");
    return traits?.xmlFlattened ? entries : `<${tag}>${entries}</${tag}>`;
  }
  if (shape) return `<${tag}>${encodeMembers(table, ref, value)}</${tag}>`;
  return `<${tag}>${escapeXml(encodeText(ref, value))}</${tag}>`;
}

const withName = ([ref, traits]: Member, xmlName: string): Member => [ref, { ...(traits as Traits | undefined), xmlName }];
