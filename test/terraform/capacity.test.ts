/** Launch template, Auto Scaling group, capacity provider and instance by real Terraform: applied, planned clean, changed, destroyed. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer } from "../support/http.ts";
import { everyInstanceObeys } from "../support/instances.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;

test("Terraform applies instances and capacity, plans clean, changes them, destroys them", { skip, timeout: 600_000 }, async () => {
  assert.ok("terraform" in found);
  let group: ReturnType<typeof createAutoScaling> | undefined;
  const server = await startServer({
    parts: (deps) => [createSts(deps), createEc2(deps), (group = createAutoScaling(deps)), createEcs(deps)],
  });
  await group?.start?.();
  const over = new AbortController();
  const machine = everyInstanceObeys(server.deps.store, over.signal);
  const terraform = await startTerraform(found, server.endpoint, ["ec2", "sts", "iam", "autoscaling", "ecs"]);
  try {
    const configuration = await readFile(new URL("capacity.tf", import.meta.url), "utf8");
    await terraform.apply(configuration);
    const clean = await terraform.plan();
    assert.equal(clean.code, 0, clean.text);
    const outputs = await terraform.outputs();
    assert.match(outputs.instance as string, /^i-[0-9a-f]{17}$/);
    assert.equal(outputs.public, true);
    const changed = configuration
      .replace('instance_type          = "t3.small"', 'instance_type          = "t3.medium"')
      .replace("max_size              = 3", "max_size              = 5")
      .replace("desired_capacity      = 1", "desired_capacity      = 2")
      .replace("target_capacity = 100", "target_capacity = 90")
      .replace('{ Name = "one" }', '{ Name = "two" }');
    await terraform.apply(changed);
    const again = await terraform.plan();
    assert.equal(again.code, 0, again.text);
    await terraform.destroy();
    assert.deepEqual(await terraform.state(), []);
    assert.deepEqual((await server.deps.store.list("/autoscaling/")).entries, []);
  } finally {
    over.abort();
    await machine;
    await group?.stop?.();
    await terraform.remove();
    await server.close();
  }
});
