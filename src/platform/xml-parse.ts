/** One element. Names are without their namespace prefix. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  /** All text directly inside, entities resolved, CDATA included. */
  text: string;
}

/** Not well-formed, or more than we take. The message is for the client. */
export class XmlError extends Error {}

/** No shape of AWS nests deeper. */
const maxDepth = 64;

const startTag = /<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const endTag = /<\/(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)\s*>/y;
const attribute = /([\w.:-]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/g;

/**
 * The root element of an XML 1.0 document. Small on purpose: request bodies hold elements, attributes and text. Document type
 * declarations are refused, so there are no entities to expand but XML's own five; nesting is bounded, and nothing recurses.
 */
export function parseXml(source: string): XmlElement {
  const open: XmlElement[] = [];
  let root: XmlElement | undefined;
  let at = source.charCodeAt(0) === 0xfeff ? 1 : 0;
  const skipPast = (mark: string, from: number) => {
    const end = source.indexOf(mark, from);
    if (end < 0) throw new XmlError(`'${mark}' is missing`);
    return end;
  };
  while (at < source.length) {
    const next = source.indexOf("<", at);
    const text = source.slice(at, next < 0 ? source.length : next);
    const inside = open.at(-1);
    if (inside) inside.text += unescape(text);
    else if (text.trim() !== "") throw new XmlError("text outside of the root element");
    if (next < 0) break;
    at = next;
    if (source.startsWith("<!--", at)) at = skipPast("-->", at + 4) + 3;
    else if (source.startsWith("<?", at)) at = skipPast("?>", at + 2) + 2;
    else if (source.startsWith("<![CDATA[", at)) {
      const end = skipPast("]]>", at + 9);
      if (!inside) throw new XmlError("text outside of the root element");
      inside.text += source.slice(at + 9, end);
      at = end + 3;
    } else if (source.startsWith("<!", at)) throw new XmlError("document type declarations are not taken");
    else if (source.startsWith("</", at)) {
      endTag.lastIndex = at;
      const found = endTag.exec(source);
      if (!found || open.pop()?.name !== found[1]) throw new XmlError("an end tag does not match its start tag");
      at = endTag.lastIndex;
    } else {
      startTag.lastIndex = at;
      const found = startTag.exec(source);
      if (!found) throw new XmlError("a tag is malformed");
      at = startTag.lastIndex;
      const element: XmlElement = { name: found[2]!, attributes: attributesOf(found[3]!), children: [], text: "" };
      if (inside) inside.children.push(element);
      else if (root) throw new XmlError("a second root element");
      else root = element;
      if (found[4] === "") open.push(element);
      if (open.length > maxDepth) throw new XmlError("elements nest too deep");
    }
  }
  if (!root || open.length > 0) throw new XmlError("an element is not closed");
  return root;
}

const none: ReadonlyMap<string, string> = new Map();

function attributesOf(text: string): ReadonlyMap<string, string> {
  if (text === "") return none;
  return new Map([...text.matchAll(attribute)].map(([, name, double, single]) => [name!, unescape(double ?? single ?? "")]));
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescape(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&([^;&]{0,12};?)/g, (_all, name: string) => {
    const known = Object.hasOwn(entities, name.slice(0, -1)) ? entities[name.slice(0, -1)] : undefined;
    if (known !== undefined && name.endsWith(";")) return known;
    const number = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));$/.exec(name);
    const code = number ? Number.parseInt(number[1] ?? number[2]!, number[1] ? 16 : 10) : 0;
    if (code === 0 || code > 0x10ffff) throw new XmlError("an unknown entity");
    return String.fromCodePoint(code);
  });
}
