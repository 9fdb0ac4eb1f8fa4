/** Who may push and pull, through ECR's API and through the registry under /v2/: identities, repository policies, the registry's policy, other accounts. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  BatchGetImageCommand,
  CreateRepositoryCommand,
  DeleteRegistryPolicyCommand,
  DeleteRepositoryPolicyCommand,
  DescribeRepositoriesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
  GetRegistryPolicyCommand,
  GetRepositoryPolicyCommand,
  PutRegistryPolicyCommand,
  SetRepositoryPolicyCommand,
} from "@aws-sdk/client-ecr";
import { createEcr } from "#services/ecr/index.ts";
import { digestOf, raw, types } from "../registry/support.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { account, allow, createPeople, otherAccount, type Person, policy } from "./support.ts";

const people = createPeople();
const root = people.root();
const foreignRoot = people.root(otherAccount);
const arn = `arn:aws:ecr:us-east-1:${account}:repository/app`;
const pull = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];
const push = [...pull, "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"];
const token = allow("ecr:GetAuthorizationToken");
let server: TestServer;

const ecr = (credentials: Person) => new ECRClient({ ...server.sdk(), credentials });

async function login(who: Person): Promise<string> {
  const { authorizationData } = await ecr(who).send(new GetAuthorizationTokenCommand({}));
  return `Basic ${authorizationData![0]!.authorizationToken}`;
}

const host = { host: `${account}.dkr.ecr.us-east-1.example.com` };
const call = (auth: string | undefined, method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
  raw(server.port, method, path, { auth, headers: { ...host, ...headers }, ...(body === undefined ? {} : { body }) });

/** As docker push does. */
async function pushes(auth: string, name: string, tag: string): Promise<readonly [number, string]> {
  const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } });
  const begun = await call(auth, "POST", `/v2/${name}/blobs/uploads/`);
  if (begun.status !== 202) return [begun.status, begun.text];
  const patched = await call(auth, "PATCH", begun.headers.location!, config);
  if (patched.status !== 202) return [patched.status, patched.text];
  const put = await call(auth, "PUT", `${begun.headers.location!}?digest=${digestOf(config)}`);
  if (put.status !== 201) return [put.status, put.text];
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: digestOf(config), size: config.length },
    layers: [],
  });
  const done = await call(auth, "PUT", `/v2/${name}/manifests/${tag}`, manifest, { "content-type": types.manifest });
  return [done.status, done.text];
}

const pulls = async (auth: string, name = "app") => (await call(auth, "GET", `/v2/${name}/manifests/v1`)).status;

async function refused(asked: Promise<unknown>, name = "AccessDeniedException"): Promise<string> {
  const error = await asked.then(
    () => assert.fail("it was allowed"),
    (problem: unknown) => problem as Error,
  );
  assert.equal(error.name, name, error.message);
  return error.message;
}

const setPolicy = (...statements: unknown[]) =>
  ecr(root).send(
    new SetRepositoryPolicyCommand({ repositoryName: "app", policyText: JSON.stringify({ Version: "2012-10-17", Statement: statements }) }),
  );

before(async () => {
  server = await startServer({
    credentials: people.credentials,
    config: { domain: "example.com" },
    parts: (deps) => [people.part, createEcr(deps)],
  });
  await ecr(root).send(new CreateRepositoryCommand({ repositoryName: "app", tags: [{ Key: "team", Value: "a" }] }));
  assert.deepEqual(await pushes(await login(root), "app", "v1"), [201, ""]);
});
beforeEach(async () => {
  await ecr(root)
    .send(new DeleteRepositoryPolicyCommand({ repositoryName: "app" }))
    .catch(() => undefined);
  await ecr(root)
    .send(new DeleteRegistryPolicyCommand({}))
    .catch(() => undefined);
});
after(() => server.close());

describe("/v2/", () => {
  test("anonymous sees nothing", async () => {
    for (const path of ["/v2/", "/v2/app/manifests/v1", "/v2/none/manifests/v1"])
      assert.equal((await call(undefined, "GET", path)).status, 401);
  });

  test("a token without ecr:PutImage pulls, but cannot push", async () => {
    const who = await login(people.user("puller", { identity: [policy("p", token, allow(pull, arn))] }));
    assert.equal(await pulls(who), 200);
    const [status, text] = await pushes(who, "app", "v2");
    assert.equal(status, 403);
    assert.deepEqual(JSON.parse(text), {
      errors: [
        {
          code: "DENIED",
          message: `User: arn:aws:iam::${account}:user/puller is not authorized to perform: ecr:InitiateLayerUpload on resource: ${arn} because no identity-based policy allows the ecr:InitiateLayerUpload action`,
        },
      ],
    });
    const layersOnly = await login(
      people.user("layers", {
        identity: [
          policy(
            "p",
            token,
            allow(
              push.filter((each) => each !== "ecr:PutImage"),
              arn,
            ),
          ),
        ],
      }),
    );
    assert.match((await pushes(layersOnly, "app", "v2"))[1], /ecr:PutImage on resource/);
  });

  test("a token that may push does", async () => {
    const who = await login(people.role("pusher", { identity: [policy("p", token, allow(push, arn))] }));
    assert.deepEqual(await pushes(who, "app", "v3"), [201, ""]);
    assert.equal((await call(who, "DELETE", "/v2/app/manifests/v3")).status, 403);
    assert.equal((await call(who, "GET", "/v2/app/tags/list")).status, 403);
  });

  test("whether a repository is there is nobody's business", async () => {
    const who = await login(people.user("nosy", { identity: [policy("p", token)] }));
    assert.equal((await call(who, "GET", "/v2/app/manifests/v1")).status, 403);
    assert.equal((await call(who, "GET", "/v2/none/manifests/v1")).status, 403);
  });

  test("the policies of now count, not those of when the token was made; session policies ride along", async () => {
    const narrow = { Version: "2012-10-17", Statement: [token, allow("ecr:BatchGetImage")] };
    const who = await login(people.role("limited", { identity: [policy("p", allow("ecr:*"))], session: [narrow] }));
    assert.equal(await pulls(who), 200);
    assert.match((await pushes(who, "app", "v4"))[1], /no session policy allows/);
    people.role("limited", { identity: [] });
    assert.equal(await pulls(who), 403);
  });

  test("by the repository's tags", async () => {
    const condition = (value: string) => ({ Condition: { StringEquals: { "ecr:ResourceTag/team": value } } });
    const yes = await login(people.user("team-a", { identity: [policy("p", token, allow(pull, "*", condition("a")))] }));
    const no = await login(people.user("team-b", { identity: [policy("p", token, allow(pull, "*", condition("b")))] }));
    assert.deepEqual([await pulls(yes), await pulls(no)], [200, 403]);
  });

  test("a layer is mounted only from where it may be read", async () => {
    await ecr(root).send(new CreateRepositoryCommand({ repositoryName: "mine" }));
    const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } });
    const mine = arn.replace(/app$/, "mine");
    const mount = `/v2/mine/blobs/uploads/?mount=${digestOf(config)}&from=app`;
    const blind = await login(people.user("blind", { identity: [policy("p", token, allow(push, mine))] }));
    assert.equal((await call(blind, "POST", mount)).status, 202);
    const sees = await login(people.user("sees", { identity: [policy("p", token, allow(push, mine), allow(pull, arn))] }));
    assert.equal((await call(sees, "POST", mount)).status, 201);
  });
});

describe("repository policies", () => {
  test("let in a user who has nothing else", async () => {
    const person = people.user("guest", { identity: [policy("p", token)] });
    const who = await login(person);
    assert.equal(await pulls(who), 403);
    await setPolicy({ Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:user/guest` }, Action: pull });
    assert.equal(await pulls(who), 200);
    await ecr(person).send(new BatchGetImageCommand({ repositoryName: "app", imageIds: [{ imageTag: "v1" }] }));
    assert.equal((await pushes(who, "app", "v5"))[0], 403);
  });

  test("keep out whoever they name", async () => {
    const who = await login(people.user("shunned", { identity: [policy("p", allow("ecr:*"))] }));
    assert.equal(await pulls(who), 200);
    await setPolicy({ Effect: "Deny", Principal: { AWS: `arn:aws:iam::${account}:user/shunned` }, Action: "ecr:*" });
    assert.match((await call(who, "GET", "/v2/app/manifests/v1")).text, /with an explicit deny in a resource-based policy/);
  });

  test("another account takes both its own policies and the repository's", async () => {
    const images = new BatchGetImageCommand({ registryId: account, repositoryName: "app", imageIds: [{ imageTag: "v1" }] });
    const person = people.user("abroad", { identity: [policy("p", token, allow(pull))] }, otherAccount);
    const who = await login(person);
    assert.equal(await pulls(who), 403);
    assert.match(await refused(ecr(person).send(images)), /because no resource-based policy allows the ecr:BatchGetImage action/);
    assert.match(await refused(ecr(foreignRoot).send(images)), /no resource-based policy allows/);
    await setPolicy({ Effect: "Allow", Principal: { AWS: `arn:aws:iam::${otherAccount}:root` }, Action: pull });
    assert.equal(await pulls(who), 200);
    assert.equal((await ecr(person).send(images)).images?.length, 1);
    assert.equal((await ecr(foreignRoot).send(images)).images?.length, 1);
    const poor = people.user("poor", { identity: [policy("p", token)] }, otherAccount);
    assert.equal(await pulls(await login(poor)), 403);
    assert.match(
      await refused(ecr(person).send(new DescribeRepositoriesCommand({ registryId: account }))),
      /no identity-based policy allows/,
    );
  });

  test("are given back as they were set, and gone when deleted", async () => {
    const client = ecr(root);
    assert.match(
      await refused(client.send(new GetRepositoryPolicyCommand({ repositoryName: "app" })), "RepositoryPolicyNotFoundException"),
      /Repository policy does not exist for the repository with name 'app' in the registry with id '000000000000'/,
    );
    const policyText =
      '{ "Version": "2008-10-17", "Statement": [{"Sid": "a b", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}';
    await client.send(new SetRepositoryPolicyCommand({ repositoryName: "app", policyText }));
    assert.equal((await client.send(new GetRepositoryPolicyCommand({ repositoryName: "app" }))).policyText, policyText);
    assert.equal((await client.send(new DeleteRepositoryPolicyCommand({ repositoryName: "app" }))).policyText, policyText);
    await refused(client.send(new DeleteRepositoryPolicyCommand({ repositoryName: "app" })), "RepositoryPolicyNotFoundException");
    for (const bad of [
      "{",
      '{"Statement":[{"Effect":"Allow","Action":"ecr:*"}]}',
      '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*"}]}',
    ])
      assert.match(
        await refused(client.send(new SetRepositoryPolicyCommand({ repositoryName: "app", policyText: bad })), "InvalidParameterException"),
        /Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'/,
      );
    await refused(client.send(new SetRepositoryPolicyCommand({ repositoryName: "none", policyText })), "RepositoryNotFoundException");
  });

  test("that would lock their maker out take force", async () => {
    const policyText = JSON.stringify({ Statement: [{ Effect: "Deny", Principal: "*", Action: "ecr:*" }] });
    await refused(ecr(root).send(new SetRepositoryPolicyCommand({ repositoryName: "app", policyText })), "InvalidParameterException");
    await ecr(root).send(new SetRepositoryPolicyCommand({ repositoryName: "app", policyText, force: true }));
  });
});

test("the registry's policy opens its repositories", async () => {
  const client = ecr(root);
  await refused(client.send(new GetRegistryPolicyCommand({})), "RegistryPolicyNotFoundException");
  const who = await login(people.user("partner", { identity: [policy("p", token, allow(pull))] }, otherAccount));
  assert.equal(await pulls(who), 403);
  const statement = {
    Effect: "Allow",
    Principal: { AWS: otherAccount },
    Action: pull,
    Resource: `arn:aws:ecr:us-east-1:${account}:repository/ap*`,
  };
  await client.send(new PutRegistryPolicyCommand({ policyText: JSON.stringify({ Version: "2012-10-17", Statement: [statement] }) }));
  assert.equal(await pulls(who), 200);
  await client.send(new DeleteRegistryPolicyCommand({}));
  assert.equal(await pulls(who), 403);
});
