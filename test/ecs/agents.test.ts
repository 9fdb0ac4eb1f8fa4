/** What one agent's credentials can see and report of another's instance: nothing. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import * as Ecs from "@aws-sdk/client-ecs";
import {
  CreateRoleCommand,
  CreateUserCommand,
  CreateAccessKeyCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { AssumeRoleCommand, GetCallerIdentityCommand, GetSessionTokenCommand, STSClient } from "@aws-sdk/client-sts";
import { WebSocket } from "ws";
import { sign } from "#agent/aws/sigv4.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { createCloudTrail } from "#services/cloudtrail/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { accessKeyId, secretAccessKey } from "../support/http.ts";
import { until } from "../support/until.ts";
import { account, allow, type Iam, said, type SdkCredentials, sdkCredentials, startIam, trust } from "../iam/support.ts";

const root: SdkCredentials = { accessKeyId, secretAccessKey };
let it_: Iam;
let one: SdkCredentials;
let two: SdkCredentials;
let first = "";
let second = "";
let task = "";
const clients: { destroy(): void }[] = [];

function ecs(credentials: SdkCredentials): Ecs.ECSClient {
  const client = new Ecs.ECSClient({ ...it_.server.sdk(), credentials });
  clients.push(client);
  return client;
}

/** GET, signed; a websocket's upgrade is one too. */
function signed(path: string, query: Record<string, string>, credentials: SdkCredentials) {
  const url = new URL(path, it_.server.endpoint);
  url.search = new URLSearchParams(query).toString();
  return {
    url,
    headers: sign({ method: "GET", url, headers: {}, body: "", service: "ecs", region: "us-east-1", credentials, now: Date.now() }),
  };
}

async function issue(node: string, by: SdkCredentials, cluster = "default"): Promise<SdkCredentials> {
  const { url, headers } = signed("/_gantry/agent-credentials", { node, cluster }, by);
  const { host: _host, ...rest } = headers;
  const answer = await fetch(url, { headers: rest });
  const body = (await answer.json()) as SdkCredentials & { __type?: string; message?: string };
  if (answer.status !== 200) throw Object.assign(new Error(body.message), { name: body.__type });
  return { accessKeyId: body.accessKeyId, secretAccessKey: body.secretAccessKey, sessionToken: body.sessionToken! };
}

/** The status of a refused upgrade and its body, or the first frame's type. */
function connect(path: "/acs/ws" | "/tcs/ws", instance: string, credentials: SdkCredentials): Promise<string> {
  const query: Record<string, string> =
    path === "/acs/ws"
      ? { clusterArn: "default", containerInstanceArn: instance, seqNum: "1" }
      : { cluster: "default", containerInstance: instance };
  const { url, headers } = signed(path, query, credentials);
  const { host: _host, ...rest } = headers;
  url.protocol = "ws:";
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: rest });
    socket.on("error", reject);
    socket.on("message", (data) => {
      resolve((JSON.parse((data as Buffer).toString()) as { type: string }).type);
      socket.terminate();
    });
    socket.on("unexpected-response", (_request, response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve(`${response.statusCode} ${text}`));
    });
  });
}

/** Does `work` while the agent's connection stands. */
async function connected<T>(instance: string, credentials: SdkCredentials, work: () => Promise<T>): Promise<T> {
  const { url, headers } = signed("/acs/ws", { clusterArn: "default", containerInstanceArn: instance, seqNum: "1" }, credentials);
  const { host: _host, ...rest } = headers;
  url.protocol = "ws:";
  const socket = new WebSocket(url, { headers: rest });
  try {
    await once(socket, "message");
    return await work();
  } finally {
    socket.terminate();
  }
}

const register = async (credentials: SdkCredentials, containerInstanceArn?: string) => {
  const { containerInstance } = await ecs(credentials).send(
    new Ecs.RegisterContainerInstanceCommand({
      cluster: "default",
      ...(containerInstanceArn ? { containerInstanceArn } : {}),
      totalResources: [
        { name: "CPU", type: "INTEGER", integerValue: 1024 },
        { name: "MEMORY", type: "INTEGER", integerValue: 1024 },
      ],
      attributes: [{ name: "ecs.os-type", value: "linux" }],
    }),
  );
  return containerInstance!.containerInstanceArn!;
};

before(async () => {
  it_ = await startIam({ more: (deps) => [createEcs(deps), createCloudTrail(deps)] });
  one = await issue("node-one", root);
  two = await issue("node-two", root);
  first = await register(one);
  second = await register(two);
  const admin = ecs(root);
  await admin.send(
    new Ecs.RegisterTaskDefinitionCommand({
      family: "t",
      containerDefinitions: [{ name: "c", image: "busybox", memory: 64, essential: true }],
    }),
  );
  // A place for a task needs a connected agent.
  const { tasks, failures } = await connected(first, one, async () => {
    await until("the agent counts as connected", async () => {
      const { containerInstances } = await admin.send(new Ecs.DescribeContainerInstancesCommand({ containerInstances: [first] }));
      return containerInstances![0]!.agentConnected;
    });
    return admin.send(new Ecs.StartTaskCommand({ taskDefinition: "t", containerInstances: [first], tags: [{ key: "a", value: "b" }] }));
  });
  assert.deepEqual(failures, []);
  task = tasks![0]!.taskArn!;
});
after(async () => {
  for (const client of clients) client.destroy();
  await it_.close();
});

const denied = { name: "AccessDeniedException" };
const submit = (credentials: SdkCredentials, status: string) =>
  ecs(credentials).send(new Ecs.SubmitTaskStateChangeCommand({ cluster: "default", task, status }));
const tags = (credentials: SdkCredentials, resourceArn: string) =>
  ecs(credentials).send(new Ecs.ListTagsForResourceCommand({ resourceArn }));
const lastStatus = async () => {
  const { tasks } = await ecs(root).send(new Ecs.DescribeTasksCommand({ tasks: [task] }));
  return tasks![0]!.lastStatus;
};

describe("an agent's credentials", () => {
  test("report on the tasks of its own instance only", async () => {
    const before_ = await lastStatus();
    await assert.rejects(
      submit(two, "STOPPED"),
      said("AccessDeniedException", /GantryAgent\/node-two is not authorized to perform: ecs:SubmitTaskStateChange on resource: .*:task\//),
    );
    await assert.rejects(
      ecs(two).send(new Ecs.SubmitContainerStateChangeCommand({ cluster: "default", task, containerName: "c", status: "STOPPED" })),
      denied,
    );
    assert.equal(await lastStatus(), before_);
    await submit(one, "RUNNING");
    assert.equal(await lastStatus(), "RUNNING");
  });

  test("open the websockets of its own instance only", async () => {
    for (const path of ["/acs/ws", "/tcs/ws"] as const) {
      assert.match(await connect(path, first, two), /^403 .*AccessDeniedException.*node-two/, path);
      assert.equal(await connect(path, second, two), "HeartbeatMessage", path);
      assert.equal(await connect(path, first, one), "HeartbeatMessage", path);
    }
  });

  test("do not take over another's instance, and take up their own again", async () => {
    await assert.rejects(register(two, first), denied);
    assert.equal(await register(one, first), first);
    assert.equal(await register(await issue("node-one", root), first), first, "renewed credentials are the same agent");
    assert.equal(await register(root, first), first);
    assert.match(await connect("/acs/ws", first, two), /^403/);
    assert.equal(await connect("/acs/ws", first, one), "HeartbeatMessage", "the root user's registration takes it from nobody");
  });

  test("take up an instance that was registered before instances had owners; from then on it is theirs", async () => {
    const { store } = it_.server.deps;
    const third = await register(await issue("node-three", root));
    const key = ecsKeys.containerInstance({ account, region: "us-east-1" }, "default", third.split("/").at(-1)!);
    const { owner: _owner, ...before_ } = (await store.get<ContainerInstanceRecord>(key))!.value;
    await store.transaction({ writes: [{ put: key, value: before_ }] });
    assert.match(await connect("/acs/ws", third, one), /^403/, "nobody's is not everybody's");
    assert.equal(await register(one, third), third);
    assert.equal(await connect("/acs/ws", third, one), "HeartbeatMessage");
    await assert.rejects(register(two, third), denied);
  });

  test("that are refused at another's websocket are in the trail", async () => {
    await connect("/acs/ws", first, two);
    const trail = new CloudTrailClient(it_.server.sdk());
    clients.push(trail);
    const { Events } = await trail.send(
      new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "Poll" }], MaxResults: 1 }),
    );
    const record = JSON.parse(Events![0]!.CloudTrailEvent!) as { errorCode: string; userIdentity: { arn: string } };
    assert.equal(record.errorCode, "AccessDeniedException");
    assert.match(record.userIdentity.arn, /GantryAgent\/node-two$/);
  });

  test("see tags of their own instance and its tasks only", async () => {
    assert.deepEqual((await tags(one, task)).tags, [{ key: "a", value: "b" }]);
    await tags(one, first);
    await assert.rejects(tags(two, task), denied);
    await assert.rejects(tags(two, first), denied);
  });

  test("do nothing that an instance need not do", async () => {
    const client = ecs(one);
    for (const command of [
      new Ecs.DescribeTasksCommand({ tasks: [task] }),
      new Ecs.ListTasksCommand({}),
      new Ecs.ListContainerInstancesCommand({}),
      new Ecs.StopTaskCommand({ task }),
      new Ecs.RunTaskCommand({ taskDefinition: "t" }),
      new Ecs.DeregisterContainerInstanceCommand({ containerInstance: second, force: true }),
      new Ecs.TagResourceCommand({ resourceArn: first, tags: [{ key: "x", value: "y" }] }),
      new Ecs.DescribeTaskDefinitionCommand({ taskDefinition: "t" }),
    ])
      await assert.rejects(client.send(command as never), denied, command.constructor.name);
    await assert.rejects(
      client.send(new Ecs.RegisterContainerInstanceCommand({ cluster: "other" })),
      denied,
      "its cluster is part of its credentials",
    );
    await assert.rejects(issue("node-two", one), denied);
    const sts = new STSClient({ ...it_.server.sdk(), credentials: one });
    clients.push(sts);
    assert.equal((await sts.send(new GetCallerIdentityCommand({}))).Arn, `arn:aws:sts::${account}:assumed-role/GantryAgent/node-one`);
    await assert.rejects(sts.send(new GetSessionTokenCommand({})));
  });
});

describe("a standard agent with a role", () => {
  const instanceRole = allow(["ecs:*"]);
  const session = async (RoleSessionName: string) => {
    const { Credentials } = await it_.sts.send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/fleet`, RoleSessionName }));
    return sdkCredentials(Credentials!);
  };
  before(async () => {
    await it_.iam.send(new CreateRoleCommand({ RoleName: "fleet", AssumeRolePolicyDocument: trust({ AWS: account }) }));
    await it_.iam.send(new PutRolePolicyCommand({ RoleName: "fleet", PolicyName: "p", PolicyDocument: instanceRole }));
  });

  test("owns what it registered: by its machine's name where the session has it, else by the role", async () => {
    const [a, b] = [await session("i-0123456789abcdef0"), await session("i-0123456789abcdef1")];
    const mine = await register(a);
    assert.equal(await register(await session("i-0123456789abcdef0"), mine), mine);
    await assert.rejects(register(b, mine), denied);
    assert.match(await connect("/acs/ws", mine, b), /^403/);
    assert.equal(await connect("/acs/ws", mine, a), "HeartbeatMessage");

    const unnamed = await register(await session("botocore-session-1"));
    assert.equal(await connect("/acs/ws", unnamed, await session("botocore-session-2")), "HeartbeatMessage");
  });

  test("a user with every permission of ECS does not speak for an instance either", async () => {
    await it_.iam.send(new CreateUserCommand({ UserName: "mia" }));
    await it_.iam.send(new PutUserPolicyCommand({ UserName: "mia", PolicyName: "p", PolicyDocument: allow("ecs:*") }));
    const { AccessKey } = await it_.iam.send(new CreateAccessKeyCommand({ UserName: "mia" }));
    const mia = { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
    await assert.rejects(submit(mia, "STOPPED"), denied);
    assert.match(await connect("/tcs/ws", first, mia), /^403/);
    await assert.rejects(issue("node-one", mia), said("AccessDeniedException", /gantry:IssueAgentCredentials/));
    assert.match(await register(mia), /container-instance/);
  });
});
