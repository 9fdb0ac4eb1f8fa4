/** Cloud Map by the AWS CLI, as a user types it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { after, before, test } from "node:test";
import { accessKeyId, secretAccessKey } from "../support/http.ts";
import { type CloudMap, startCloudMap } from "./support.ts";

let map: CloudMap;
before(async () => {
  map = await startCloudMap();
});
after(() => map.close());

test("the CLI makes a namespace, waits for it, registers and lists", async () => {
  const aws = async (...args: string[]) => JSON.parse((await map.server.aws("servicediscovery", ...args)) || "{}") as Record<string, never>;
  const { OperationId } = await aws("create-private-dns-namespace", "--name", "cli.local", "--vpc", map.vpc);
  const operation = (await aws("get-operation", "--operation-id", OperationId!)) as {
    Operation?: { Status?: string; Targets?: { NAMESPACE?: string } };
  };
  assert.equal(operation.Operation?.Status, "SUCCESS");
  const service = (await aws(
    "create-service",
    "--name",
    "web",
    "--namespace-id",
    operation.Operation?.Targets?.NAMESPACE ?? "",
    "--dns-config",
    "DnsRecords=[{Type=A,TTL=10}]",
  )) as { Service?: { Id?: string } };
  const id = service.Service?.Id ?? "";
  await aws("register-instance", "--service-id", id, "--instance-id", "one", "--attributes", "AWS_INSTANCE_IPV4=10.0.0.1,version=v1");
  const { Instances } = (await aws("list-instances", "--service-id", id)) as { Instances?: unknown };
  assert.deepEqual(Instances, [
    { Id: "one", Attributes: { AWS_INSTANCE_IPV4: "10.0.0.1", version: "v1" }, CreatedByAccount: "000000000000" },
  ]);
});

test("DiscoverInstances: `gantry env` keeps the CLI from asking another host than ours", async () => {
  const { stdout } = await promisify(execFile)(
    "aws",
    [
      "--endpoint-url",
      map.server.endpoint,
      "servicediscovery",
      "discover-instances",
      "--namespace-name",
      "cli.local",
      "--service-name",
      "web",
    ],
    {
      timeout: 300_000,
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_REGION: "us-east-1",
        AWS_DEFAULT_REGION: "us-east-1",
        AWS_PAGER: "",
        AWS_DISABLE_HOST_PREFIX_INJECTION: "true",
      },
    },
  );
  assert.match(stdout, /"InstanceId": "one"/);
});
