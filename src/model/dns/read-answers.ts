import { type Answer, headerLength, types } from "./message.ts";

/** CNAME and address records in somebody's reply, in their order; names are read through pointers. Bad input is undefined. Pure. */
export function readAnswers(message: Uint8Array): { readonly code: number; readonly answers: readonly Answer[] } | undefined {
  if (message.length < headerLength) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  try {
    let at = headerLength;
    for (let count = view.getUint16(4); count > 0; count--) at = readName(message, at).end + 4;
    const answers: Answer[] = [];
    for (let count = view.getUint16(6); count > 0; count--) {
      const { name, end } = readName(message, at);
      const [type, ttl, length] = [view.getUint16(end), view.getUint32(end + 4), view.getUint16(end + 8)];
      const data = end + 10;
      at = data + length;
      if (at > message.length) return undefined;
      if (type === types.CNAME) answers.push({ type: "CNAME", target: readName(message, data).name, ttl, name });
      if (type === types.A && length === 4) answers.push({ type: "A", address: message.subarray(data, at).join("."), ttl, name });
      if (type === types.AAAA && length === 16)
        answers.push({
          type: "AAAA",
          address: Array.from({ length: 8 }, (_, word) => view.getUint16(data + word * 2).toString(16)).join(":"),
          ttl,
          name,
        });
    }
    return { code: view.getUint16(2) & 15, answers };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Throws RangeError for a name that leads out of the message, or in circles. */
function readName(message: Uint8Array, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  for (let step = 0; step < 256; step++) {
    const size = message[at];
    if (size === undefined) throw new RangeError("a name beyond the message");
    if ((size & 0xc0) === 0xc0) {
      end ??= at + 2;
      at = ((size & 0x3f) << 8) | (message[at + 1] ?? 0);
      continue;
    }
    if (size > 63 || at + 1 + size > message.length) throw new RangeError("a bad label");
    if (size === 0) return { name: labels.join("."), end: end ?? at + 1 };
    const label = Buffer.from(message.subarray(at + 1, at + 1 + size)).toString("latin1");
    labels.push(label.toLowerCase().replaceAll(".", "\\."));
    at += 1 + size;
  }
  throw new RangeError("a name in circles");
}
