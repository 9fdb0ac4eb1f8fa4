/** Load balancers through HTTP: what they take from the VPC and give back, what is refused, attributes, tags. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  AllocateAddressCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DescribeAddressesCommand,
  DescribeNetworkInterfacesCommand,
} from "@aws-sdk/client-ec2";
import {
  AddTagsCommand,
  CreateLoadBalancerCommand,
  DeleteLoadBalancerCommand,
  DescribeAccountLimitsCommand,
  DescribeCapacityReservationCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeSSLPoliciesCommand,
  DescribeTagsCommand,
  ModifyLoadBalancerAttributesCommand,
  RemoveTagsCommand,
  SetIpAddressTypeCommand,
  SetSecurityGroupsCommand,
  SetSubnetsCommand,
  waitUntilLoadBalancerAvailable,
  waitUntilLoadBalancersDeleted,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { type Lab, refused, startLab } from "./support.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(() => lab.close());

const drop = (arn: string | undefined) => lab.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
const keys = async (pattern: RegExp) =>
  (await lab.server.deps.store.list("/")).entries.map(({ key }) => key).filter((key) => pattern.test(key));
const interfacesOf = async (arn: string | undefined) =>
  (
    await lab.ec2.send(
      new DescribeNetworkInterfacesCommand({
        Filters: [{ Name: "description", Values: [`ELB ${arn!.split(":loadbalancer/")[1]}`] }],
      }),
    )
  ).NetworkInterfaces!;

test("an application load balancer has an address of its own and an interface in each subnet, and gives all of it back", async () => {
  const before_ = await keys(/public-address|address-in-use|network-interface/);
  const made = await lab.balancer("web");
  assert.match(made.LoadBalancerArn!, /^arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer\/app\/web\/[0-9a-f]{16}$/);
  assert.match(made.DNSName!, /^web-\d+\.us-east-1\.elb\.gantry\.internal$/);
  assert.deepEqual(
    [made.State, made.Type, made.Scheme, made.VpcId, made.IpAddressType, made.SecurityGroups, made.CanonicalHostedZoneId],
    [{ Code: "provisioning" }, "application", "internet-facing", lab.vpc, "ipv4", [lab.group], "Z35SXDOTRQ7X7K"],
  );
  await waitUntilLoadBalancerAvailable({ client: lab.elb, maxWaitTime: 60, minDelay: 1 }, { LoadBalancerArns: [made.LoadBalancerArn!] });
  const { LoadBalancers } = await lab.elb.send(new DescribeLoadBalancersCommand({ Names: ["web"] }));
  assert.deepEqual(LoadBalancers, [{ ...made, State: { Code: "active" } }]);
  const interfaces = await interfacesOf(made.LoadBalancerArn);
  assert.deepEqual(interfaces.map(({ SubnetId }) => SubnetId).toSorted(), lab.subnets.slice(0, 2).toSorted());
  for (const each of interfaces) {
    assert.deepEqual(
      each.Groups?.map(({ GroupId }) => GroupId),
      [lab.group],
    );
    assert.deepEqual([each.RequesterManaged, each.RequesterId, each.Attachment?.InstanceOwnerId], [true, "amazon-elb", "amazon-elb"]);
  }
  // What it lies in and what guards it stay while it is there.
  await refused(lab.ec2.send(new DeleteSecurityGroupCommand({ GroupId: lab.group })), "DependencyViolation");
  await refused(lab.ec2.send(new DeleteSubnetCommand({ SubnetId: lab.subnets[0] })), "DependencyViolation");
  await drop(made.LoadBalancerArn);
  await waitUntilLoadBalancersDeleted({ client: lab.elb, maxWaitTime: 60, minDelay: 1 }, { LoadBalancerArns: [made.LoadBalancerArn!] });
  assert.deepEqual(await keys(/public-address|address-in-use|network-interface|^\/elb\//), before_);
  await drop(made.LoadBalancerArn);
});

test("the same again is the same one; the name with other settings is refused; many at once make one", async () => {
  const all = await Promise.all(Array.from({ length: 6 }, () => lab.balancer("once")));
  assert.equal(new Set(all.map(({ LoadBalancerArn }) => LoadBalancerArn)).size, 1);
  await refused(lab.balancer("once", { Scheme: "internal" }), "DuplicateLoadBalancerName", /'once' exists, but with different settings/);
  await refused(lab.balancer("once", { Subnets: [...lab.subnets] }), "DuplicateLoadBalancerName");
  assert.equal((await keys(/^\/elb\/.*load-balancer\//)).length, 1);
  assert.equal((await keys(/^\/ec2-public-address\//)).length, 1);
  await drop(all[0]!.LoadBalancerArn);
});

test("what is refused is refused with AWS's codes, and takes nothing", async () => {
  const [a, b] = lab.subnets;
  const { Vpc } = await lab.ec2.send(new CreateVpcCommand({ CidrBlock: "10.10.0.0/16" }));
  const elsewhere: string[] = [];
  for (const [at, zone] of ["a", "b"].entries()) {
    const made = await lab.ec2.send(
      new CreateSubnetCommand({ VpcId: Vpc!.VpcId, CidrBlock: `10.10.${at}.0/28`, AvailabilityZone: `us-east-1${zone}` }),
    );
    elsewhere.push(made.Subnet!.SubnetId!);
  }
  const { Subnet: second } = await lab.ec2.send(
    new CreateSubnetCommand({ VpcId: lab.vpc, CidrBlock: "10.9.99.0/24", AvailabilityZone: "us-east-1a" }),
  );
  const cases: [Partial<CreateLoadBalancerCommand["input"]>, string, RegExp?][] = [
    [{ Name: "-x" }, "ValidationError", /begin or end/],
    [{ Name: "x".repeat(33) }, "ValidationError", /longer than '32'/],
    [{ Name: "a_b" }, "ValidationError", /alphanumeric/],
    [{ Name: "internal-x" }, "ValidationError", /internal-/],
    [{ Type: "gateway" }, "NotImplemented"],
    [{ Type: "classic" as "gateway" }, "ValidationError"],
    [{ Subnets: [] }, "ValidationError", /At least one subnet/],
    [{ Subnets: [a!] }, "ValidationError", /At least two subnets in two different Availability Zones/],
    [{ Subnets: [a!, second!.SubnetId!] }, "InvalidConfigurationRequest", /multiple subnets in the same Availability Zone/],
    [{ Subnets: [a!, "subnet-0123456789abcdef0"] }, "SubnetNotFound", /'subnet-0123456789abcdef0' does not exist/],
    [{ Subnets: [a!, elsewhere[1]!] }, "InvalidSubnet", /same VPC/],
    [{ Subnets: elsewhere, SecurityGroups: [] }, "InvalidSubnet", /has no internet gateway/],
    [{ Subnets: elsewhere, SecurityGroups: [lab.group], Scheme: "internal" }, "InvalidConfigurationRequest"],
    [{ SecurityGroups: ["sg-0123456789abcdef0"] }, "InvalidSecurityGroup"],
    [{ SubnetMappings: [{ SubnetId: a }, { SubnetId: b }] }, "ValidationError", /not both/],
    [{ Subnets: undefined, SubnetMappings: [{ SubnetId: a, AllocationId: "eipalloc-1" }, { SubnetId: b }] }, "InvalidConfigurationRequest"],
    [{ IpAddressType: "dualstack" }, "InvalidConfigurationRequest", /IPv6/],
    [
      {
        Tags: [
          { Key: "a", Value: "1" },
          { Key: "a", Value: "2" },
        ],
      },
      "DuplicateTagKeys",
    ],
    [{ Tags: [{ Key: "aws:a", Value: "1" }] }, "ValidationError"],
  ];
  for (const [input, code, message] of cases) await refused(lab.balancer("bad", input), code, message);
  assert.deepEqual(await keys(/public-address\/|address-in-use|network-interface\/|^\/elb\//), []);
});

test("a network load balancer has Elastic IPs or private addresses of its owner's choice", async () => {
  const { AllocationId, PublicIp } = await lab.ec2.send(new AllocateAddressCommand({ Domain: "vpc" }));
  const input = {
    Type: "network",
    Subnets: undefined,
    SecurityGroups: undefined,
    SubnetMappings: [{ SubnetId: lab.subnets[0], AllocationId }],
  } as const;
  const made = await lab.balancer("net", { ...input, SubnetMappings: [...input.SubnetMappings] });
  assert.match(made.LoadBalancerArn!, /:loadbalancer\/net\/net\//);
  assert.deepEqual(made.AvailabilityZones, [
    { ZoneName: "us-east-1a", SubnetId: lab.subnets[0], LoadBalancerAddresses: [{ IpAddress: PublicIp, AllocationId }] },
  ]);
  assert.equal(made.SecurityGroups, undefined);
  const [own] = await interfacesOf(made.LoadBalancerArn);
  assert.deepEqual([own!.InterfaceType, own!.Association?.PublicIp, own!.Groups], ["network_load_balancer", PublicIp, []]);
  await refused(lab.balancer("net2", { ...input, SubnetMappings: [...input.SubnetMappings] }), "ResourceInUse");
  await refused(
    lab.elb.send(new SetSecurityGroupsCommand({ LoadBalancerArn: made.LoadBalancerArn, SecurityGroups: [lab.group] })),
    "InvalidConfigurationRequest",
    /created without/,
  );
  await drop(made.LoadBalancerArn);
  const { Addresses } = await lab.ec2.send(new DescribeAddressesCommand({ AllocationIds: [AllocationId!] }));
  assert.deepEqual([Addresses![0]!.PublicIp, Addresses![0]!.AssociationId], [PublicIp, undefined]);

  const fixed = await lab.balancer("fixed", {
    Type: "network",
    Scheme: "internal",
    Subnets: undefined,
    SubnetMappings: [{ SubnetId: lab.subnets[1], PrivateIPv4Address: "10.9.1.77" }],
  });
  assert.match(fixed.DNSName!, /^internal-fixed-/);
  assert.deepEqual(fixed.AvailabilityZones?.[0]?.LoadBalancerAddresses, [{ PrivateIPv4Address: "10.9.1.77" }]);
  await refused(
    lab.balancer("again", {
      Type: "network",
      Scheme: "internal",
      Subnets: undefined,
      SubnetMappings: [{ SubnetId: lab.subnets[1], PrivateIPv4Address: "10.9.1.77" }],
    }),
    "InvalidConfigurationRequest",
    /in use/,
  );
  await drop(fixed.LoadBalancerArn);
});

test("subnets and groups change: interfaces that stay keep their addresses", async () => {
  const { LoadBalancerArn } = await lab.balancer("moving");
  const before_ = await interfacesOf(LoadBalancerArn);
  const { AvailabilityZones } = await lab.elb.send(new SetSubnetsCommand({ LoadBalancerArn, Subnets: lab.subnets.slice(1) }));
  assert.deepEqual(
    AvailabilityZones?.map(({ SubnetId }) => SubnetId),
    lab.subnets.slice(1),
  );
  const now = await interfacesOf(LoadBalancerArn);
  const kept = before_.find(({ SubnetId }) => SubnetId === lab.subnets[1])!;
  assert.equal(now.find(({ SubnetId }) => SubnetId === lab.subnets[1])?.NetworkInterfaceId, kept.NetworkInterfaceId);
  assert.deepEqual(now.map(({ SubnetId }) => SubnetId).toSorted(), lab.subnets.slice(1).toSorted());
  const { GroupId } = await lab.ec2.send(new CreateSecurityGroupCommand({ GroupName: "second", Description: "x", VpcId: lab.vpc }));
  await lab.elb.send(new SetSecurityGroupsCommand({ LoadBalancerArn, SecurityGroups: [GroupId!] }));
  for (const each of await interfacesOf(LoadBalancerArn))
    assert.deepEqual(
      each.Groups?.map((group) => group.GroupId),
      [GroupId],
    );
  await refused(lab.ec2.send(new DeleteSecurityGroupCommand({ GroupId })), "DependencyViolation");
  await refused(lab.elb.send(new SetSubnetsCommand({ LoadBalancerArn, Subnets: [lab.subnets[0]!] })), "ValidationError");
  await refused(lab.elb.send(new SetIpAddressTypeCommand({ LoadBalancerArn, IpAddressType: "dualstack" })), "InvalidConfigurationRequest");
  await drop(LoadBalancerArn);
  await lab.ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
});

describe("what belongs to one", () => {
  let arn: string;
  before(async () => {
    arn = (await lab.balancer("own", { Tags: [{ Key: "team", Value: "a" }] })).LoadBalancerArn!;
  });

  test("attributes have AWS's defaults, and only AWS's values", async () => {
    const read = async () =>
      Object.fromEntries(
        (await lab.elb.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: arn }))).Attributes!.map(({ Key, Value }) => [
          Key,
          Value,
        ]),
      );
    const defaults = await read();
    assert.deepEqual(
      [
        defaults["idle_timeout.timeout_seconds"],
        defaults["routing.http2.enabled"],
        defaults["load_balancing.cross_zone.enabled"],
        defaults["access_logs.s3.bucket"],
      ],
      ["60", "true", "true", ""],
    );
    const set = (Key: string, Value: string) =>
      lab.elb.send(new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn: arn, Attributes: [{ Key, Value }] }));
    await refused(set("idle_timeout.timeout_seconds", "4001"), "InvalidConfigurationRequest", /between 1 and 4000/);
    await refused(set("idle_timeout.timeout_seconds", "x"), "InvalidConfigurationRequest");
    await refused(set("no.such", "1"), "InvalidConfigurationRequest", /not recognized/);
    await refused(set("constructor", "1"), "InvalidConfigurationRequest");
    await refused(set("load_balancing.cross_zone.enabled", "false"), "InvalidConfigurationRequest");
    await refused(set("access_logs.s3.enabled", "true"), "InvalidConfigurationRequest", /bucket/);
    await set("idle_timeout.timeout_seconds", "4000");
    assert.deepEqual(await read(), { ...defaults, "idle_timeout.timeout_seconds": "4000" });
    await set("deletion_protection.enabled", "true");
    await refused(drop(arn), "OperationNotPermitted", /deletion protection/);
    await set("deletion_protection.enabled", "false");
  });

  test("tags", async () => {
    const read = async () => (await lab.elb.send(new DescribeTagsCommand({ ResourceArns: [arn] }))).TagDescriptions;
    await lab.elb.send(new AddTagsCommand({ ResourceArns: [arn], Tags: [{ Key: "team", Value: "b" }, { Key: "more" }] }));
    assert.deepEqual(await read(), [
      {
        ResourceArn: arn,
        Tags: [
          { Key: "team", Value: "b" },
          { Key: "more", Value: "" },
        ],
      },
    ]);
    await lab.elb.send(new RemoveTagsCommand({ ResourceArns: [arn], TagKeys: ["team", "none"] }));
    assert.deepEqual(await read(), [{ ResourceArn: arn, Tags: [{ Key: "more", Value: "" }] }]);
    const many = Array.from({ length: 50 }, (_, at) => ({ Key: `k${at}`, Value: "" }));
    await refused(lab.elb.send(new AddTagsCommand({ ResourceArns: [arn], Tags: many })), "TooManyTags");
    await refused(lab.elb.send(new DescribeTagsCommand({ ResourceArns: [`${arn}0`] })), "LoadBalancerNotFound");
  });

  test("describing: pages, names, what is not there", async () => {
    const more = [];
    for (const name of ["p1", "p2", "p3"]) more.push((await lab.balancer(name, { Scheme: "internal" })).LoadBalancerArn!);
    const seen: string[] = [];
    let Marker: string | undefined;
    do {
      const one = await lab.elb.send(new DescribeLoadBalancersCommand({ PageSize: 2, Marker }));
      seen.push(...one.LoadBalancers!.map(({ LoadBalancerArn }) => LoadBalancerArn!));
      Marker = one.NextMarker;
    } while (Marker !== undefined);
    assert.deepEqual(seen.toSorted(), [arn, ...more].toSorted());
    await refused(lab.elb.send(new DescribeLoadBalancersCommand({ Marker: "x" })), "ValidationError");
    await refused(lab.elb.send(new DescribeLoadBalancersCommand({ Names: ["none"] })), "LoadBalancerNotFound", /'\[none\]' not found/);
    await refused(lab.elb.send(new DescribeLoadBalancersCommand({ LoadBalancerArns: [`${arn.slice(0, -1)}x`] })), "LoadBalancerNotFound");
    await refused(
      lab.elb.send(new DescribeLoadBalancersCommand({ LoadBalancerArns: ["x"] })),
      "ValidationError",
      /not a valid load balancer ARN/,
    );
    for (const each of more) await drop(each);
    const { CapacityReservationState } = await lab.elb.send(new DescribeCapacityReservationCommand({ LoadBalancerArn: arn }));
    assert.deepEqual(CapacityReservationState, []);
  });
});

test("limits and security policies", async () => {
  const { Limits } = await lab.elb.send(new DescribeAccountLimitsCommand({ PageSize: 400 }));
  assert.ok(Limits!.some(({ Name, Max }) => Name === "target-groups" && Max === "3000"));
  const { SslPolicies } = await lab.elb.send(new DescribeSSLPoliciesCommand({ Names: ["ELBSecurityPolicy-TLS13-1-3-2021-06"] }));
  assert.deepEqual(SslPolicies![0]!.SslProtocols, ["TLSv1.3"]);
  assert.equal(SslPolicies![0]!.Ciphers!.length, 3);
  await refused(lab.elb.send(new DescribeSSLPoliciesCommand({ Names: ["none"] })), "SSLPolicyNotFound");
});

test("the CLI's waiters", async () => {
  const { LoadBalancerArn } = await lab.balancer("cli");
  await lab.server.aws("elbv2", "wait", "load-balancer-exists", "--load-balancer-arns", LoadBalancerArn!);
  await lab.server.aws("elbv2", "wait", "load-balancer-available", "--names", "cli");
  await lab.server.aws("elbv2", "delete-load-balancer", "--load-balancer-arn", LoadBalancerArn!);
  await lab.server.aws("elbv2", "wait", "load-balancers-deleted", "--load-balancer-arns", LoadBalancerArn!);
});
