import { readFileSync } from "node:fs";

export type Protocol = "awsJson1_0" | "awsJson1_1" | "awsQuery" | "ec2Query" | "restJson1" | "restXml" | "rpcV2Cbor";

/**
 * A simple type (`s` string, `n` number, `b` boolean, `t` timestamp, `td` date-time, `th` http-date, `te` epoch seconds, `x` blob, `xs` streamed
 * blob, `d` document) or the name of a shape. No AWS shape has so short a lower-case name.
 */
export type Ref = string;

/** Smithy's traits that matter on the wire. Source: the Smithy specification, "HTTP binding traits" and "XML binding traits". */
export interface Traits {
  readonly httpLabel?: 1;
  readonly idempotencyToken?: 1;
  readonly httpPayload?: 1;
  readonly httpResponseCode?: 1;
  readonly httpQueryParams?: 1;
  readonly httpQuery?: string;
  readonly httpHeader?: string;
  readonly httpPrefixHeaders?: string;
  readonly jsonName?: string;
  readonly xmlName?: string;
  readonly xmlFlattened?: 1;
  readonly xmlNamespace?: unknown;
  readonly xmlAttribute?: 1;
  readonly ec2QueryName?: string;
}

export type Member = readonly [ref: Ref, traits?: Traits];

export interface Structure {
  readonly s: Readonly<Record<string, Member>>;
  /** How many of the members, from the first, are required. */
  readonly r: number;
  /** A union: one member at a time. */
  readonly u?: 1;
  readonly t?: Traits;
  /** Of an error: 1 when it is the server's fault, HTTP status, code in Query protocols. */
  readonly e?: readonly [fault: 0 | 1, status: number, queryCode: string];
}
export interface List {
  readonly l: Member;
  readonly t?: Traits;
}
export interface MapShape {
  readonly m: readonly [key: Member, value: Member];
  readonly t?: Traits;
}
export type Shape = Structure | List | MapShape;

export interface Operation {
  readonly i: Ref;
  readonly o: Ref;
  /** Method, URI pattern, status: REST protocols only. */
  readonly h?: readonly [method: string, uri: string, status: number];
}

/** One service's operations and shapes, made by tools/generate-schemas.ts from the AWS SDK's own schemas. */
export interface ServiceTable {
  readonly service: string;
  readonly source: string;
  readonly serviceId: string;
  readonly protocol: Protocol;
  /** The prefix of X-Amz-Target. */
  readonly target: string;
  /** API version as Query requests name it. */
  readonly version: string;
  readonly namespace: string;
  readonly signingName: string;
  readonly operations: Readonly<Record<string, Operation>>;
  readonly shapes: Readonly<Record<string, Shape>>;
}

const loaded = new Map<string, ServiceTable>();

/** A service's table, read when it is first needed: EC2's 800 operations cost nothing to those who don't use them. */
export function serviceTable(service: string): ServiceTable {
  let table = loaded.get(service);
  if (!table) {
    table = JSON.parse(readFileSync(new URL(`generated/${service}.json`, import.meta.url), "utf8")) as ServiceTable;
    loaded.set(service, table);
  }
  return table;
}
