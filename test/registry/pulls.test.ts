/** AWS/ECR RepositoryPullCount: one for each image that was pulled, whatever its platform, and none for what was only looked at. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateRepositoryCommand } from "@aws-sdk/client-ecr";
import type { Measurement } from "#platform/metric-sink.ts";
import { until } from "../support/until.ts";
import { startRegistry, types } from "./support.ts";

test("a pull counts once: of an index the manifest that follows it, not a HEAD, not a layer", async () => {
  const told: (Measurement & { readonly namespace: string; readonly account: string })[] = [];
  const registry = await startRegistry({
    metrics: { put: ({ account }, namespace, data) => void told.push(...data.map((each) => ({ ...each, namespace, account }))) },
  });
  try {
    await registry.client.send(new CreateRepositoryCommand({ repositoryName: "team/app" }));
    const digest = await registry.pushImage("team/app", "one");
    const image = await registry.call("GET", `/v2/team/app/manifests/one`);
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: types.index,
      manifests: [{ mediaType: types.manifest, digest, size: image.body.length, platform: { os: "linux", architecture: "amd64" } }],
    });
    const headers = { "content-type": types.index };
    assert.equal((await registry.call("PUT", "/v2/team/app/manifests/all", { body: index, headers })).status, 201);
    told.length = 0;

    const accept = { headers: { accept: `${types.index}, ${types.manifest}` } };
    assert.equal((await registry.call("HEAD", "/v2/team/app/manifests/all", accept)).status, 200);
    assert.equal((await registry.call("GET", "/v2/team/app/manifests/all", accept)).status, 200);
    assert.equal((await registry.call("GET", `/v2/team/app/manifests/${digest}`, accept)).status, 200);
    assert.equal((await registry.call("GET", "/v2/team/app/manifests/one", accept)).status, 200);
    assert.equal((await registry.call("GET", "/v2/team/app/manifests/none", accept)).status, 404);
    await until("both are told", () => told.length >= 2);
    assert.deepEqual(
      told.map(({ namespace, account, name, unit, values, dimensions }) => ({ namespace, account, name, unit, values, dimensions })),
      Array.from({ length: 2 }, () => ({
        ...{ namespace: "AWS/ECR", account: "000000000000", name: "RepositoryPullCount", unit: "Count", values: [1] },
        dimensions: { RepositoryName: "team/app" },
      })),
    );
  } finally {
    await registry.close();
  }
});
