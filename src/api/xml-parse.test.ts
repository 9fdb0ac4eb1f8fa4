import assert from "node:assert/strict";
import { test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { ApiError } from "./contract.ts";
import { decodeRest } from "./rest.ts";
import { matchRest } from "./rest-match.ts";
import { serviceTable } from "./schema.ts";
import { escapeXml } from "./xml.ts";
import { parseXml, type XmlElement, XmlError } from "#platform/xml-parse.ts";

test("elements, attributes, prefixes, text, CDATA, comments, declarations", () => {
  const root = parseXml(
    '\uFEFF<?xml version="1.0"?>\n<!-- c --><n:a xmlns:n="u" x=\'1 &lt; 2\'>t<b/>&#x41;&#66;&amp;<![CDATA[<&]]><!-- <no> --><n:b y="">z</n:b ></n:a>\n',
  );
  assert.equal(root.name, "a");
  assert.equal(root.attributes.get("x"), "1 < 2");
  assert.equal(root.text, "tAB&<&");
  assert.deepEqual(
    root.children.map(({ name, text }) => [name, text]),
    [
      ["b", ""],
      ["b", "z"],
    ],
  );
});

test("what is not well-formed, or more than we take, is refused", () => {
  const bad = [
    "",
    "text",
    "<a>",
    "<a></b>",
    "</a>",
    "<a/><b/>",
    "<a><b></a></b>",
    "<a b=c/>",
    "<a>&unknown;</a>",
    "<a>& </a>",
    "<a>&#0;</a>",
    "<a>&#x110000;</a>",
    "<a><!-- </a>",
    "<a><![CDATA[ </a>",
    "<1/>",
    '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "<a>".repeat(10_000),
    `${"<a>".repeat(100)}${"</a>".repeat(100)}`,
  ];
  for (const text of bad) assert.throws(() => parseXml(text), XmlError, text.slice(0, 60));
});

const name = fc.constantFrom("a", "Name", "x-y", "_z.1", "__proto__", "constructor");
const treeOf = fc.memo((depth): fc.Arbitrary<XmlElement> =>
  fc.record(
    {
      name,
      attributes: fc.constant(new Map<string, string>()),
      children: depth > 1 ? fc.array(treeOf(), { maxLength: 3 }) : fc.constant([]),
      text: fc.string({ unit: "grapheme", maxLength: 10 }).map((text) => text.replace(/[^\t\n\u0020-\uD7FF\uE000-\uFFFD]/g, "")),
    },
    { noNullPrototype: true },
  ),
);
const tree = treeOf(4);

const written = (element: XmlElement): string =>
  `<${element.name}>${escapeXml(element.text)}${element.children.map(written).join("")}</${element.name}>`;

test("what is written is read back", () => {
  fc.assert(fc.property(tree, (element) => assert.deepEqual(parseXml(written(element)), element)));
});

test("any text is an element or an XmlError, in a time that grows with its length", () => {
  const pieces = fc.array(
    fc.constantFrom(
      "<",
      ">",
      "/",
      "<a>",
      "</a>",
      "a",
      " ",
      "=",
      '"',
      "'",
      "&",
      ";",
      "&#",
      "<!--",
      "-->",
      "<![CDATA[",
      "]]>",
      "<?",
      "?>",
      "\0",
      "é",
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        pieces.map((each) => each.join("")),
        fc.string({ unit: "binary" }),
      ),
      (text) => {
        try {
          parseXml(text);
        } catch (error) {
          assert.ok(error instanceof XmlError, String(error));
        }
      },
    ),
    { numRuns: 600 },
  );
  const began = processorMs();
  for (const text of [
    "<a ".repeat(100_000),
    `<a ${"b ".repeat(100_000)}`,
    `<a${' b="c"'.repeat(50_000)}`,
    "&".repeat(100_000),
    "<!--".repeat(50_000),
  ])
    assert.throws(() => parseXml(text), XmlError);
  assert.ok(processorMs() - began < 2000);
});

test("REST: no path, query, header or body makes anything but an ApiError", () => {
  const segment = fc.oneof(fc.constantFrom("2013-04-01", "hostedzone", "rrset", "schedules", "tags", "%", "%2F", "..", ""), fc.string());
  const path = fc.array(segment, { maxLength: 5 }).map((parts) => `/${parts.join("/")}`);
  const method = fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD");
  const bodies = fc.oneof(tree.map(written), fc.json(), fc.string());
  for (const service of ["route53", "scheduler"]) {
    const table = serviceTable(service);
    const inputs = Object.values(table.operations).map(({ i }) => i);
    fc.assert(
      fc.property(method, path, fc.webQueryParameters(), bodies, fc.constantFrom(...inputs), (verb, rawPath, query, body, input) => {
        const params = new URLSearchParams(query);
        try {
          const labels = matchRest(service, verb, rawPath, params)?.labels ?? {};
          decodeRest(table, input, { labels, query: params, headers: {}, body: Buffer.from(body) });
        } catch (error) {
          assert.ok(error instanceof ApiError && error.status < 500, String(error));
        }
      }),
      { numRuns: 500 },
    );
  }
});

test("REST-XML: nested required members are missed by their path", () => {
  const body = Buffer.from(
    "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>CREATE</Action><ResourceRecordSet><Type>A</Type></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
  );
  const request = { labels: { HostedZoneId: "Z1" }, query: new URLSearchParams(), headers: {}, body };
  assert.throws(() => decodeRest(serviceTable("route53"), "ChangeResourceRecordSetsRequest", request), {
    code: "InvalidInput",
    message: /^1 validation error detected: Value null at 'changeBatch\.changes\.1\.member\.resourceRecordSet\.name' failed to satisfy/,
  });
});
