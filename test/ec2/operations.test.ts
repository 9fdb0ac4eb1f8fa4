/** EC2's networking through HTTP, by the SDK: what people do with `aws ec2 …` beyond what Terraform does. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  AllocateAddressCommand,
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateDefaultSubnetCommand,
  CreateDefaultVpcCommand,
  CreateInternetGatewayCommand,
  CreateNatGatewayCommand,
  CreateNetworkAclEntryCommand,
  CreateNetworkInterfaceCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVpcCommand,
  CreateVpcEndpointCommand,
  DeleteInternetGatewayCommand,
  DeleteNatGatewayCommand,
  DeleteNetworkAclEntryCommand,
  DeleteNetworkInterfaceCommand,
  DeleteRouteCommand,
  DeleteRouteTableCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteTagsCommand,
  DeleteVpcCommand,
  DescribeAccountAttributesCommand,
  DescribeAddressesCommand,
  DescribeAvailabilityZonesCommand,
  DescribeDhcpOptionsCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeNetworkAclsCommand,
  DescribeNetworkInterfacesCommand,
  DescribePrefixListsCommand,
  DescribeRegionsCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeTagsCommand,
  DescribeVpcAttributeCommand,
  DescribeVpcEndpointServicesCommand,
  DescribeVpcsCommand,
  DetachInternetGatewayCommand,
  DetachNetworkInterfaceCommand,
  DisassociateAddressCommand,
  DisassociateRouteTableCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ModifySecurityGroupRulesCommand,
  ModifyVpcAttributeCommand,
  ReleaseAddressCommand,
  ReplaceRouteCommand,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import { releaseTaskInterface, takeTaskInterface } from "#reconcilers/vpc/interfaces.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createWriter, type Writer } from "#store/unit.ts";
import { startServer, type TestServer } from "../support/http.ts";

const scope = { account: "000000000000", region: "us-east-1" };
let server: TestServer;
let ec2: EC2Client;
let writer: Writer;
before(async () => {
  server = await startServer({ parts: (deps) => [createEc2(deps)] });
  ec2 = new EC2Client(server.sdk());
  writer = createWriter(server.deps.store);
});
after(async () => {
  ec2.destroy();
  await server.close();
});

const refused = (code: string, message?: RegExp | string) => (error: Error) => {
  assert.equal(error.name, code, error.message);
  if (typeof message === "string") assert.equal(error.message, message);
  else if (message) assert.match(error.message, message);
  return true;
};

let networks = 0;
/** A VPC of its own with two subnets. */
async function network() {
  const base = `10.${++networks}`;
  const vpc = (await ec2.send(new CreateVpcCommand({ CidrBlock: `${base}.0.0/16` }))).Vpc!.VpcId!;
  const subnet = async (third: number) =>
    (await ec2.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: `${base}.${third}.0/24` }))).Subnet!.SubnetId!;
  return { vpc, base, subnet: await subnet(0), other: await subnet(1) };
}
const group = async (vpc: string, name: string) =>
  (await ec2.send(new CreateSecurityGroupCommand({ VpcId: vpc, GroupName: name, Description: name }))).GroupId!;
const gateway = async (vpc: string) => {
  const id = (await ec2.send(new CreateInternetGatewayCommand({}))).InternetGateway!.InternetGatewayId!;
  await ec2.send(new AttachInternetGatewayCommand({ InternetGatewayId: id, VpcId: vpc }));
  return id;
};
const missing = (prefix: string) => `${prefix}-0123456789abcdef0`;
const making = () => ({ random: server.deps.random, now: 1, publicPool: server.deps.config.publicPool });
const task = (subnetId: string, groups: string[] = [], assignPublicIp = false) =>
  writer.run("tasks", (unit) =>
    takeTaskInterface(unit, scope, { subnetId, groups, assignPublicIp, task: { arn: "arn", node: "/node" } }, making()),
  );

describe("the default VPC", () => {
  test("is there from the start, in any region, with all that belongs to it", async () => {
    const west = new EC2Client({ ...server.sdk(), region: "eu-west-1" });
    for (const [client, region, id] of [
      [ec2, "us-east-1", "use1"],
      [west, "eu-west-1", "euw1"],
    ] as const) {
      const { Vpcs = [] } = await client.send(new DescribeVpcsCommand({ Filters: [{ Name: "is-default", Values: ["true"] }] }));
      assert.deepEqual(
        Vpcs.map(({ CidrBlock, State, IsDefault, InstanceTenancy }) => [CidrBlock, State, IsDefault, InstanceTenancy]),
        [["172.31.0.0/16", "available", true, "default"]],
      );
      const { VpcId = "", DhcpOptionsId = "" } = Vpcs[0]!;
      const mine = [{ Name: "vpc-id", Values: [VpcId] }];
      const { Subnets = [] } = await client.send(new DescribeSubnetsCommand({ Filters: mine }));
      assert.deepEqual(
        Subnets.map((each) => [
          each.AvailabilityZone,
          each.AvailabilityZoneId,
          each.CidrBlock,
          each.DefaultForAz,
          each.MapPublicIpOnLaunch,
          each.AvailableIpAddressCount,
        ]).toSorted(),
        ["a", "b", "c"].map((letter, at) => [region + letter, `${id}-az${at + 1}`, `172.31.${at * 16}.0/20`, true, true, 4091]),
      );
      const { RouteTables: [table] = [] } = await client.send(new DescribeRouteTablesCommand({ Filters: mine }));
      assert.deepEqual(
        table?.Routes?.map(({ DestinationCidrBlock, GatewayId = "", State }) => [DestinationCidrBlock, GatewayId.slice(0, 5), State]),
        [
          ["172.31.0.0/16", "local", "active"],
          ["0.0.0.0/0", "igw-0", "active"],
        ],
      );
      const { SecurityGroups: [own] = [] } = await client.send(new DescribeSecurityGroupsCommand({ GroupNames: ["default"] }));
      assert.deepEqual(
        own?.IpPermissions?.map(({ IpProtocol, UserIdGroupPairs }) => [IpProtocol, UserIdGroupPairs?.[0]?.GroupId]),
        [["-1", own?.GroupId]],
      );
      assert.deepEqual(
        own?.IpPermissionsEgress?.map(({ IpRanges }) => IpRanges?.[0]?.CidrIp),
        ["0.0.0.0/0"],
      );
      const { NetworkAcls = [] } = await client.send(new DescribeNetworkAclsCommand({ Filters: mine }));
      assert.deepEqual([NetworkAcls.length, NetworkAcls[0]?.Associations?.length, NetworkAcls[0]?.IsDefault], [1, 3, true]);
      const { DhcpOptions = [] } = await client.send(new DescribeDhcpOptionsCommand({ DhcpOptionsIds: [DhcpOptionsId] }));
      assert.equal(
        DhcpOptions[0]?.DhcpConfigurations?.[0]?.Values?.[0]?.Value,
        region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`,
      );
    }
    west.destroy();
  });

  test("deleted and made again", async () => {
    const client = new EC2Client({ ...server.sdk(), region: "us-west-2" });
    await assert.rejects(client.send(new CreateDefaultVpcCommand({})), refused("DefaultVpcAlreadyExists"));
    const { Vpcs: [vpc] = [] } = await client.send(new DescribeVpcsCommand({}));
    const VpcId = vpc!.VpcId!;
    await assert.rejects(
      client.send(new DeleteVpcCommand({ VpcId })),
      refused("DependencyViolation", `The vpc '${VpcId}' has dependencies and cannot be deleted.`),
    );
    const { Subnets = [] } = await client.send(new DescribeSubnetsCommand({}));
    await client.send(new DeleteSubnetCommand({ SubnetId: Subnets[0]!.SubnetId }));
    const zone = Subnets[0]!.AvailabilityZone;
    assert.equal((await client.send(new CreateDefaultSubnetCommand({ AvailabilityZone: zone }))).Subnet?.CidrBlock, Subnets[0]!.CidrBlock);
    await assert.rejects(
      client.send(new CreateDefaultSubnetCommand({ AvailabilityZone: zone })),
      refused("DefaultSubnetAlreadyExistsInAvailabilityZone"),
    );
    for (const { SubnetId } of (await client.send(new DescribeSubnetsCommand({}))).Subnets ?? [])
      await client.send(new DeleteSubnetCommand({ SubnetId }));
    const { InternetGateways: [igw] = [] } = await client.send(new DescribeInternetGatewaysCommand({}));
    await client.send(new DetachInternetGatewayCommand({ InternetGatewayId: igw!.InternetGatewayId, VpcId }));
    await client.send(new DeleteInternetGatewayCommand({ InternetGatewayId: igw!.InternetGatewayId }));
    await client.send(new DeleteVpcCommand({ VpcId }));
    assert.deepEqual((await client.send(new DescribeVpcsCommand({}))).Vpcs, []);
    await assert.rejects(
      client.send(new CreateSecurityGroupCommand({ GroupName: "a", Description: "b" })),
      refused("VPCIdNotSpecified", "No default VPC for this user"),
    );
    await client.send(new CreateDefaultVpcCommand({}));
    assert.equal((await client.send(new DescribeSubnetsCommand({}))).Subnets?.length, 3);
    client.destroy();
  });
});

describe("VPCs and subnets", () => {
  test("blocks that cannot be are refused as EC2 does", async () => {
    const { vpc, base, subnet } = await network();
    const create = (CidrBlock: string, VpcId = vpc) => ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock }));
    await assert.rejects(
      create(`${base}.0.128/25`),
      refused("InvalidSubnet.Conflict", `The CIDR '${base}.0.128/25' conflicts with another subnet`),
    );
    await assert.rejects(create("192.168.0.0/24"), refused("InvalidSubnet.Range", "The CIDR '192.168.0.0/24' is invalid."));
    await assert.rejects(create(`${base}.5.0/29`), refused("InvalidSubnet.Range"));
    await assert.rejects(
      create("nonsense"),
      refused("InvalidParameterValue", "Value (nonsense) for parameter cidrBlock is invalid. This is not a valid CIDR block."),
    );
    await assert.rejects(
      create(`${base}.5.0/24`, missing("vpc")),
      refused("InvalidVpcID.NotFound", `The vpc ID '${missing("vpc")}' does not exist`),
    );
    await assert.rejects(create(`${base}.5.0/24`, "nope"), refused("InvalidVpcID.Malformed"));
    await assert.rejects(
      ec2.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock: `${base}.5.0/24`, AvailabilityZone: "us-east-1z" })),
      refused("InvalidParameterValue", /currently only be created in the following availability zones: us-east-1a, us-east-1b, us-east-1c/),
    );
    await assert.rejects(
      ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/8" })),
      refused("InvalidVpc.Range", "The CIDR '10.0.0.0/8' is invalid."),
    );
    assert.equal((await ec2.send(new CreateVpcCommand({ CidrBlock: "10.99.3.7/16" }))).Vpc?.CidrBlock, "10.99.0.0/16");
    await assert.rejects(ec2.send(new CreateVpcCommand({})), refused("MissingParameter"));
    await assert.rejects(
      ec2.send(new DescribeSubnetsCommand({ SubnetIds: [subnet, missing("subnet")] })),
      refused("InvalidSubnetID.NotFound", `The subnet ID '${missing("subnet")}' does not exist`),
    );
  });

  test("DryRun says whether it would work, and does nothing", async () => {
    await assert.rejects(
      ec2.send(new CreateVpcCommand({ CidrBlock: "10.98.0.0/16", DryRun: true })),
      refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
    );
    await assert.rejects(ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/8", DryRun: true })), refused("InvalidVpc.Range"));
    await assert.rejects(ec2.send(new DescribeVpcsCommand({ DryRun: true })), refused("DryRunOperation"));
    assert.deepEqual((await ec2.send(new DescribeVpcsCommand({ Filters: [{ Name: "cidr", Values: ["10.98.*"] }] }))).Vpcs, []);
  });

  test("attributes", async () => {
    const { vpc } = await network();
    await ec2.send(new ModifyVpcAttributeCommand({ VpcId: vpc, EnableDnsHostnames: { Value: true } }));
    const read = await ec2.send(new DescribeVpcAttributeCommand({ VpcId: vpc, Attribute: "enableDnsHostnames" }));
    assert.deepEqual([read.VpcId, read.EnableDnsHostnames], [vpc, { Value: true }]);
  });

  test("what Gantry cannot do yet is refused and names itself", async () => {
    const spot = new RunInstancesCommand({ MinCount: 1, MaxCount: 1, InstanceMarketOptions: { MarketType: "spot" } });
    await assert.rejects(ec2.send(spot), refused("NotImplemented", /Spot instances/));
    await assert.rejects(ec2.send(new CreateVpcCommand({ Ipv4IpamPoolId: "x" })), refused("NotImplemented"));
  });
});

describe("filters, tags, pages", () => {
  test("values are alternatives, filters all hold, * and ? match, a backslash takes them as they are", async () => {
    const { subnet, other, vpc } = await network();
    await ec2.send(new CreateTagsCommand({ Resources: [subnet, other], Tags: [{ Key: "Name", Value: "web*one" }] }));
    await ec2.send(
      new CreateTagsCommand({
        Resources: [other],
        Tags: [
          { Key: "Name", Value: "web-two" },
          { Key: "only", Value: "" },
        ],
      }),
    );
    const find = async (...Filters: [string, ...string[]][]) =>
      (
        await ec2.send(
          new DescribeSubnetsCommand({ Filters: [["vpc-id", vpc], ...Filters].map(([Name, ...Values]) => ({ Name, Values })) }),
        )
      ).Subnets?.map(({ SubnetId }) => SubnetId).toSorted();
    const both = [subnet, other].toSorted();
    assert.deepEqual(await find(["tag:Name", "web*"]), both);
    assert.deepEqual(await find(["tag:Name", "web\\**"]), [subnet]);
    assert.deepEqual(await find(["tag:Name", "web?two"]), [other]);
    assert.deepEqual(await find(["tag:Name", "WEB*"]), []);
    assert.deepEqual(await find(["tag:Name", "x", "web-two"]), [other]);
    assert.deepEqual(await find(["tag-key", "only"]), [other]);
    assert.deepEqual(await find(["tag:only", ""]), [other]);
    assert.deepEqual(await find(["subnet-id", subnet, other], ["tag-key", "o*y"]), [other]);
    await assert.rejects(find(["colour", "red"]), refused("InvalidParameterValue", "The filter 'colour' is invalid"));
    await assert.rejects(find(["__proto__", "red"]), refused("InvalidParameterValue"));
  });

  test("tags of all kinds of things, and of rules", async () => {
    const { subnet, vpc } = await network();
    const sg = await group(vpc, "tagged");
    const rule = (
      await ec2.send(
        new AuthorizeSecurityGroupIngressCommand({
          GroupId: sg,
          IpPermissions: [{ IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "10.0.0.0/8" }] }],
          TagSpecifications: [{ ResourceType: "security-group-rule", Tags: [{ Key: "from", Value: "start" }] }],
        }),
      )
    ).SecurityGroupRules![0]!.SecurityGroupRuleId!;
    await ec2.send(new CreateTagsCommand({ Resources: [vpc, subnet, sg, rule], Tags: [{ Key: "owner", Value: "me" }] }));
    const described = async (...Values: string[]) =>
      (await ec2.send(new DescribeTagsCommand({ Filters: [{ Name: "resource-id", Values }] }))).Tags?.map(
        ({ ResourceType, Key, Value }) => `${ResourceType} ${Key}=${Value}`,
      ).toSorted();
    assert.deepEqual(await described(vpc, subnet, sg, rule), [
      "security-group owner=me",
      "security-group-rule from=start",
      "security-group-rule owner=me",
      "subnet owner=me",
      "vpc owner=me",
    ]);
    await ec2.send(new DeleteTagsCommand({ Resources: [vpc, sg], Tags: [{ Key: "owner", Value: "you" }] }));
    await ec2.send(new DeleteTagsCommand({ Resources: [subnet, rule], Tags: [{ Key: "owner" }] }));
    assert.deepEqual(await described(vpc, subnet, sg, rule), ["security-group owner=me", "security-group-rule from=start", "vpc owner=me"]);
    await assert.rejects(
      ec2.send(new CreateTagsCommand({ Resources: [vpc, missing("eni")], Tags: [{ Key: "half", Value: "" }] })),
      refused("InvalidNetworkInterfaceID.NotFound"),
    );
    assert.deepEqual(await described(vpc), ["vpc owner=me"]);
    await assert.rejects(
      ec2.send(new CreateTagsCommand({ Resources: [vpc], Tags: [{ Key: "aws:x", Value: "" }] })),
      refused("InvalidParameterValue", /reserved/),
    );
    const many = Array.from({ length: 51 }, (_, at) => ({ Key: `k${at}`, Value: "" }));
    await assert.rejects(ec2.send(new CreateTagsCommand({ Resources: [vpc], Tags: many })), refused("TagLimitExceeded"));
  });

  test("pages: each item once; a token is good for its own question", async () => {
    const { vpc } = await network();
    for (let at = 0; at < 11; at++) await group(vpc, `g${at}`);
    const Filters = [{ Name: "vpc-id", Values: [vpc] }];
    const seen: string[] = [];
    let NextToken: string | undefined;
    do {
      const page = await ec2.send(new DescribeSecurityGroupsCommand({ Filters, MaxResults: 5, NextToken }));
      assert.ok((page.SecurityGroups?.length ?? 0) <= 5);
      seen.push(...(page.SecurityGroups ?? []).map(({ GroupName = "" }) => GroupName));
      ({ NextToken } = page);
      if (NextToken) await assert.rejects(ec2.send(new DescribeSubnetsCommand({ MaxResults: 5, NextToken })), refused("InvalidNextToken"));
    } while (NextToken);
    assert.deepEqual(seen.toSorted(), ["default", ...Array.from({ length: 11 }, (_, at) => `g${at}`)].toSorted());
    await assert.rejects(ec2.send(new DescribeVpcsCommand({ MaxResults: 4 })), refused("InvalidParameterValue"));
    await assert.rejects(ec2.send(new DescribeVpcsCommand({ MaxResults: 5, VpcIds: [vpc] })), refused("InvalidParameterCombination"));
  });
});

describe("security groups", () => {
  test("rules: duplicates, what is not there, references, descriptions, changes", async () => {
    const { vpc } = await network();
    const [web, db] = [await group(vpc, "web"), await group(vpc, "db")];
    await assert.rejects(group(vpc, "web"), refused("InvalidGroup.Duplicate", `The security group 'web' already exists for VPC '${vpc}'`));
    await assert.rejects(group(vpc, "default"), refused("InvalidParameterValue"));
    const http = [{ IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "0.0.0.0/0", Description: "all" }] }];
    const authorize = (IpPermissions: object[], GroupId = web) =>
      ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }));
    await authorize(http);
    await assert.rejects(
      authorize(http),
      refused("InvalidPermission.Duplicate", 'the specified rule "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" already exists'),
    );
    // All or none: the first of the two is new, yet it is not there afterwards.
    await assert.rejects(authorize([{ ...http[0], FromPort: 79 }, ...http]), refused("InvalidPermission.Duplicate"));
    await authorize([{ IpProtocol: "6", FromPort: 5432, ToPort: 5432, UserIdGroupPairs: [{ GroupId: web }] }], db);
    await assert.rejects(
      authorize([{ IpProtocol: "tcp", FromPort: 1, IpRanges: [{ CidrIp: "1.0.0.0/8" }] }]),
      refused("InvalidParameterValue", /Must specify both from and to ports/),
    );
    await assert.rejects(
      authorize([{ IpProtocol: "tcp", FromPort: 1, ToPort: 1, IpRanges: [{ CidrIp: "1.0.0.0" }] }]),
      refused("InvalidParameterValue", "CIDR block 1.0.0.0 is malformed"),
    );
    await assert.rejects(
      authorize([{ IpProtocol: "tcp", FromPort: 1, ToPort: 1, UserIdGroupPairs: [{ GroupId: missing("sg") }] }]),
      refused("InvalidGroup.NotFound"),
    );
    const described = async (id: string) => (await ec2.send(new DescribeSecurityGroupsCommand({ GroupIds: [id] }))).SecurityGroups![0]!;
    assert.deepEqual((await described(web)).IpPermissions, [
      {
        FromPort: 80,
        ToPort: 80,
        IpProtocol: "tcp",
        IpRanges: [{ CidrIp: "0.0.0.0/0", Description: "all" }],
        Ipv6Ranges: [],
        PrefixListIds: [],
        UserIdGroupPairs: [],
      },
    ]);
    assert.deepEqual((await described(db)).IpPermissions?.[0]?.UserIdGroupPairs, [{ GroupId: web, UserId: "000000000000" }]);
    await assert.rejects(
      ec2.send(new DeleteSecurityGroupCommand({ GroupId: web })),
      refused("DependencyViolation", `resource ${web} has a dependent object`),
    );

    const { SecurityGroupRules: rules = [] } = await ec2.send(
      new DescribeSecurityGroupRulesCommand({ Filters: [{ Name: "group-id", Values: [db] }] }),
    );
    const inbound = rules.find(({ IsEgress }) => !IsEgress)!;
    assert.deepEqual([inbound.FromPort, inbound.ReferencedGroupInfo?.GroupId, rules.length], [5432, web, 2]);
    await ec2.send(
      new ModifySecurityGroupRulesCommand({
        GroupId: db,
        SecurityGroupRules: [
          {
            SecurityGroupRuleId: inbound.SecurityGroupRuleId,
            SecurityGroupRule: { IpProtocol: "tcp", FromPort: 1, ToPort: 9, CidrIpv4: "10.0.0.1/8", Description: "new" },
          },
        ],
      }),
    );
    assert.deepEqual((await described(db)).IpPermissions?.[0]?.IpRanges, [{ CidrIp: "10.0.0.0/8", Description: "new" }]);
    await assert.rejects(
      ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: web, IpPermissions: [{ ...http[0], FromPort: 1 }] })),
      refused("InvalidPermission.NotFound", "The specified rule does not exist in this security group."),
    );
    await ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: db, SecurityGroupRuleIds: [inbound.SecurityGroupRuleId!] }));
    await ec2.send(new DeleteSecurityGroupCommand({ GroupId: web }));
    const own = (
      await ec2.send(
        new DescribeSecurityGroupsCommand({
          Filters: [
            { Name: "vpc-id", Values: [vpc] },
            { Name: "group-name", Values: ["default"] },
          ],
        }),
      )
    ).SecurityGroups![0]!;
    await assert.rejects(
      ec2.send(new DeleteSecurityGroupCommand({ GroupId: own.GroupId })),
      refused("CannotDelete", `the specified group: "${own.GroupId}" name: "default" cannot be deleted by a user`),
    );
  });
});

describe("gateways, routes, addresses", () => {
  test("an internet gateway, a NAT gateway with its address, routes to both; black holes; dependencies", async () => {
    const { vpc, subnet, other } = await network();
    const igw = await gateway(vpc);
    await assert.rejects(gateway(vpc), refused("InvalidParameterValue", `Network ${vpc} already has an internet gateway attached`));
    const eip = (await ec2.send(new AllocateAddressCommand({ Domain: "vpc" }))).AllocationId!;
    const ClientToken = "once";
    const create = () => ec2.send(new CreateNatGatewayCommand({ SubnetId: subnet, AllocationId: eip, ClientToken }));
    const nat = (await create()).NatGateway!.NatGatewayId!;
    assert.equal((await create()).NatGateway!.NatGatewayId, nat, "the same client token makes one");
    await assert.rejects(
      ec2.send(new CreateNatGatewayCommand({ SubnetId: other, AllocationId: eip, ClientToken })),
      refused("IdempotentParameterMismatch"),
    );
    await assert.rejects(
      ec2.send(new CreateNatGatewayCommand({ SubnetId: subnet, AllocationId: eip })),
      refused("Resource.AlreadyAssociated"),
    );
    const { NatGateways: [shown] = [] } = await ec2.send(new DescribeNatGatewaysCommand({ NatGatewayIds: [nat] }));
    assert.deepEqual([shown?.State, shown?.VpcId, shown?.NatGatewayAddresses?.[0]?.AllocationId], ["available", vpc, eip]);

    const RouteTableId = (await ec2.send(new CreateRouteTableCommand({ VpcId: vpc }))).RouteTable!.RouteTableId!;
    const all = { RouteTableId, DestinationCidrBlock: "0.0.0.0/0" };
    await ec2.send(new CreateRouteCommand({ ...all, NatGatewayId: nat }));
    await assert.rejects(
      ec2.send(new CreateRouteCommand({ ...all, GatewayId: igw })),
      refused("RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists."),
    );
    await ec2.send(new ReplaceRouteCommand({ ...all, GatewayId: igw }));
    await ec2.send(new ReplaceRouteCommand({ ...all, NatGatewayId: nat }));
    await assert.rejects(
      ec2.send(new DeleteRouteCommand({ RouteTableId, DestinationCidrBlock: "9.0.0.0/8" })),
      refused("InvalidRoute.NotFound", `no route with destination-cidr-block 9.0.0.0/8 in route table ${RouteTableId}`),
    );
    const association = (await ec2.send(new AssociateRouteTableCommand({ RouteTableId, SubnetId: other }))).AssociationId!;
    const main = (
      await ec2.send(
        new DescribeRouteTablesCommand({
          Filters: [
            { Name: "vpc-id", Values: [vpc] },
            { Name: "association.main", Values: ["true"] },
          ],
        }),
      )
    ).RouteTables![0]!;
    await assert.rejects(
      ec2.send(new AssociateRouteTableCommand({ RouteTableId: main.RouteTableId, SubnetId: other })),
      refused("Resource.AlreadyAssociated"),
    );
    await assert.rejects(ec2.send(new DeleteRouteTableCommand({ RouteTableId })), refused("DependencyViolation"));
    await assert.rejects(
      ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId: igw, VpcId: vpc })),
      refused("DependencyViolation", /has some mapped public address/),
    );
    await assert.rejects(ec2.send(new DeleteSubnetCommand({ SubnetId: subnet })), refused("DependencyViolation"));
    await assert.rejects(ec2.send(new ReleaseAddressCommand({ AllocationId: eip })), refused("InvalidIPAddress.InUse"));
    await ec2.send(new DeleteNatGatewayCommand({ NatGatewayId: nat }));
    const { RouteTables: [table] = [] } = await ec2.send(new DescribeRouteTablesCommand({ RouteTableIds: [RouteTableId] }));
    assert.equal(table?.Routes?.find(({ NatGatewayId }) => NatGatewayId === nat)?.State, "blackhole");
    assert.equal((await ec2.send(new DescribeNatGatewaysCommand({ NatGatewayIds: [nat] }))).NatGateways?.[0]?.State, "deleted");
    await ec2.send(new ReleaseAddressCommand({ AllocationId: eip }));
    await ec2.send(new DisassociateRouteTableCommand({ AssociationId: association }));
    await ec2.send(new DeleteRouteTableCommand({ RouteTableId }));
    await ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId: igw, VpcId: vpc }));
    for (const SubnetId of [subnet, other]) await ec2.send(new DeleteSubnetCommand({ SubnetId }));
    await ec2.send(new DeleteVpcCommand({ VpcId: vpc }));
  });

  test("Elastic IPs move between interfaces only when told to", async () => {
    const { vpc, subnet } = await network();
    const eni = async () => (await ec2.send(new CreateNetworkInterfaceCommand({ SubnetId: subnet }))).NetworkInterface!.NetworkInterfaceId!;
    const [one, two] = [await eni(), await eni()];
    const { AllocationId, PublicIp } = await ec2.send(new AllocateAddressCommand({}));
    const associate = (NetworkInterfaceId: string, AllowReassociation?: boolean) =>
      ec2.send(new AssociateAddressCommand({ AllocationId, NetworkInterfaceId, AllowReassociation }));
    await assert.rejects(associate(one), refused("Gateway.NotAttached", `Network ${vpc} is not attached to any internet gateway`));
    await gateway(vpc);
    const first = (await associate(one)).AssociationId!;
    assert.equal((await associate(one)).AssociationId, first);
    await assert.rejects(associate(two), refused("Resource.AlreadyAssociated"));
    const second = (await associate(two, true)).AssociationId!;
    const { Addresses: [address] = [] } = await ec2.send(new DescribeAddressesCommand({ PublicIps: [PublicIp!] }));
    assert.deepEqual([address?.NetworkInterfaceId, address?.AssociationId], [two, second]);
    const { NetworkInterfaces = [] } = await ec2.send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [one, two] }));
    assert.deepEqual(
      new Map(NetworkInterfaces.map((each) => [each.NetworkInterfaceId, each.Association?.PublicIp])),
      new Map([
        [one, undefined],
        [two, PublicIp],
      ]),
    );
    await assert.rejects(ec2.send(new DisassociateAddressCommand({ AssociationId: first })), refused("InvalidAssociationID.NotFound"));
    await ec2.send(new DisassociateAddressCommand({ AssociationId: second }));
    await ec2.send(new ReleaseAddressCommand({ AllocationId }));
    await assert.rejects(
      ec2.send(new DescribeAddressesCommand({ AllocationIds: [AllocationId!] })),
      refused("InvalidAllocationID.NotFound"),
    );
  });
});

describe("network interfaces", () => {
  test("addresses: chosen, given, taken, more of them; counted by the subnet", async () => {
    const { subnet, base, vpc } = await network();
    const create = (input: object) => ec2.send(new CreateNetworkInterfaceCommand({ SubnetId: subnet, ...input }));
    const made = (await create({ PrivateIpAddress: `${base}.0.9`, SecondaryPrivateIpAddressCount: 2 })).NetworkInterface!;
    assert.deepEqual([made.PrivateIpAddress, made.PrivateIpAddresses?.length, made.Groups?.[0]?.GroupName], [`${base}.0.9`, 3, "default"]);
    await assert.rejects(create({ PrivateIpAddress: `${base}.0.9` }), refused("InvalidIPAddress.InUse"));
    await assert.rejects(create({ PrivateIpAddress: `${base}.0.3` }), refused("InvalidParameterValue", /address range/));
    await assert.rejects(create({ PrivateIpAddress: `${base}.0.255` }), refused("InvalidParameterValue"));
    await ec2.send(new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: made.NetworkInterfaceId, SecondaryPrivateIpAddressCount: 1 }));
    const free = async () => (await ec2.send(new DescribeSubnetsCommand({ SubnetIds: [subnet] }))).Subnets?.[0]?.AvailableIpAddressCount;
    assert.equal(await free(), 251 - 4);
    const sg = await group(vpc, "mine");
    await ec2.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: made.NetworkInterfaceId, Groups: [sg] }));
    await assert.rejects(ec2.send(new DeleteSecurityGroupCommand({ GroupId: sg })), refused("DependencyViolation"));
    await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: made.NetworkInterfaceId }));
    assert.equal(await free(), 251);
    await ec2.send(new DeleteSecurityGroupCommand({ GroupId: sg }));
  });

  test("a task's interface is shown, holds its subnet and groups, takes other groups, and is nobody else's to take away", async () => {
    const { subnet, vpc } = await network();
    const [sg, next] = [await group(vpc, "task"), await group(vpc, "next")];
    const network1 = await task(subnet, [sg], true);
    const { NetworkInterfaces: [shown] = [] } = await ec2.send(
      new DescribeNetworkInterfacesCommand({ Filters: [{ Name: "description", Values: [`*attachment/${network1.attachmentId}`] }] }),
    );
    assert.deepEqual(
      [shown?.NetworkInterfaceId, shown?.Status, shown?.RequesterManaged, shown?.InterfaceType, shown?.PrivateIpAddress, shown?.MacAddress],
      [network1.networkInterfaceId, "in-use", true, "interface", network1.privateIp, network1.mac],
    );
    assert.deepEqual([shown?.Association?.PublicIp, shown?.Association?.IpOwnerId], [network1.publicIp, "amazon"]);
    const id = network1.networkInterfaceId;
    await assert.rejects(ec2.send(new DeleteSubnetCommand({ SubnetId: subnet })), refused("DependencyViolation"));
    await assert.rejects(ec2.send(new DeleteSecurityGroupCommand({ GroupId: sg })), refused("DependencyViolation"));
    await ec2.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: id, Groups: [next] }));
    await ec2.send(new DeleteSecurityGroupCommand({ GroupId: sg }));
    await assert.rejects(
      ec2.send(new DetachNetworkInterfaceCommand({ AttachmentId: shown?.Attachment?.AttachmentId })),
      refused("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments."),
    );
    await assert.rejects(
      ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: id })),
      refused("InvalidParameterValue", /currently in use/),
    );
    await writer.run("tasks", (unit) => releaseTaskInterface(unit, scope, id));
    await assert.rejects(
      ec2.send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [id] })),
      refused("InvalidNetworkInterfaceID.NotFound"),
    );
    await ec2.send(new DeleteSubnetCommand({ SubnetId: subnet }));
  });

  test("a group or subnet is never deleted under a task that starts at the same moment", async () => {
    const { subnet, vpc } = await network();
    for (let round = 0; round < 25; round++) {
      const sg = await group(vpc, `race${round}`);
      const [taken, deleted] = await Promise.allSettled([task(subnet, [sg]), ec2.send(new DeleteSecurityGroupCommand({ GroupId: sg }))]);
      assert.notEqual(taken.status, deleted.status, "one of the two happens, not both");
      if (taken.status === "fulfilled")
        await writer.run("tasks", (unit) => releaseTaskInterface(unit, scope, taken.value.networkInterfaceId));
    }
  });
});

describe("the default network ACL", () => {
  test("entries come and go; one that would let through less than everything is refused", async () => {
    const { vpc } = await network();
    const Filters = [{ Name: "vpc-id", Values: [vpc] }];
    const acl = async () => (await ec2.send(new DescribeNetworkAclsCommand({ Filters }))).NetworkAcls![0]!;
    const numbers = async () => (await acl()).Entries?.filter(({ Egress }) => !Egress).map(({ RuleNumber }) => RuleNumber);
    const NetworkAclId = (await acl()).NetworkAclId!;
    assert.deepEqual(await numbers(), [100, 32767]);
    const all = { NetworkAclId, Egress: false, Protocol: "-1", RuleAction: "allow" } as const;
    await ec2.send(new CreateNetworkAclEntryCommand({ ...all, RuleNumber: 101, Ipv6CidrBlock: "::/0" }));
    await assert.rejects(
      ec2.send(new CreateNetworkAclEntryCommand({ ...all, RuleNumber: 101, CidrBlock: "0.0.0.0/0" })),
      refused("NetworkAclEntryAlreadyExists"),
    );
    await ec2.send(new DeleteNetworkAclEntryCommand({ NetworkAclId, Egress: false, RuleNumber: 100 }));
    await assert.rejects(
      ec2.send(new DeleteNetworkAclEntryCommand({ NetworkAclId, Egress: false, RuleNumber: 100 })),
      refused("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by 100 does not exist."),
    );
    assert.deepEqual(await numbers(), [101, 32767]);
    for (const less of [{ RuleAction: "deny" }, { Protocol: "6" }, { CidrBlock: "10.0.0.0/8" }] as const)
      await assert.rejects(
        ec2.send(new CreateNetworkAclEntryCommand({ ...all, RuleNumber: 50, CidrBlock: "0.0.0.0/0", ...less })),
        refused("NotImplemented", /less than everything/),
      );
  });
});

describe("endpoints and places", () => {
  test("a gateway endpoint is a route, an interface endpoint an interface", async () => {
    const { subnet, vpc } = await network();
    const table = (await ec2.send(new CreateRouteTableCommand({ VpcId: vpc }))).RouteTable!.RouteTableId!;
    const { VpcEndpoint: s3 } = await ec2.send(
      new CreateVpcEndpointCommand({ VpcId: vpc, ServiceName: "com.amazonaws.us-east-1.s3", RouteTableIds: [table] }),
    );
    const { RouteTables: [shown] = [] } = await ec2.send(new DescribeRouteTablesCommand({ RouteTableIds: [table] }));
    assert.deepEqual(shown?.Routes?.at(-1), {
      DestinationPrefixListId: "pl-63a5400a",
      GatewayId: s3?.VpcEndpointId,
      Origin: "CreateRoute",
      State: "active",
    });
    await assert.rejects(ec2.send(new DeleteRouteTableCommand({ RouteTableId: table })), refused("DependencyViolation"));
    const { VpcEndpoint: logs } = await ec2.send(
      new CreateVpcEndpointCommand({
        VpcId: vpc,
        VpcEndpointType: "Interface",
        ServiceName: "com.amazonaws.us-east-1.logs",
        SubnetIds: [subnet],
        PrivateDnsEnabled: false,
      }),
    );
    assert.equal(logs?.NetworkInterfaceIds?.length, 1);
    await assert.rejects(ec2.send(new DeleteVpcCommand({ VpcId: vpc })), refused("DependencyViolation"));
    await assert.rejects(
      ec2.send(new CreateVpcEndpointCommand({ VpcId: vpc, ServiceName: "com.amazonaws.us-east-1.nope" })),
      refused("InvalidServiceName", "The Vpc Endpoint Service 'com.amazonaws.us-east-1.nope' does not exist"),
    );
    const services = await ec2.send(new DescribeVpcEndpointServicesCommand({ Filters: [{ Name: "service-type", Values: ["Gateway"] }] }));
    assert.deepEqual(services.ServiceNames, ["com.amazonaws.us-east-1.dynamodb", "com.amazonaws.us-east-1.s3"]);
    assert.equal((await ec2.send(new DescribePrefixListsCommand({}))).PrefixLists?.length, 2);
  });

  test("regions, zones, account attributes", async () => {
    const { Regions = [] } = await ec2.send(new DescribeRegionsCommand({ Filters: [{ Name: "region-name", Values: ["eu-west-*"] }] }));
    assert.deepEqual(
      Regions.map(({ RegionName }) => RegionName),
      ["eu-west-1", "eu-west-2", "eu-west-3"],
    );
    const { AvailabilityZones = [] } = await ec2.send(new DescribeAvailabilityZonesCommand({ ZoneIds: ["use1-az2"] }));
    assert.deepEqual(
      AvailabilityZones.map(({ ZoneName, State }) => [ZoneName, State]),
      [["us-east-1b", "available"]],
    );
    await assert.rejects(ec2.send(new DescribeAvailabilityZonesCommand({ ZoneNames: ["us-east-1q"] })), refused("InvalidParameterValue"));
    const { AccountAttributes = [] } = await ec2.send(new DescribeAccountAttributesCommand({ AttributeNames: ["supported-platforms"] }));
    assert.deepEqual(AccountAttributes, [{ AttributeName: "supported-platforms", AttributeValues: [{ AttributeValue: "VPC" }] }]);
  });

  test("the AWS CLI reads it", async () => {
    const text = await server.aws(
      "ec2",
      "describe-subnets",
      "--filters",
      "Name=default-for-az,Values=true",
      "--query",
      "Subnets[].CidrBlock",
      "--output",
      "json",
    );
    assert.deepEqual((JSON.parse(text) as string[]).toSorted(), ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"]);
  });
});
