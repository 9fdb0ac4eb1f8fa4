import { isIPv4 } from "node:net";
import { parseAddress, parseSubnet } from "../addresses.ts";
import { codes, types, type Answer, type Question } from "#model/dns/message.ts";
import type { Caller } from "./known.ts";

export interface NameAnswer {
  readonly code: number;
  readonly answers: readonly Answer[];
}

const ttl = 60;
const localTtl = 3_600;

/**
 * What the VPC's resolver answers by itself: `localhost`, the private DNS names of addresses in the VPC's blocks (`ip-10-0-1-5.ec2.internal`,
 * `ip-10-0-1-5.<region>.compute.internal`) and their reverse. Undefined: somebody else's. Pure.
 * Source: Amazon VPC User Guide, "DNS attributes for your VPC".
 */
export function answerPrivate({ name, type }: Question, { vpc }: Caller): NameAnswer | undefined {
  if (name === "localhost" || name.endsWith(".localhost")) return only(type, [loopback4, loopback6]);
  const inside = (address: string) => vpc.ipv4Cidrs.some((cidr) => within(address, cidr));
  const host = /^ip-(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})\.(?:ec2|[a-z0-9-]+\.compute)\.internal$/.exec(name);
  if (host) {
    const address = host.slice(1, 5).map(Number).join(".");
    return isIPv4(address) && inside(address) ? only(type, [{ type: "A", address, ttl }]) : noName;
  }
  if (/(^|\.)(ec2|compute)\.internal$/.test(name)) return noName;
  const reverse = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  const address = reverse?.slice(1, 5).toReversed().join(".");
  if (!address || !isIPv4(address)) return undefined;
  if (address === "127.0.0.1") return only(type, [{ type: "PTR", target: "localhost", ttl: localTtl }]);
  if (!inside(address)) return undefined;
  return only(type, [{ type: "PTR", target: `ip-${address.replaceAll(".", "-")}.ec2.internal`, ttl }]);
}

const loopback4: Answer = { type: "A", address: "127.0.0.1", ttl: localTtl };
const loopback6: Answer = { type: "AAAA", address: "::1", ttl: localTtl };
const noName: NameAnswer = { code: codes.NXDOMAIN, answers: [] };

/** The name exists, whether or not it has records of the type. */
function only(type: number, answers: readonly Answer[]): NameAnswer {
  return { code: codes.NOERROR, answers: answers.filter((answer) => types[answer.type] === type || type === types.ANY) };
}

function within(address: string, cidr: string): boolean {
  if (!/^\d+\.\d+\.\d+\.\d+\/\d+$/.test(cidr)) return false;
  const { base, prefix } = parseSubnet(cidr);
  const value = parseAddress(address);
  return value >= base && value < base + 2 ** (32 - prefix);
}
