import { ApiError } from "./contract.ts";
import { missingMembers } from "./errors.ts";
import { decodeText } from "./http-text.ts";
import type { Ref, ServiceTable, Traits } from "./schema.ts";

/** AWS Query and EC2 Query: form fields in. Source: Smithy, "AWS query protocol" and "AWS EC2 query protocol". */
interface Node {
  value?: string;
  readonly children: Map<string, Node>;
}

/** A form names its members by paths like `Filter.1.Value.2`; more levels than any shape has are refused. */
const maxDepth = 32;
const maxFields = 20_000;

export function parseForm(body: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(body)) {
    fields.set(name, value);
    if (fields.size > maxFields) throw new ApiError("MalformedQueryString", "The query string has too many fields.", 400);
  }
  return fields;
}

export function decodeForm(table: ServiceTable, ref: Ref, fields: ReadonlyMap<string, string>): Record<string, unknown> {
  if (!(ref in table.shapes)) return {};
  const root: Node = { children: new Map() };
  for (const [name, value] of fields) {
    if (name === "Action" || name === "Version") continue;
    const parts = name.split(".");
    if (parts.length > maxDepth) throw new ApiError("MalformedQueryString", "The query string nests too deep.", 400);
    let node = root;
    for (const part of parts) {
      let child = node.children.get(part);
      if (!child) {
        child = { children: new Map() };
        node.children.set(part, child);
      }
      node = child;
    }
    node.value = value;
  }
  const missing: string[] = [];
  const input = decode(table, ref, root, "", missing);
  if (missing.length > 0) throw missingMembers(table, table.protocol, ref, missing);
  return input as Record<string, unknown>;
}

/** Under which name a member stands in the form. */
function fieldName(table: ServiceTable, name: string, traits: Traits | undefined): string {
  if (table.protocol !== "ec2Query") return traits?.xmlName ?? name;
  if (traits?.ec2QueryName) return traits.ec2QueryName;
  const text = traits?.xmlName ?? name;
  return text[0]!.toUpperCase() + text.slice(1);
}

function decode(table: ServiceTable, ref: Ref, node: Node, path: string, missing: string[], traits?: Traits): unknown {
  const shape = table.shapes[ref];
  if (!shape) return decodeText(table.protocol, ref, node.value ?? "", path);
  const prefix = path ? `${path}.` : "";
  if ("l" in shape) {
    const flat = table.protocol === "ec2Query" || traits?.xmlFlattened;
    const named = node.children.get(shape.l[1]?.xmlName ?? "member") ?? node.children.get("member");
    return numbered((flat ? undefined : named) ?? node).map(([index, item]) =>
      decode(table, shape.l[0], item, `${prefix}${flat ? "" : "member."}${index}`, missing),
    );
  }
  if ("m" in shape) {
    const entries = traits?.xmlFlattened ? node : (node.children.get("entry") ?? node);
    const map: Record<string, unknown> = {};
    for (const [index, item] of numbered(entries)) {
      const key = item.children.get(shape.m[0][1]?.xmlName ?? "key")?.value;
      const value = item.children.get(shape.m[1][1]?.xmlName ?? "value");
      if (key !== undefined && value)
        Object.defineProperty(map, key, {
          value: decode(table, shape.m[1][0], value, `${prefix}entry.${index}.value`, missing),
          enumerable: true,
          configurable: true,
          writable: true,
        });
    }
    return map;
  }
  const structure: Record<string, unknown> = {};
  let index = 0;
  for (const name in shape.s) {
    const [memberRef, memberTraits] = shape.s[name]!;
    const field = fieldName(table, name, memberTraits);
    const flatList =
      memberTraits?.xmlFlattened && table.shapes[memberRef] && "l" in table.shapes[memberRef]
        ? (table.shapes[memberRef].l[1]?.xmlName ?? field)
        : field;
    const child = node.children.get(field) ?? node.children.get(flatList);
    // An empty list is sent as a lone empty field.
    if (child)
      structure[name] =
        child.value === "" && child.children.size === 0 && table.shapes[memberRef] && "l" in table.shapes[memberRef]
          ? []
          : decode(table, memberRef, child, `${prefix}${field}`, missing, memberTraits);
    else if (index < shape.r && !memberTraits?.idempotencyToken) missing.push(`${prefix}${field}`);
    index++;
  }
  return structure;
}

/** The children named 1, 2, 3 … in order of their numbers, whatever the order and the gaps in the form. */
function numbered(node: Node): [number, Node][] {
  return [...node.children]
    .filter(([name]) => /^\d{1,9}$/.test(name))
    .map(([name, child]): [number, Node] => [Number(name), child])
    .sort(([a], [b]) => a - b);
}
