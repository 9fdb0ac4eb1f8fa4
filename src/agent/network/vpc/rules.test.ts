import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecurityGroupRuleState, VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import { matches } from "./group-rules.ts";
import { changeText, vpcTable, wholeText } from "./rules.ts";

const each = (rule: Partial<SecurityGroupRuleState>) => matches({ protocol: "-1", ...rule }, "saddr");

test("a rule becomes one expression for each family that it speaks of", () => {
  assert.deepEqual(each({ cidr: "0.0.0.0/0" }), ["meta nfproto ipv4"]);
  assert.deepEqual(each({ cidr: "::/0", protocol: "tcp", fromPort: 443, toPort: 443 }), ["meta nfproto ipv6 tcp dport 443"]);
  assert.deepEqual(each({ cidr: "10.1.0.0/16", protocol: "17", fromPort: 1, toPort: 65535 }), ["ip saddr 10.1.0.0/16 udp dport 1-65535"]);
  assert.deepEqual(each({ group: "sg-0a", protocol: "tcp", fromPort: -1, toPort: -1 }), [
    "ip saddr @sg_0a_m4 meta l4proto tcp",
    "ip6 saddr @sg_0a_m6 meta l4proto tcp",
  ]);
  assert.deepEqual(each({ group: "sg-0a", protocol: "icmp", fromPort: 3, toPort: 4 }), ["ip saddr @sg_0a_m4 icmp type 3 icmp code 4"]);
  assert.deepEqual(each({ cidr: "fd00::/8", protocol: "58", fromPort: 128, toPort: -1 }), ["ip6 saddr fd00::/8 icmpv6 type 128"]);
  assert.deepEqual(each({ cidr: "10.0.0.1", protocol: "50" }), ["ip saddr 10.0.0.1/32 meta l4proto 50"]);
});

test("what can't be read lets nothing through", () => {
  for (const rule of [
    {},
    { cidr: "10.0.0.0/33" },
    { cidr: "10.0.0.0/8 accept" },
    { cidr: "fe80::1%eth0/64" },
    { cidr: "10.0.0.0/8", protocol: "tcp; accept" },
    { cidr: "10.0.0.0/8", protocol: "256" },
    { cidr: "10.0.0.0/8", protocol: "tcp", fromPort: 90, toPort: 80 },
    { cidr: "10.0.0.0/8", protocol: "tcp", fromPort: 0.5, toPort: 80 },
    { cidr: "10.0.0.0/8", protocol: "icmpv6", fromPort: -1 },
    { cidr: "10.0.0.0/8", protocol: "icmp", fromPort: 256 },
  ])
    assert.deepEqual(each(rule), [], JSON.stringify(rule));
});

const eni = (id: number, more: Partial<VpcInterface> = {}): VpcInterface => ({
  networkInterfaceId: `eni-${id}`,
  mac: `0a:00:00:00:00:0${id}`,
  address: `10.0.1.${id}`,
  subnet: "10.0.1.0/24",
  gateway: "10.0.1.1",
  groups: ["sg-a"],
  reaches: [],
  ...more,
});
const vpc = (interfaces: readonly VpcInterface[], more: Partial<VpcState> = {}): VpcState => ({
  vpcId: "vpc-1",
  ipv4Cidrs: ["10.0.0.0/16"],
  ipv6Cidrs: [],
  resolver: "10.0.0.2",
  dnsSupport: true,
  interfaces,
  groups: [{ groupId: "sg-a", ingress: [{ protocol: "-1", group: "sg-a" }], egress: [] }],
  members: { "sg-a": interfaces.map(({ address }) => address) },
  ...more,
});
const table = (state: VpcState) =>
  vpcTable({
    vpc: state,
    bridge: { subnet: "172.30.0.0/20", gateway: "172.30.0.1" },
    attached: state.interfaces.map(({ networkInterfaceId }, index) => ({
      networkInterfaceId,
      link: `t${index}`,
      transit: `172.30.0.${9 + index}`,
    })),
  });

test("an interface that comes changes elements only, one of other groups the whole table", () => {
  const before = table(vpc([eni(4)]));
  const text = changeText(before, table(vpc([eni(4), eni(5, { reaches: ["0.0.0.0/0"], publicIp: "198.18.0.1" })])));
  assert.equal(
    text,
    [
      'add element inet gantry sources4 { "t1" . 0a:00:00:00:00:05 . 10.0.1.5 }',
      "add element inet gantry transit_out { 10.0.1.5 : 172.30.0.10 }",
      "add element inet gantry transit_in { 172.30.0.10 : 10.0.1.5 }",
      "add element inet gantry published { 10.0.1.5 }",
      "add element inet gantry sg_a_m4 { 10.0.1.5 }",
      "add element inet gantry in4 { 10.0.1.5 : jump all_of_sg_a_in }",
      "add element inet gantry out4 { 10.0.1.5 : jump all_of_sg_a_out }",
      "add element inet gantry reaches { 10.0.1.5 : jump reach_all }",
      "",
    ].join("\n"),
  );
  const back = changeText(table(vpc([eni(4), eni(5)])), before) ?? "";
  assert.match(back, /^delete element inet gantry sources4/);
  assert.ok(!back.includes("add element"));
  assert.equal(changeText(before, table(vpc([eni(4)]))), "");
  assert.equal(changeText(before, table(vpc([eni(4, { groups: [] })]))), undefined);
  assert.equal(changeText(before, table(vpc([eni(4)], { groups: [] }))), undefined);
});

test("the whole table takes the place of the one before in a single transaction, and drops by default", () => {
  const text = wholeText(table(vpc([eni(4)])));
  assert.ok(text.startsWith("add table inet gantry\ndelete table inet gantry\ntable inet gantry {\n"));
  for (const chain of ["guard", "input", "forward"])
    assert.match(text, new RegExp(`chain ${chain} \\{ type filter hook \\w+ priority \\w+; policy drop;`));
});

test("an interface that the state does not name has no source and no way", () => {
  const { sets } = vpcTable({
    vpc: vpc([]),
    bridge: { subnet: "172.30.0.0/20", gateway: "172.30.0.1" },
    attached: [{ networkInterfaceId: "eni-4", link: "t0", transit: "172.30.0.9" }],
  });
  for (const [name, { elements }] of sets) assert.equal(elements.size, 0, name);
});
