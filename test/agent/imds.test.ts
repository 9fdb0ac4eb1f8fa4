/** EC2's instance metadata service, as an SDK meets it. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, test } from "node:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createImds } from "#agent/metadata/imds.ts";
import type { InstanceCredentials, InstanceFacts } from "#agent/metadata/imds-tree.ts";

const facts: InstanceFacts = {
  instanceId: "i-0123456789abcdef0",
  instanceType: "m7i.large",
  account: "000000000000",
  region: "us-east-1",
  availabilityZone: "us-east-1a",
  localIpv4: "10.0.0.7",
  hostname: "node-7",
  mac: "02:00:00:00:00:07",
  architecture: "x86_64",
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  profile: { arn: "arn:aws:iam::000000000000:instance-profile/worker", id: "AIPAX", found: true, role: "worker" },
};
const secret: InstanceCredentials = {
  accessKeyId: "ASIAX",
  secretAccessKey: "s",
  sessionToken: "t",
  issued: "2026-01-02T03:04:05Z",
  expiration: "2026-01-02T04:04:05Z",
};

describe("instance metadata", () => {
  let now = 1_000_000;
  let hops = 1;
  const open = (tokens: "required" | "optional", hopLimit = 1) => {
    const imds = createImds({
      instance: () => facts,
      credentials: async () => secret,
      tokens,
      hopLimit,
      key: Buffer.alloc(32, 1),
      now: () => now,
    });
    return createServer((request, response) => imds.handle(request, response, hops));
  };
  const servers: Server[] = [];
  const listen = (server: Server) =>
    new Promise<number>((resolve) => {
      servers.push(server);
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  let strict: number;
  let lenient: number;
  before(async () => {
    [strict, lenient] = await Promise.all([listen(open("required")), listen(open("optional", 2))]);
  });
  after(() => {
    for (const server of servers) server.close().closeAllConnections();
  });
  const ask = (port: number, path: string, headers: Record<string, string> = {}, method = "GET") =>
    new Promise<{ status: number; body: string; headers: Record<string, unknown> }>((resolve, reject) => {
      const request = httpRequest({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.on("end", () => resolve({ status: response.statusCode!, body, headers: response.headers }));
      });
      request.on("error", reject);
      request.end();
    });
  const tokenOf = async (port: number, ttl = "60") =>
    (await ask(port, "/latest/api/token", { "X-aws-ec2-metadata-token-ttl-seconds": ttl }, "PUT")).body;

  test("a token is asked for by PUT, holds for its time, and opens what stands there", async () => {
    const token = await tokenOf(strict);
    const get = (path: string) => ask(strict, `/latest/${path}`, { "X-aws-ec2-metadata-token": token });
    assert.equal((await get("meta-data/instance-id")).body, facts.instanceId);
    assert.equal((await get("meta-data/placement/availability-zone")).body, "us-east-1a");
    assert.equal((await get("meta-data/iam/security-credentials/")).body, "worker");
    assert.equal((await get("meta-data/iam")).body, "info\nsecurity-credentials/");
    assert.equal((await get("")).body, "dynamic/\nmeta-data/");
    assert.equal((await get("meta-data/local-ipv4")).body, "10.0.0.7");
    const credentials = JSON.parse((await get("meta-data/iam/security-credentials/worker")).body) as Record<string, string>;
    assert.deepEqual(credentials, {
      Code: "Success",
      LastUpdated: secret.issued,
      Type: "AWS-HMAC",
      AccessKeyId: "ASIAX",
      SecretAccessKey: "s",
      Token: "t",
      Expiration: secret.expiration,
    });
    const info = JSON.parse((await get("meta-data/iam/info")).body) as Record<string, string>;
    assert.equal(info.InstanceProfileArn, "arn:aws:iam::000000000000:instance-profile/worker");
    const document = JSON.parse((await get("dynamic/instance-identity/document")).body) as Record<string, string>;
    assert.deepEqual([document.instanceId, document.accountId, document.privateIp], [facts.instanceId, "000000000000", "10.0.0.7"]);
    assert.equal((await get("meta-data/nothing")).status, 404);
    assert.equal((await get("meta-data/constructor")).status, 404);
    now += 60_001;
    assert.equal((await get("meta-data/instance-id")).status, 401);
  });
  test("without a token: 401 where it is required, version 1 where that is chosen", async () => {
    assert.equal((await ask(strict, "/latest/meta-data/instance-id")).status, 401);
    assert.equal((await ask(lenient, "/latest/meta-data/instance-id")).body, facts.instanceId);
    // One that is there must be good all the same.
    assert.equal((await ask(lenient, "/latest/meta-data/instance-id", { "X-aws-ec2-metadata-token": "9999999999999.x" })).status, 401);
  });
  test("what is no request for a token", async () => {
    const put = (headers: Record<string, string>) => ask(strict, "/latest/api/token", headers, "PUT").then(({ status }) => status);
    assert.equal(await put({}), 400);
    for (const ttl of ["0", "21601", "-1", "x"]) assert.equal(await put({ "X-aws-ec2-metadata-token-ttl-seconds": ttl }), 400);
    assert.equal(await put({ "X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Forwarded-For": "10.0.0.1" }), 403);
    assert.equal((await ask(strict, "/latest/api/token")).status, 405);
  });
  test("who is further away than the limit gets no answer", async () => {
    hops = 2;
    try {
      await assert.rejects(tokenOf(strict), /ECONNRESET|socket hang up/);
      assert.match(await tokenOf(lenient), /^\d+\./);
    } finally {
      hops = 1;
    }
  });
});
