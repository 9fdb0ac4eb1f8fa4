/** Identities and policies by real Terraform: applied, planned clean, changed, destroyed, and nothing of them left. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { account, startIam } from "../iam/support.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;
const source = new URL("iam.tf", import.meta.url);

test(
  "Terraform applies users, groups, roles and policies, plans clean, changes them, destroys them",
  { skip, timeout: 600_000 },
  async () => {
    assert.ok("terraform" in found);
    const iam = await startIam();
    const terraform = await startTerraform(found, iam.server.endpoint, ["sts", "iam"]);
    try {
      const configuration = await readFile(source, "utf8");
      await terraform.apply(configuration);
      const clean = await terraform.plan();
      assert.equal(clean.code, 0, clean.text);
      const { key, ...outputs } = await terraform.outputs();
      assert.deepEqual(outputs, {
        account,
        role: `arn:aws:iam::${account}:role/app/task`,
        profile: `arn:aws:iam::${account}:instance-profile/node`,
        linked: `arn:aws:iam::${account}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS`,
        provider: `arn:aws:iam::${account}:oidc-provider/token.example.com`,
      });
      const { id, secret } = key as { id: string; secret: string };
      const ann = iam.as({ accessKeyId: id, secretAccessKey: secret });
      assert.equal((await ann.sts.send(new GetCallerIdentityCommand())).Arn, `arn:aws:iam::${account}:user/people/ann`);

      const changed = configuration
        .replaceAll('team = "a"', 'team = "b", more = "c"')
        .replace('"ecs:List*"]', '"ecs:List*", "ecr:Describe*"]')
        .replace('description          = "of tasks"', 'description          = "of all tasks"')
        .replace("max_session_duration = 7200", "max_session_duration = 3600")
        .replace("  permissions_boundary = aws_iam_policy.read.arn\n", "")
        .replace('"logs:PutLogEvents"', '["logs:PutLogEvents", "logs:CreateLogStream"]')
        .replace('status = "Active"', 'status = "Inactive"')
        .replace('name          = "ann"\n  path          = "/people/"', 'name          = "anna"\n  path          = "/staff/"')
        .replace('name = "devs"\n  path', 'name = "makers"\n  path')
        .replace("role = aws_iam_role.people.name", "role = aws_iam_role.task.name")
        .replace('["sts.amazonaws.com"]', '["sts.amazonaws.com", "other"]')
        .replace("990f41", "000f41");
      await terraform.apply(changed);
      const again = await terraform.plan();
      assert.equal(again.code, 0, again.text);
      await assert.rejects(ann.sts.send(new GetCallerIdentityCommand()), { name: "InvalidClientTokenId" });

      await terraform.destroy();
      assert.deepEqual(await terraform.state(), []);
      const left = (await iam.server.deps.store.list("/iam")).entries.map(({ key: each }) => each);
      assert.deepEqual(left, [`/iam-changed/${account}`]);
    } finally {
      await terraform.remove();
      await iam.close();
    }
  },
);
