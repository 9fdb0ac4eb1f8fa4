import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { type Gantry, run, temporary } from "./support.ts";

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Makes an OCI image of one layer out of a tar and pushes it with skopeo into our registry; `reference` is `host:port/repository:tag`. */
export async function pushRoot(
  tar: string,
  reference: string,
  gantry: Pick<Gantry, "endpoint"> & { readonly credentials?: Keys },
): Promise<void> {
  await using layout = await temporary("layout");
  const blobs = join(layout.path, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (bytes: Buffer | string) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, digest), bytes);
    return { digest: `sha256:${digest}`, size: Buffer.byteLength(bytes) };
  };
  const layer = await put(await readFile(tar));
  const config = await put(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Env: ["PATH=/bin"] },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    }),
  );
  const manifest = await put(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer }],
    }),
  );
  await writeFile(join(layout.path, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    join(layout.path, "index.json"),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          ...manifest,
          annotations: { "org.opencontainers.image.ref.name": "latest" },
        },
      ],
    }),
  );
  const ecr = new ECRClient({
    endpoint: gantry.endpoint,
    region: "us-east-1",
    credentials: gantry.credentials ?? { accessKeyId: "test", secretAccessKey: "test" },
  });
  const repositoryName = /^[^/]+\/(.+):[^:/]+$/.exec(reference)?.[1];
  if (!repositoryName) throw new Error(`not host:port/repository:tag: ${reference}`);
  await ecr.send(new CreateRepositoryCommand({ repositoryName }));
  const token = gantry.credentials && (await ecr.send(new GetAuthorizationTokenCommand({}))).authorizationData![0]!.authorizationToken!;
  const login = token === undefined ? "AWS:open" : Buffer.from(token, "base64").toString();
  await run("skopeo", ["copy", "--dest-tls-verify=false", "--dest-creds", login, `oci:${layout.path}:latest`, `docker://${reference}`]);
}
