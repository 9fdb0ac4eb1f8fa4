/** What a lifecycle policy expires is told as what somebody deletes is. AWS documents one shape for both: ECR User Guide, "Amazon ECR events and EventBridge". */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { CreateLogGroupCommand, PutResourcePolicyCommand } from "@aws-sdk/client-cloudwatch-logs";
import * as Ecr from "@aws-sdk/client-ecr";
import * as Sdk from "@aws-sdk/client-eventbridge";
import { FakeClock } from "#platform/fake-clock.ts";
import { quietMs } from "#services/ecr/lifecycle/reconciler.ts";
import { until } from "../support/until.ts";
import { logGroupArn, logPolicy, openWorld } from "./support.ts";

const clock = new FakeClock(Date.now());
const world = await openWorld({ clock });
const ecr = new Ecr.ECRClient(world.server.sdk());
after(async () => {
  ecr.destroy();
  await world.close();
});

const repositoryName = "team/app";
const group = "/aws/events/ecr";

async function upload(content: string): Promise<{ digest: string; size: number }> {
  const layerPartBlob = Buffer.from(content);
  const digest = `sha256:${createHash("sha256").update(layerPartBlob).digest("hex")}`;
  const { uploadId } = await ecr.send(new Ecr.InitiateLayerUploadCommand({ repositoryName }));
  const part = { repositoryName, uploadId, partFirstByte: 0, partLastByte: layerPartBlob.length - 1, layerPartBlob };
  await ecr.send(new Ecr.UploadLayerPartCommand(part));
  await ecr.send(new Ecr.CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [digest] }));
  return { digest, size: layerPartBlob.length };
}

const mediaType = "application/vnd.oci.image.manifest.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";

async function push(content: string, ...tags: string[]): Promise<string> {
  const config = { mediaType: configType, ...(await upload(content)) };
  const imageManifest = JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] });
  let digest = "";
  for (const imageTag of tags) {
    const { image } = await ecr.send(new Ecr.PutImageCommand({ repositoryName, imageManifest, imageTag }));
    digest = image!.imageId!.imageDigest!;
  }
  await clock.advance(1000);
  return digest;
}

test("images that a lifecycle policy expires are told of, by their tags, and a forced repository is not", async () => {
  await ecr.send(new Ecr.CreateRepositoryCommand({ repositoryName }));
  const old = await push('{"n":1}', "one", "uno");
  await push('{"n":2}', "two");
  await world.logs.send(new PutResourcePolicyCommand({ policyName: "events", policyDocument: logPolicy }));
  await world.logs.send(new CreateLogGroupCommand({ logGroupName: group }));
  await world.events.send(new Sdk.PutRuleCommand({ Name: "images", EventPattern: JSON.stringify({ source: ["aws.ecr"] }) }));
  await world.events.send(new Sdk.PutTargetsCommand({ Rule: "images", Targets: [{ Id: "logs", Arn: logGroupArn(group) }] }));
  const selection = { tagStatus: "any", countType: "imageCountMoreThan", countNumber: 1 };
  const lifecyclePolicyText = JSON.stringify({ rules: [{ rulePriority: 1, selection, action: { type: "expire" } }] });
  await ecr.send(new Ecr.PutLifecyclePolicyCommand({ repositoryName, lifecyclePolicyText }));
  const left = async () => (await ecr.send(new Ecr.DescribeImagesCommand({ repositoryName }))).imageDetails!;
  await until("one image is left", async () => {
    // The reconciler hears of the policy in its own time, and looks a while later.
    if (clock.now() < Date.now() + 2 * quietMs) await clock.advance(quietMs / 4);
    return (await left()).length === 1;
  });
  await ecr.send(new Ecr.DeleteRepositoryCommand({ repositoryName, force: true }));
  const told = await until("two events", async () => {
    // No further than signatures may be off.
    if (clock.now() < Date.now() + 4 * quietMs) await clock.advance(100);
    const lines = await world.lines(group);
    return lines.length >= 2 && lines;
  });
  const shape = { result: "SUCCESS", "repository-name": repositoryName, "image-digest": old, "action-type": "DELETE" };
  const types = { "manifest-media-type": mediaType, "artifact-media-type": configType };
  assert.deepEqual(
    told.map(({ detail }) => detail as Record<string, string>).toSorted((a, b) => a["image-tag"]!.localeCompare(b["image-tag"]!)),
    ["one", "uno"].map((tag) => ({ ...shape, "image-tag": tag, ...types })),
  );
  for (const event of told) assert.deepEqual([event.source, event["detail-type"], event.resources], ["aws.ecr", "ECR Image Action", []]);
});
