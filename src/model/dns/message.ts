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
  /** How large a datagram its sender takes, where it says so (EDNS, RFC 6891). */
  readonly largest?: number;
}

export const types = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const;
const typeOpt = 41;
/** What fits into a datagram whose reader says nothing; and what we send at most to one who does. */
export const smallDatagram = 512;
export const largeDatagram = 1232;
export const codes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export type Answer =
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly ttl: number; readonly name?: string }
  | { readonly type: "PTR" | "CNAME" | "NS"; readonly target: string; readonly ttl: number; readonly name?: string }
  | {
      readonly type: "SOA";
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      readonly minimum: number;
      readonly ttl: number;
      readonly name?: string;
    }
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
  const largest = datagramOf(message, view, at + 4);
  return {
    id: view.getUint16(0),
    name,
    type: view.getUint16(at),
    class: view.getUint16(at + 2),
    recursionDesired: (flags & 0x0100) !== 0,
    end: at + 4,
    ...(largest === undefined ? {} : { largest }),
  };
}

/** Of the OPT record, if it follows the question at once, as it does in what clients send. */
function datagramOf(message: Uint8Array, view: DataView, at: number): number | undefined {
  const alone = view.getUint16(6) === 0 && view.getUint16(8) === 0 && view.getUint16(10) > 0;
  if (!alone || at + 11 > message.length || message[at] !== 0 || view.getUint16(at + 1) !== typeOpt) return undefined;
  return Math.max(smallDatagram, view.getUint16(at + 3));
}

/** A question of our own, for names and types that we know to be good. Its id is 0. */
export function question(name: string, type: number): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  return Buffer.concat([header, nameBytes(name), Buffer.from([type >> 8, type & 255, 0, 1])]);
}

export interface ReplyContent {
  readonly code: number;
  readonly answers?: readonly Answer[];
  /** A zone's SOA, where there is nothing to answer with. */
  readonly authority?: readonly Answer[];
  readonly authoritative?: boolean;
  /** No names beyond our own are looked up here. */
  readonly noRecursion?: boolean;
}

/** How large a reply by datagram may be. */
export const datagramFor = ({ largest = smallDatagram }: Question): number => Math.min(largest, largeDatagram);

/** The reply to `query`, whose question is `question`. `largest`: what doesn't fit is left out, and the reply says that it was (TC). */
export function reply(query: Uint8Array, question: Question, content: ReplyContent, largest = 65_535): Buffer {
  const { code, answers = [], authority = [], authoritative = false, noRecursion = false } = content;
  const asked = query.subarray(headerLength, question.end);
  const records: Buffer[] = [];
  const opt = question.largest === undefined ? Buffer.alloc(0) : optRecord;
  let size = headerLength + asked.length + opt.length;
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
  const rest = cut ? [] : authority.map((each) => recordOf(each, question)).filter((record) => (size += record.length) <= largest);
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(question.id, 0);
  const flags =
    0x8000 |
    (noRecursion ? 0 : 0x0080) |
    (question.recursionDesired ? 0x0100 : 0) |
    (authoritative ? 0x0400 : 0) |
    (cut ? 0x0200 : 0) |
    code;
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(rest.length, 8);
  header.writeUInt16BE(opt.length > 0 ? 1 : 0, 10);
  return Buffer.concat([header, asked, ...records, ...rest, opt]);
}

const optRecord = Buffer.from([0, 0, typeOpt, largeDatagram >> 8, largeDatagram & 255, 0, 0, 0, 0, 0, 0]);

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
  if (answer.type === "SOA") {
    const fixed = Buffer.alloc(20);
    const { primary, mailbox, serial, refresh, retry, expire, minimum } = answer;
    for (const [index, value] of [serial, refresh, retry, expire, minimum].entries()) fixed.writeUInt32BE(value, index * 4);
    return Buffer.concat([nameBytes(primary), nameBytes(mailbox), fixed]);
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
