/** Who may come in, through HTTP: each protocol's codes for each thing that can be wrong with a signature. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { EC2Client, DescribeVpcsCommand } from "@aws-sdk/client-ec2";
import { ECSClient, ListClustersCommand } from "@aws-sdk/client-ecs";
import { ListSchedulesCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { GetAccessKeyInfoCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Handler, ServerPart } from "#api/contract.ts";
import type { CredentialSource } from "#api/credentials.ts";
import { signingKey } from "#api/sigv4-sign.ts";
import { createSts } from "#services/sts/index.ts";
import { accessKeyId, awsBinaries, secretAccessKey, startServer, type TestServer } from "#test/support/http.ts";

/** The Hash that @smithy/signature-v4 wants, by node:crypto. */
class Sha256 {
  readonly #hash;
  constructor(secret?: Uint8Array | string) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret);
  }
  update(data: string | Uint8Array) {
    this.#hash.update(data);
  }
  async digest() {
    return new Uint8Array(this.#hash.digest());
  }
  reset() {}
}

const root = { arn: "arn:aws:iam::000000000000:root", account: "000000000000", userId: "000000000000", accessKeyId };
const session = {
  arn: "arn:aws:sts::000000000000:assumed-role/r/s",
  account: "000000000000",
  userId: "AROA:s",
  accessKeyId: "ASIATESTTESTTESTTEST",
};
const source: CredentialSource = {
  async lookup(asked, token) {
    if (asked === accessKeyId && token === undefined) return { secretAccessKey, principal: root };
    if (asked !== session.accessKeyId || (token !== "good" && token !== "old")) return undefined;
    return { secretAccessKey, principal: session, expiresAt: token === "old" ? Date.now() - 60_000 : Date.now() + 60_000 };
  },
};

const nothing = (service: string, operation: string): ServerPart => ({
  registrations: [
    {
      service,
      handlers: { [operation]: (input: Record<string, unknown>) => ({ clusterArns: [JSON.stringify(input)] }) } as Readonly<
        Record<string, Handler>
      >,
    },
  ],
});

let server: TestServer;
before(async () => {
  const parts = [nothing("ecs", "ListClusters"), nothing("ec2", "DescribeVpcs"), nothing("scheduler", "ListSchedules")];
  server = await startServer({ credentials: source, parts: (deps) => [createSts(deps), ...parts] });
});
after(() => server.close());

interface Wrong {
  readonly credentials?: object;
  readonly systemClockOffset?: number;
  readonly endpoint?: string;
}
const calls = {
  json: (wrong: Wrong) => new ECSClient({ ...server.sdk(), ...wrong } as never).send(new ListClustersCommand({})),
  query: (wrong: Wrong) => new STSClient({ ...server.sdk(), ...wrong } as never).send(new GetCallerIdentityCommand({})),
  ec2: (wrong: Wrong) => new EC2Client({ ...server.sdk(), ...wrong } as never).send(new DescribeVpcsCommand({})),
  rest: (wrong: Wrong) => new SchedulerClient({ ...server.sdk(), ...wrong } as never).send(new ListSchedulesCommand({})),
};

const cases: readonly (readonly [string, Wrong, Record<keyof typeof calls, readonly [code: string, status: number]>])[] = [
  [
    "an unknown key",
    { credentials: { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "x" } },
    {
      json: ["UnrecognizedClientException", 400],
      query: ["InvalidClientTokenId", 403],
      ec2: ["AuthFailure", 401],
      rest: ["UnrecognizedClientException", 403],
    },
  ],
  [
    "a wrong secret",
    { credentials: { accessKeyId, secretAccessKey: "x" } },
    {
      json: ["InvalidSignatureException", 400],
      query: ["SignatureDoesNotMatch", 403],
      ec2: ["AuthFailure", 401],
      rest: ["InvalidSignatureException", 403],
    },
  ],
  [
    "an expired session",
    { credentials: { accessKeyId: session.accessKeyId, secretAccessKey, sessionToken: "old" } },
    {
      json: ["ExpiredTokenException", 400],
      query: ["ExpiredToken", 403],
      ec2: ["RequestExpired", 400],
      rest: ["ExpiredTokenException", 403],
    },
  ],
  [
    "a clock six minutes slow",
    { systemClockOffset: -360_000 },
    {
      json: ["InvalidSignatureException", 400],
      query: ["SignatureDoesNotMatch", 403],
      ec2: ["AuthFailure", 401],
      rest: ["InvalidSignatureException", 403],
    },
  ],
  [
    "a clock six minutes fast",
    { systemClockOffset: 360_000 },
    {
      json: ["InvalidSignatureException", 400],
      query: ["SignatureDoesNotMatch", 403],
      ec2: ["AuthFailure", 401],
      rest: ["InvalidSignatureException", 403],
    },
  ],
];

describe("each protocol has its codes", () => {
  for (const [what, wrong, expected] of cases)
    for (const [protocol, [code, status]] of Object.entries(expected))
      test(`${what}: ${protocol} ${code}`, () =>
        assert.rejects(calls[protocol as keyof typeof calls](wrong), (error: Error & { $metadata: { httpStatusCode: number } }) => {
          assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status]);
          if (what.includes("slow"))
            assert.match(error.message, /Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)/);
          if (what.includes("fast")) assert.match(error.message, /Signature not yet current: \d{8}T\d{6}Z is still later than/);
          return true;
        }));
  for (const [protocol, code, init] of [
    [
      "json",
      "MissingAuthenticationTokenException",
      { headers: { "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters" }, body: "{}" },
    ],
    [
      "query",
      "<Code>MissingAuthenticationToken</Code>",
      { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "Action=GetCallerIdentity&Version=2011-06-15" },
    ],
    [
      "ec2",
      "<Code>AuthFailure</Code>",
      { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "Action=DescribeVpcs&Version=2016-11-15" },
    ],
  ] as const)
    test(`no signature: ${protocol}`, async () => {
      const response = await fetch(server.endpoint, { method: "POST", ...init });
      assert.ok((await response.text()).includes(code));
    });
});

describe("sessions and scopes", () => {
  test("temporary credentials are good while they last", async () => {
    const { Arn } = (await calls.query({ credentials: { accessKeyId: session.accessKeyId, secretAccessKey, sessionToken: "good" } })) as {
      Arn?: string;
    };
    assert.equal(Arn, session.arn);
  });
  test("a signature for one service does not open another", async () => {
    const signer = new SignatureV4({
      service: "ecr",
      region: "us-east-1",
      credentials: { accessKeyId, secretAccessKey },
      sha256: Sha256 as never,
    });
    const body = "{}";
    const { headers } = await signer.sign({
      method: "POST",
      protocol: "http:",
      hostname: "127.0.0.1",
      path: "/",
      headers: { host: `127.0.0.1:${server.port}`, "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters" },
      body,
    });
    const response = await fetch(server.endpoint, { method: "POST", headers, body });
    assert.deepEqual(await response.json(), {
      __type: "InvalidSignatureException",
      message: "Credential should be scoped to correct service: 'ecs'. ",
    });
  });
});

describe("presigned", () => {
  const presign = async (ageSeconds: number) => {
    const signer = new SignatureV4({
      service: "sts",
      region: "us-east-1",
      credentials: { accessKeyId, secretAccessKey },
      sha256: Sha256 as never,
    });
    const request = {
      method: "GET",
      protocol: "http:",
      hostname: "127.0.0.1",
      path: "/",
      query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
      headers: { host: `127.0.0.1:${server.port}` },
    };
    const { query } = await signer.presign(request, { expiresIn: 60, signingDate: new Date(Date.now() - ageSeconds * 1000) });
    return fetch(`${server.endpoint}/?${new URLSearchParams(query as Record<string, string>).toString().replaceAll("+", "%20")}`);
  };
  test("an address is good until it expires", async () => {
    assert.match(await (await presign(20)).text(), /<Arn>arn:aws:iam::000000000000:root<\/Arn>/);
    const late = await presign(70);
    assert.equal(late.status, 400);
    assert.match(await late.text(), /<Code>RequestExpired<\/Code>/);
  });
});

describe("payloads", () => {
  const sign = async (declared: string, body: string) => {
    const signer = new SignatureV4({
      service: "ecs",
      region: "us-east-1",
      credentials: { accessKeyId, secretAccessKey },
      sha256: Sha256 as never,
    });
    const headers = {
      host: `127.0.0.1:${server.port}`,
      "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters",
      "content-type": "application/x-amz-json-1.1",
      "x-amz-content-sha256": declared,
    };
    return {
      ...(await signer.sign({ method: "POST", protocol: "http:", hostname: "127.0.0.1", path: "/", headers, body })).headers,
    } as Record<string, string>;
  };
  const ask = async (headers: Record<string, string>, body: string | Buffer) => {
    const response = await fetch(server.endpoint, { method: "POST", headers, body });
    return (await response.json()) as { __type?: string; clusterArns?: string[] };
  };
  test("UNSIGNED-PAYLOAD leaves the body open", async () => {
    assert.deepEqual((await ask(await sign("UNSIGNED-PAYLOAD", ""), '{"maxResults":7}')).clusterArns, ['{"maxResults":7}']);
  });
  test("a digest that is not the body's", async () => {
    const declared = createHash("sha256").update("{}").digest("hex");
    assert.equal((await ask(await sign(declared, "{}"), "{ }")).__type, "InvalidSignatureException");
  });
  test("signed chunks, and chunks that somebody changed", async () => {
    const headers = await sign("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "");
    const { authorization = "", "x-amz-date": date = "" } = headers;
    const scope = { date: date.slice(0, 8), region: "us-east-1", service: "ecs" };
    let previous = /Signature=(\w+)/.exec(authorization)![1]!;
    const sha = (text: string) => createHash("sha256").update(text).digest("hex");
    const chunks = ['{"max', 'Results":3}', ""].map((chunk) => {
      const text = ["AWS4-HMAC-SHA256-PAYLOAD", date, `${scope.date}/us-east-1/ecs/aws4_request`, previous, sha(""), sha(chunk)].join("\n");
      previous = createHmac("sha256", signingKey(secretAccessKey, scope)).update(text).digest("hex");
      return `${chunk.length.toString(16)};chunk-signature=${previous}\r\n${chunk}\r\n`;
    });
    assert.deepEqual((await ask(headers, chunks.join(""))).clusterArns, ['{"maxResults":3}']);
    assert.equal((await ask(headers, chunks.join("").replace('":3', '":4'))).__type, "SignatureDoesNotMatch");
    assert.equal((await ask(headers, chunks.slice(0, 2).join(""))).__type, "IncompleteBody");
  });
});

describe("STS", () => {
  test("GetAccessKeyInfo: own key, unknown key, no key at all", async () => {
    const sts = new STSClient(server.sdk());
    assert.equal((await sts.send(new GetAccessKeyInfoCommand({ AccessKeyId: accessKeyId }))).Account, "000000000000");
    await assert.rejects(sts.send(new GetAccessKeyInfoCommand({ AccessKeyId: "AKIAUNKNOWNUNKNOWN12" })), { name: "InvalidClientTokenId" });
    await assert.rejects(sts.send(new GetAccessKeyInfoCommand({ AccessKeyId: "short" })), {
      name: "ValidationError",
      message:
        "1 validation error detected: Value 'short' at 'accessKeyId' failed to satisfy constraint: Member must have length greater than or equal to 16",
    });
    await assert.rejects(sts.send(new GetAccessKeyInfoCommand({} as never)), { name: "ValidationError" });
  });
  for (const binary of awsBinaries)
    test(`${binary} sts`, async () => {
      const who = JSON.parse(await server.awsWith(binary, "sts", "get-caller-identity")) as Record<string, string>;
      assert.deepEqual(who, { UserId: "000000000000", Account: "000000000000", Arn: "arn:aws:iam::000000000000:root" });
      assert.match(await server.awsWith(binary, "sts", "get-access-key-info", "--access-key-id", accessKeyId), /"Account": "000000000000"/);
      await assert.rejects(
        server.awsWith(binary, "sts", "get-access-key-info", "--access-key-id", "AKIAUNKNOWNUNKNOWN12"),
        /\(InvalidClientTokenId\)/,
      );
      await assert.rejects(server.awsWith(binary, "ecs", "describe-clusters"), /\(NotImplemented\)[^]*DescribeClusters of ECS/);
    });
});
