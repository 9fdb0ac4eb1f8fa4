import * as Sdk from "@aws-sdk/client-servicediscovery";
import { CreateDefaultVpcCommand, CreateVpcCommand, DescribeVpcsCommand, EC2Client } from "@aws-sdk/client-ec2";
import type { Config } from "#platform/config.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { startServer, type TestServer } from "../support/http.ts";

export interface CloudMap {
  readonly server: TestServer;
  readonly client: Sdk.ServiceDiscoveryClient;
  /** Of the default VPC. */
  readonly vpc: string;
  otherVpc(): Promise<string>;
  /** Sends a creation and waits for its operation; the id of its target. */
  namespace(input: Partial<Sdk.CreatePrivateDnsNamespaceCommandInput> & { Name: string }): Promise<string>;
  service(input: Sdk.CreateServiceCommandInput): Promise<string>;
  register(ServiceId: string, InstanceId: string, Attributes: Record<string, string>): Promise<void>;
  close(): Promise<void>;
}

export async function startCloudMap(config?: Partial<Config>): Promise<CloudMap> {
  const server = await startServer({ parts: (deps) => [createEc2(deps), createServiceDiscovery(deps), createRoute53(deps)], config });
  // AWS's endpoint for DiscoverInstances has `data-` before its name; a custom endpoint has one name only.
  const client = new Sdk.ServiceDiscoveryClient({ ...server.sdk(), disableHostPrefix: true });
  const ec2 = new EC2Client(server.sdk());
  const vpcs = await ec2.send(new DescribeVpcsCommand());
  const vpc = vpcs.Vpcs?.[0]?.VpcId ?? (await ec2.send(new CreateDefaultVpcCommand())).Vpc?.VpcId ?? "";
  return {
    server,
    client,
    vpc,
    otherVpc: async () => (await ec2.send(new CreateVpcCommand({ CidrBlock: "10.9.0.0/16" }))).Vpc?.VpcId ?? "",
    async namespace(input) {
      const { Vpc } = input;
      const { OperationId } =
        Vpc === undefined
          ? await client.send(new Sdk.CreateHttpNamespaceCommand(input))
          : await client.send(new Sdk.CreatePrivateDnsNamespaceCommand({ ...input, Vpc }));
      const { Operation } = await client.send(new Sdk.GetOperationCommand({ OperationId }));
      if (Operation?.Status !== "SUCCESS") throw new Error(`${Operation?.ErrorCode}: ${Operation?.ErrorMessage}`);
      return Operation.Targets?.NAMESPACE ?? "";
    },
    service: async (input) => (await client.send(new Sdk.CreateServiceCommand(input))).Service?.Id ?? "",
    async register(ServiceId, InstanceId, Attributes) {
      await client.send(new Sdk.RegisterInstanceCommand({ ServiceId, InstanceId, Attributes }));
    },
    async close() {
      client.destroy();
      ec2.destroy();
      await server.close();
    },
  };
}
