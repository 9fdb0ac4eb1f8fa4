/**
 * The account by real Terraform: applied, planned clean, changed, planned clean, destroyed, and nothing of it left. Each lesson is a module of one
 * configuration: the provider takes seconds to start, and much of what it does is waiting.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { firstOf, rootCredentials } from "#api/credentials.ts";
import { identityCredentials } from "#identity/credentials.ts";
import { createParts } from "#server/parts.ts";
import { account } from "../iam/support.ts";
import { accessKeyId, secretAccessKey, startServer, type TestServer } from "../support/http.ts";
import { capacity } from "./lessons/capacity.ts";
import { cloudwatch } from "./lessons/cloudwatch.ts";
import { ecr } from "./lessons/ecr.ts";
import { events } from "./lessons/events.ts";
import { iam } from "./lessons/iam.ts";
import { loadBalancers } from "./lessons/load-balancers.ts";
import { names } from "./lessons/names.ts";
import { scaling } from "./lessons/scaling.ts";
import { secrets } from "./lessons/secrets.ts";
import { serviceConnect } from "./lessons/service-connect.ts";
import { vpc } from "./lessons/vpc.ts";
import { findTerraform, startTerraform, type Terraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;
const wanted = process.env.LESSONS?.split(",");
const lessons = [vpc, names, loadBalancers, iam, secrets, cloudwatch, serviceConnect, capacity, scaling, ecr, events].filter(
  ({ name }) => wanted?.includes(name) ?? true,
);
const options = { skip, timeout: 600_000 };

let server: TestServer;
let terraform: Terraform;
const modules = new Map<string, string>();

before(async () => {
  if (!("terraform" in found)) return;
  server = await startServer({
    parts: createParts,
    credentials: (deps) => firstOf(rootCredentials(account, accessKeyId, secretAccessKey), identityCredentials(deps)),
  });
  for (const lesson of lessons) {
    await lesson.before?.(server);
    modules.set(lesson.name, await lesson.configuration());
  }
  terraform = await startTerraform(found, server.endpoint, [...new Set(["sts", "iam", ...lessons.flatMap(({ services }) => services)])]);
});
after(async () => {
  await terraform?.remove();
  for (const lesson of lessons) await lesson.close?.();
  await server?.close();
});

const outputs = async (name: string) => (await terraform.outputs())[name] as Record<string, unknown>;

test("applied and planned clean", options, async () => {
  await terraform.apply(modules);
  const { code, text } = await terraform.plan();
  assert.equal(code, 0, text);
  for (const { name, applied } of lessons) await applied?.(await outputs(name), server);
});

test("changed in place and planned clean", options, async () => {
  for (const { name, changed } of lessons) {
    const before = modules.get(name)!;
    modules.set(name, changed(before));
    assert.notEqual(modules.get(name), before);
  }
  await terraform.apply(modules);
  const { code, text } = await terraform.plan();
  assert.equal(code, 0, text);
  for (const { name, afterChange } of lessons) await afterChange?.(await outputs(name), server);
});

test("destroyed: nothing is left", options, async () => {
  await terraform.destroy();
  assert.deepEqual(await terraform.state(), []);
  for (const { destroyed } of lessons) await destroyed(server);
});
