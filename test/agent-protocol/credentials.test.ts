/** What an agent is told of its tasks' roles: with the task, again before they end, and to an agent that comes back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DescribeTasksCommand, ECSClient, RegisterTaskDefinitionCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { CreateRoleCommand } from "@aws-sdk/client-iam";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { sign } from "#agent/aws/sigv4.ts";
import type { Credentials } from "#agent-protocol/messages.ts";
import { createEcs } from "#services/ecs/index.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { scope } from "#test/simulation/records.ts";
import { accessKeyId, secretAccessKey } from "#test/support/http.ts";
import { until } from "#test/support/until.ts";
import { account, type Iam, startIam, trust } from "../iam/support.ts";
import { fillStore, instanceId } from "./server.ts";
import { StandardAgent } from "./standard-agent.ts";

let it: Iam;
let ecs: ECSClient;
const tasks = { Service: "ecs-tasks.amazonaws.com" };
const arnOf = (role: string) => `arn:aws:iam::${account}:role/${role}`;
before(async () => {
  it = await startIam({ config: { taskCredentialsSeconds: 14 }, more: (deps) => [createEcs(deps)] });
  await fillStore(it.server.deps.store);
  // What an agent that knows roles says of its machine.
  const key = ecsKeys.containerInstance(scope, "default", instanceId);
  const { value: instance } = (await it.server.deps.store.get<ContainerInstanceRecord>(key))!;
  const names = ["task-iam-role", "execution-role-ecr-pull", "ecr-auth"];
  const attributes = [...instance.attributes, ...names.flatMap(attributeNames).map((name) => ({ name }))];
  await it.server.deps.store.transaction({ writes: [{ put: key, value: { ...instance, attributes } }] });
  ecs = new ECSClient(it.server.sdk());
  await it.iam.send(new CreateRoleCommand({ RoleName: "app", AssumeRolePolicyDocument: trust(tasks) }));
  await it.iam.send(new CreateRoleCommand({ RoleName: "execution", AssumeRolePolicyDocument: trust(tasks) }));
  // RunTask looks without a task: whom the role takes by their name is seen only when there is one.
  const byName = trust(tasks, "sts:AssumeRole", { StringEquals: { "sts:RoleSessionName": "ecs" } });
  await it.iam.send(new CreateRoleCommand({ RoleName: "fickle", AssumeRolePolicyDocument: byName }));
});
after(async () => {
  ecs.destroy();
  await it.close();
});

const attributeNames = (name: string) => [`com.amazonaws.ecs.capability.${name}`, `ecs.capability.${name}`];
const connect = () => {
  const url = new URL(StandardAgent.acsUrl(`${it.server.endpoint}/acs`));
  const http = new URL(url.href.replace("ws", "http"));
  const credentials = { accessKeyId, secretAccessKey };
  const headers = sign({
    method: "GET",
    url: http,
    headers: {},
    body: "",
    service: "ecs",
    region: scope.region,
    credentials,
    now: Date.now(),
  });
  return StandardAgent.connect(url.href, undefined, headers);
};
async function run(family: string, taskRoleArn: string): Promise<string> {
  const containerDefinitions = [{ name: "app", image: `localhost:${it.server.port}/app:1`, memory: 16 }];
  await ecs.send(new RegisterTaskDefinitionCommand({ family, taskRoleArn, executionRoleArn: arnOf("execution"), containerDefinitions }));
  return until("a task was placed", async () => (await ecs.send(new RunTaskCommand({ taskDefinition: family }))).tasks?.[0]?.taskArn);
}
const renewals = (agent: StandardAgent, taskArn: string) =>
  agent.frames.flatMap((frame) => (frame.type === "IAMRoleCredentialsMessage" && frame.message.taskArn === taskArn ? [frame.message] : []));
const who = async ({ accessKeyId: id, secretAccessKey: secret, sessionToken }: Credentials) => {
  const sts = new STSClient({ ...it.server.sdk(), credentials: { accessKeyId: id, secretAccessKey: secret, sessionToken } });
  return sts
    .send(new GetCallerIdentityCommand({}))
    .then(({ Arn }) => Arn)
    .finally(() => sts.destroy());
};

test("both roles, renewed in the middle of their life under the same ids", async () => {
  const agent = await connect();
  const arn = await run("both", "app");
  const { roleCredentials, executionRoleCredentials, containers } = await agent.payloadOf(arn, "RUNNING");
  const id = arn.split("/").at(-1)!;
  assert.equal(await who(roleCredentials!), `arn:aws:sts::${account}:assumed-role/app/${id}`);
  assert.equal(await who(executionRoleCredentials!), `arn:aws:sts::${account}:assumed-role/execution/${id}`);
  assert.notEqual(roleCredentials!.credentialsId, executionRoleCredentials!.credentialsId);
  assert.equal(containers[0]!.registryAuthentication?.ecrAuthData?.useExecutionRole, true);
  const renewed = await agent.until("the next ones", () => {
    const all = renewals(agent, arn).filter(({ roleCredentials: { accessKeyId: key } }) => key !== roleCredentials!.accessKeyId);
    return all.some(({ roleType }) => roleType === "TaskApplication") && all.some(({ roleType }) => roleType === "TaskExecution")
      ? all
      : undefined;
  });
  const application = renewed.find(({ roleType }) => roleType === "TaskApplication")!.roleCredentials;
  assert.equal(application.credentialsId, roleCredentials!.credentialsId);
  assert.ok(Date.parse(application.expiration) > Date.now());
  agent.socket.terminate();
  const back = await connect();
  const again = await back.until("those of an agent that came back", () =>
    renewals(back, arn).find(({ roleType }) => roleType === "TaskApplication"),
  );
  assert.equal(again.roleCredentials.credentialsId, roleCredentials!.credentialsId);
  back.socket.terminate();
});

test("a role that cannot be had when the task is to start stops it, and no agent hears of it", async () => {
  const agent = await connect();
  const arn = await run("fickle", "fickle");
  const task = await until("its end", async () => {
    const now = (await ecs.send(new DescribeTasksCommand({ tasks: [arn] }))).tasks![0]!;
    return now.desiredStatus === "STOPPED" && now;
  });
  assert.equal(task.stopCode, "TaskFailedToStart");
  assert.match(
    task.stoppedReason!,
    /^ECS was unable to assume the role 'arn:aws:iam::000000000000:role\/fickle' that was provided for this task\./,
  );
  assert.ok(!agent.payloads.some(({ tasks: sent }) => sent.some((each) => each.arn === arn && each.desiredStatus === "RUNNING")));
  agent.socket.terminate();
});
