/**
 * The little of DNS (RFC 1035) that the VPC's resolver needs: one question in, address, name or error answers out. All else travels through it as
 * bytes. Pure; bad input is undefined, never an exception.
 */
export interface Question {
  readonly id: number;
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly recursionDesired: boolean;
  /** Where the question ends in the message. */
  readonly end: number;
}

export const types = { A: 1, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const;
export const codes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export type Answer =
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly ttl: number; readonly name?: string }
  | { readonly type: "PTR" | "CNAME"; readonly target: string; readonly ttl: number; readonly name?: string }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
      readonly ttl: number;
      readonly name?: string;
    };

export const headerLength = 12;

/** The question of a standard query with exactly one; undefined for anything else. */
export function parseQuestion(message: Uint8Array): Question | undefined {
  if (message.length < headerLength) return undefined;
  const view = viewOf(message);
  const flags = view.getUint16(2);
  // A query, of the standard kind.
  if (flags & 0x8000 || flags & 0x7800 || view.getUint16(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = headerLength;
  let length = 0;
  for (;;) {
    const size = message[at];
    // A name in a question is the message's first: it can't be a pointer.
    if (size === undefined || size > 63) return undefined;
    at++;
    if (size === 0) break;
    length += size + 1;
    if (length > 254 || at + size > message.length) return undefined;
    labels.push(
      Buffer.from(message.subarray(at, at + size))
        .toString("latin1")
        .toLowerCase(),
    );
    at += size;
  }
  if (at + 4 > message.length) return undefined;
  // A dot within a label is none of our names.
  const name = labels.map((label) => label.replaceAll(".", "\\.")).join(".");
  return {
    id: view.getUint16(0),
    name,
    type: view.getUint16(at),
    class: view.getUint16(at + 2),
    recursionDesired: (flags & 0x0100) !== 0,
    end: at + 4,
  };
}

/** The reply to `query`, whose question is `question`. `largest`: what doesn't fit is left out, and the reply says that it was (TC). */
export function reply(
  query: Uint8Array,
  question: Question,
  answer: { readonly code: number; readonly answers?: readonly Answer[]; readonly authoritative?: boolean },
  largest = 65_535,
): Buffer {
  const { code, answers = [], authoritative = false } = answer;
  const asked = query.subarray(headerLength, question.end);
  const records: Buffer[] = [];
  let size = headerLength + asked.length;
  let cut = false;
  for (const each of answers) {
    const record = recordOf(each, question);
    if (size + record.length > largest) {
      cut = true;
      break;
    }
    size += record.length;
    records.push(record);
  }
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(question.id, 0);
  const flags = 0x8000 | 0x0080 | (question.recursionDesired ? 0x0100 : 0) | (authoritative ? 0x0400 : 0) | (cut ? 0x0200 : 0) | code;
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, asked, ...records]);
}

/** A reply to what is no question that we can read: its id and an error; undefined where there is not even an id. */
export function refusal(message: Uint8Array, code: number): Buffer | undefined {
  if (message.length < headerLength || (message[2] ?? 0) & 0x80) return undefined;
  const header = Buffer.alloc(headerLength);
  header.set(message.subarray(0, 2));
  header.writeUInt16BE(0x8080 | code, 2);
  return header;
}

function recordOf(answer: Answer, question: Question): Buffer {
  const data = dataOf(answer);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(types[answer.type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(Math.max(0, Math.floor(answer.ttl)), 4);
  fixed.writeUInt16BE(data.length, 8);
  // The question's name, by pointer.
  const name = answer.name === undefined || answer.name === question.name ? Buffer.from([0xc0, headerLength]) : nameBytes(answer.name);
  return Buffer.concat([name, fixed, data]);
}

function dataOf(answer: Answer): Buffer {
  if ("address" in answer) return answer.type === "A" ? Buffer.from(answer.address.split(".").map(Number)) : ipv6Bytes(answer.address);
  if (answer.type === "SRV") {
    const fixed = Buffer.alloc(6);
    for (const [index, value] of [answer.priority, answer.weight, answer.port].entries()) fixed.writeUInt16BE(value, index * 2);
    return Buffer.concat([fixed, nameBytes(answer.target)]);
  }
  return nameBytes(answer.target);
}

function nameBytes(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  const parts = labels.map((label) => {
    const text = Buffer.from(label, "latin1").subarray(0, 63);
    return Buffer.concat([Buffer.from([text.length]), text]);
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

export function ipv6Bytes(address: string): Buffer {
  const [head = "", tail] = address.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16)));
  const [first, last] = [words(head), words(tail ?? "")];
  const middle = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [index, word] of [...first, ...middle, ...last].slice(0, 8).entries()) bytes.writeUInt16BE(word & 0xffff, index * 2);
  return bytes;
}

function viewOf(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.byteLength);
}
