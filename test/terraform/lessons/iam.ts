/** Users, groups, roles and policies. */
import assert from "node:assert/strict";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import type { Lesson } from "./lesson.ts";
import { account } from "../../iam/support.ts";
import { fileOf, keysBelow } from "./lesson.ts";

let ann: STSClient | undefined;

export const iam: Lesson = {
  name: "iam",
  services: ["sts", "iam"],
  configuration: () => fileOf("iam.tf"),
  changed: (text) =>
    text
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
      .replace("990f41", "000f41"),
  async applied({ key, ...outputs }, server) {
    assert.deepEqual(outputs, {
      account,
      role: `arn:aws:iam::${account}:role/app/task`,
      profile: `arn:aws:iam::${account}:instance-profile/node`,
      linked: `arn:aws:iam::${account}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService`,
      provider: `arn:aws:iam::${account}:oidc-provider/token.example.com`,
    });
    const { id, secret } = key as { id: string; secret: string };
    ann = new STSClient({ ...server.sdk(), credentials: { accessKeyId: id, secretAccessKey: secret } });
    assert.equal((await ann.send(new GetCallerIdentityCommand())).Arn, `arn:aws:iam::${account}:user/people/ann`);
  },
  async afterChange() {
    await assert.rejects(ann!.send(new GetCallerIdentityCommand()), { name: "InvalidClientTokenId" });
  },
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/iam"), [`/iam-changed/${account}`]);
  },
  async close() {
    ann?.destroy();
  },
};
