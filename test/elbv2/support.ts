/** A server with EC2, ELB and ACM, a VPC to put load balancers into, and certificates. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ACMClient } from "@aws-sdk/client-acm";
import {
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import {
  CreateLoadBalancerCommand,
  type CreateLoadBalancerCommandInput,
  CreateTargetGroupCommand,
  type CreateTargetGroupCommandInput,
  ElasticLoadBalancingV2Client,
  type LoadBalancer,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { createAcm } from "#services/acm/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { startServer, type TestServer } from "../support/http.ts";

export interface Lab {
  readonly server: TestServer;
  readonly elb: ElasticLoadBalancingV2Client;
  readonly ec2: EC2Client;
  readonly acm: ACMClient;
  readonly vpc: string;
  /** One in each zone, /24 from 10.9.0.0. */
  readonly subnets: readonly string[];
  readonly group: string;
  /** An application load balancer in two zones, unless the input says otherwise. */
  balancer(name: string, input?: Partial<CreateLoadBalancerCommandInput>): Promise<LoadBalancer>;
  /** The ARN of a group of IP targets, HTTP on port 80, unless the input says otherwise. */
  targetGroup(name: string, input?: Partial<CreateTargetGroupCommandInput>): Promise<string>;
  close(): Promise<void>;
}

export async function startLab(): Promise<Lab> {
  const server = await startServer({ parts: (deps) => [createEc2(deps), createElbv2(deps), createAcm(deps)] });
  const elb = new ElasticLoadBalancingV2Client(server.sdk());
  const ec2 = new EC2Client(server.sdk());
  const acm = new ACMClient(server.sdk());
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.9.0.0/16" }));
  const vpc = Vpc!.VpcId!;
  const { InternetGateway } = await ec2.send(new CreateInternetGatewayCommand({}));
  await ec2.send(new AttachInternetGatewayCommand({ VpcId: vpc, InternetGatewayId: InternetGateway!.InternetGatewayId }));
  const subnets: string[] = [];
  for (const [at, zone] of ["a", "b", "c"].entries()) {
    const { Subnet } = await ec2.send(
      new CreateSubnetCommand({ VpcId: vpc, CidrBlock: `10.9.${at}.0/24`, AvailabilityZone: `us-east-1${zone}` }),
    );
    subnets.push(Subnet!.SubnetId!);
  }
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: "lb", Description: "lb", VpcId: vpc }));
  return {
    server,
    elb,
    ec2,
    acm,
    vpc,
    subnets,
    group: GroupId!,
    async balancer(name, input) {
      const { LoadBalancers } = await elb.send(
        new CreateLoadBalancerCommand({ Name: name, Subnets: subnets.slice(0, 2), SecurityGroups: [GroupId!], ...input }),
      );
      return LoadBalancers![0]!;
    },
    async targetGroup(name, input) {
      const { TargetGroups } = await elb.send(
        new CreateTargetGroupCommand({ Name: name, Protocol: "HTTP", Port: 80, VpcId: vpc, TargetType: "ip", ...input }),
      );
      return TargetGroups![0]!.TargetGroupArn!;
    },
    async close() {
      for (const client of [elb, ec2, acm]) client.destroy();
      await server.close();
    },
  };
}

/** Asserts that the request is refused with this code, and that the sentence matches. */
export async function refused(request: Promise<unknown>, code: string, message: RegExp = /./): Promise<void> {
  await assert.rejects(request, (error: Error & { Code?: string; Error?: { Code?: string } }) => {
    const told = error.Code ?? error.Error?.Code ?? error.name;
    assert.equal(told.replace(/Exception$/, ""), code.replace(/Exception$/, ""), `${told}: ${error.message}`);
    assert.match(error.message, message);
    return true;
  });
}

export interface Made {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** Certificates by openssl, the last of them signed by those before it: root, intermediate …, leaf. */
export async function makeCertificates(names: readonly string[]): Promise<Made[]> {
  const directory = await mkdtemp(join(tmpdir(), "gantry-certificates-"));
  const openssl = (...args: readonly string[]) => promisify(execFile)("openssl", args, { cwd: directory });
  try {
    for (const [at, name] of names.entries()) {
      const last = at === names.length - 1;
      const signing = at === 0 ? [] : ["-CA", `${at - 1}.pem`, "-CAkey", `${at - 1}.key`];
      const usage = last ? ["-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=serverAuth"] : [];
      const kind = ["-addext", `basicConstraints=critical,CA:${last ? "FALSE" : "TRUE"}`, "-addext", `subjectAltName=DNS:${name}`];
      await openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        `${at}.key`,
        "-out",
        `${at}.pem`,
        "-days",
        "9",
        "-subj",
        `/O=Test/CN=${name}`,
        ...kind,
        ...usage,
        ...signing,
      );
    }
    return await Promise.all(
      names.map(async (_, at) => ({
        certificate: await readFile(join(directory, `${at}.pem`)),
        key: await readFile(join(directory, `${at}.key`)),
      })),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
