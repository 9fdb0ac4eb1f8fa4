import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { example } from "./image.ts";
import { only, type QueryClient } from "./query-client.ts";
import { type CleanUps, show, step } from "./steps.ts";

const RoleName = "ecsTaskExecutionRole";
const PolicyArn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";

/** The task execution role, as AWS's tutorial makes it; one that is there stays. Returns its ARN. */
export async function executionRole(iam: QueryClient, cleanUps: CleanUps): Promise<string> {
  step("Make the task execution role: with it Fargate pulls the image", [
    `aws iam create-role --role-name ${RoleName} --assume-role-policy-document file://examples/hello/trust.json`,
    `aws iam attach-role-policy --role-name ${RoleName} --policy-arn ${PolicyArn}`,
  ]);
  const AssumeRolePolicyDocument = await readFile(join(example, "trust.json"), "utf8");
  const made = await iam.call("CreateRole", { RoleName, AssumeRolePolicyDocument }).then(
    () => true,
    (error: { code?: string }) => {
      if (error.code !== "EntityAlreadyExists") throw error;
      return false;
    },
  );
  if (made) {
    cleanUps.add(async () => {
      await iam.call("DetachRolePolicy", { RoleName, PolicyArn }).catch(() => undefined);
      await iam.call("DeleteRole", { RoleName });
    });
    await iam.call("AttachRolePolicy", { RoleName, PolicyArn });
  }
  const arn = only(await iam.call("GetRole", { RoleName }), "Arn");
  show(arn);
  return arn;
}
