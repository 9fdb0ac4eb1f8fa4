import { ApiError } from "./contract.ts";
import { commonErrors } from "./errors.ts";
import { validDate } from "./json-codec.ts";
import type { Protocol, Ref } from "./schema.ts";

/** Simple values as text: in form fields, XML elements, HTTP headers, paths and queries. Source: Smithy, "timestampFormat" and the HTTP bindings. */

export const isTimestamp = (ref: Ref) => ref === "t" || ref === "td" || ref === "th" || ref === "te";

/** `name` is for the message. Throws the protocol's own error when the text is no value of the type. */
export function decodeText(protocol: Protocol, ref: Ref, text: string, name: string): unknown {
  const bad = (wanted: string): ApiError =>
    commonErrors.malformed(protocol, `Value (${text.slice(0, 128)}) for parameter ${name} is invalid. Expected ${wanted}.`);
  switch (ref) {
    case "n": {
      const number = numberOf(text.trim());
      if (number === undefined) throw bad("a number");
      return number;
    }
    case "b":
      if (/^(true|false)$/i.test(text)) return text.length === 4;
      throw bad("true or false");
    case "t":
    case "td":
    case "th":
    case "te": {
      const date = validDate(/^-?\d+(\.\d+)?$/.test(text) ? new Date(Number(text) * 1000) : new Date(text));
      if (!date) throw bad("a timestamp");
      return date;
    }
    case "x":
    case "xs":
      return Buffer.from(text, "base64");
    default:
      return text;
  }
}

/** Decimal only: Number() would take `0x10` and the empty text too. */
function numberOf(text: string): number | undefined {
  if (text === "NaN" || text === "Infinity" || text === "-Infinity") return Number(text);
  return /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}

/** The default of timestamps differs: date-time in bodies and queries, http-date in headers. */
export function encodeText(ref: Ref, value: unknown, timestamps: "td" | "th" = "td"): string {
  switch (ref === "t" ? timestamps : ref) {
    case "td":
      return (value as Date).toISOString().replace(".000Z", "Z");
    case "th":
      return (value as Date).toUTCString();
    case "te":
      return String((value as Date).getTime() / 1000);
    case "x":
    case "xs":
      return Buffer.from(value as Uint8Array).toString("base64");
    default:
      return typeof value === "string" ? value : String(value as number | boolean);
  }
}
