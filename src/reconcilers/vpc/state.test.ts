import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  InternetGatewayRecord,
  NatGatewayRecord,
  NetworkInterfaceRecord,
  RouteTableRecord,
  SecurityGroupRecord,
  SubnetRecord,
  VpcRecord,
} from "#model/vpc-records.ts";
import { indexOf, vpcStatesOf, type VpcRecords } from "./state.ts";

const here = "/ecs/1/us-east-1/container-instance/default/a";
const there = "/ecs/1/us-east-1/container-instance/default/b";

const vpc = (id: string, cidr = "10.0.0.0/16") => ({ id, cidr, otherCidrs: [], ipv6: [], enableDnsSupport: true }) as unknown as VpcRecord;
const subnet = (id: string, cidr: string, vpcId = "vpc-1") => ({ id, cidr, vpcId }) as SubnetRecord;
const table = (id: string, subnets: readonly string[], routes: Record<string, string>, main = false) =>
  ({
    id,
    vpcId: "vpc-1",
    associations: [...subnets.map((subnetId) => ({ id: `a-${subnetId}`, main: false, subnetId })), ...(main ? [{ id: "m", main }] : [])],
    routes: Object.entries(routes).map(([destination, target]) => ({ destination, target, origin: "CreateRoute" })),
  }) as unknown as RouteTableRecord;
const eni = (id: string, subnetId: string, address: string, more: Partial<NetworkInterfaceRecord> = {}) =>
  ({
    id,
    vpcId: "vpc-1",
    subnetId,
    mac: "0a:0",
    privateIps: [address],
    ipv6: [],
    groups: ["sg-1"],
    task: { arn: "t", node: here },
    ...more,
  }) as NetworkInterfaceRecord;
const byId = <T extends { readonly id: string }>(...list: T[]) => new Map(list.map((each) => [each.id, each]));

const group = { id: "sg-1", vpcId: "vpc-1", rules: [
  { id: "1", direction: "ingress", protocol: "tcp", fromPort: 80, toPort: 81, referencedGroupId: "sg-2" },
  { id: "2", direction: "ingress", protocol: "icmp", fromPort: 8, toPort: -1, cidrIpv4: "10.0.0.0/8" },
  { id: "3", direction: "egress", protocol: "-1", cidrIpv6: "::/0" },
  { id: "4", direction: "egress", protocol: "-1", prefixListId: "pl-1" },
] } as unknown as SecurityGroupRecord; // prettier-ignore

function records(change: Partial<VpcRecords> = {}): VpcRecords {
  return {
    vpc: byId(vpc("vpc-1"), vpc("vpc-2")),
    subnet: byId(subnet("subnet-pub", "10.0.1.0/24"), subnet("subnet-nat", "10.0.2.0/24"), subnet("subnet-dark", "10.0.3.128/25"), subnet("subnet-2", "10.0.1.0/24", "vpc-2")),
    "internet-gateway": byId<InternetGatewayRecord>({ id: "igw-1", vpcId: "vpc-1", tags: [] }),
    "nat-gateway": byId({ id: "nat-1", vpcId: "vpc-1", subnetId: "subnet-pub", connectivityType: "public", state: "available" } as NatGatewayRecord),
    "route-table": byId(
      table("rtb-pub", ["subnet-pub"], { "0.0.0.0/0": "igw-1", "::/0": "igw-1" }),
      table("rtb-nat", ["subnet-nat"], { "0.0.0.0/0": "nat-1", "192.168.0.0/16": "eni-x" }),
      table("rtb-main", [], {}, true),
    ),
    "security-group": byId(group),
    "network-interface": byId(
      eni("eni-b", "subnet-pub", "10.0.1.5", { publicIp: { address: "198.18.0.1" } }),
      eni("eni-a", "subnet-nat", "10.0.2.5"),
      eni("eni-c", "subnet-dark", "10.0.3.200", { publicIp: { address: "198.18.0.2" } }),
      eni("eni-d", "subnet-pub", "10.0.1.9", { groups: ["sg-2"], ipv6: ["fd00::9"], task: { arn: "t", node: there } }),
      eni("eni-e", "subnet-pub", "10.0.1.8", { groups: ["sg-2"], task: undefined }),
    ),
    ...change,
  }; // prettier-ignore
}

const stateOf = (all: VpcRecords, node = here) => vpcStatesOf(all, indexOf(all), node);
const reaches = (all: VpcRecords) =>
  Object.fromEntries(
    stateOf(all).flatMap(({ interfaces }) => interfaces.map((each) => [each.networkInterfaceId, [...each.reaches, each.publicIp]])),
  );

test("a machine is told its own interfaces, their groups, and all addresses of the groups that rules name", () => {
  const [state, ...more] = stateOf(records());
  assert.deepEqual(more, []);
  assert.equal(state?.resolver, "10.0.0.2");
  assert.deepEqual(
    state?.interfaces.map(({ networkInterfaceId, gateway }) => [networkInterfaceId, gateway]),
    [
      ["eni-a", "10.0.2.1"],
      ["eni-b", "10.0.1.1"],
      ["eni-c", "10.0.3.129"],
    ],
  );
  assert.deepEqual(state?.groups, [
    {
      groupId: "sg-1",
      ingress: [
        { protocol: "tcp", fromPort: 80, toPort: 81, group: "sg-2" },
        { protocol: "icmp", fromPort: 8, toPort: -1, cidr: "10.0.0.0/8" },
      ],
      egress: [{ protocol: "-1", cidr: "::/0" }],
    },
  ]);
  assert.deepEqual(state?.members, { "sg-2": ["10.0.1.8", "10.0.1.9", "fd00::9"] });
  assert.deepEqual(
    stateOf(records(), there).map(({ interfaces, groups }) => [interfaces.map(({ networkInterfaceId }) => networkInterfaceId), groups]),
    [[["eni-d"], []]],
  );
  assert.deepEqual(stateOf(records(), "/nobody"), []);
});

test("an internet gateway's routes count for a public address, a NAT gateway's for all, the main table where no other is", () => {
  assert.deepEqual(reaches(records()), {
    "eni-a": ["0.0.0.0/0", undefined],
    "eni-b": ["0.0.0.0/0", "198.18.0.1"],
    "eni-c": [undefined],
  });
  const plain = byId(eni("eni-b", "subnet-pub", "10.0.1.5"));
  assert.deepEqual(reaches(records({ "network-interface": plain })), { "eni-b": [undefined] });
});

test("gateways that are gone, detached or not ready lead nowhere", () => {
  const nothing = { "eni-a": [undefined], "eni-b": [undefined], "eni-c": [undefined] };
  assert.deepEqual(reaches(records({ "internet-gateway": new Map() })), nothing);
  assert.deepEqual(reaches(records({ "internet-gateway": byId<InternetGatewayRecord>({ id: "igw-1", tags: [] }) })), nothing);
  assert.deepEqual(
    reaches(records({ "internet-gateway": byId<InternetGatewayRecord>({ id: "igw-1", vpcId: "vpc-2", tags: [] }) })),
    nothing,
  );
  const nat = (change: Partial<NatGatewayRecord>) =>
    reaches(records({ "nat-gateway": byId({ id: "nat-1", vpcId: "vpc-1", subnetId: "subnet-pub", connectivityType: "public", state: "available", ...change } as NatGatewayRecord) }))["eni-a"]; // prettier-ignore
  assert.deepEqual(nat({}), ["0.0.0.0/0", undefined]);
  assert.deepEqual(nat({ state: "pending" }), [undefined]);
  assert.deepEqual(nat({ state: "deleted" }), [undefined]);
  assert.deepEqual(nat({ connectivityType: "private" }), [undefined]);
  assert.deepEqual(nat({ subnetId: "subnet-dark" }), [undefined], "a NAT gateway that itself has no way out");
});

test("the same records in another order are the same text", () => {
  const all = records();
  const reversed = Object.fromEntries(
    Object.entries(all).map(([kind, map]) => [kind, new Map([...(map as ReadonlyMap<string, unknown>)].toReversed())]),
  ) as unknown as VpcRecords;
  assert.equal(JSON.stringify(stateOf(all)), JSON.stringify(stateOf(reversed)));
});
