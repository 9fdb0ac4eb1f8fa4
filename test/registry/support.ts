/** The registry behind a real front door, and a client that says exactly what a test wants said. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import type { ServerPart } from "#api/contract.ts";
import { createEcr } from "#services/ecr/index.ts";
import type { Clock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import { startServer, type TestServer } from "#test/support/http.ts";

export const digestOf = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  docker: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
};

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** Code of the first error of an OCI error body. */
  readonly code: string | undefined;
  json<T>(): T;
}

export interface Call {
  readonly headers?: Record<string, string | number>;
  readonly body?: Uint8Array | string;
  readonly auth?: string | undefined;
  /** Sends the body chunked, in these pieces. */
  readonly pieces?: readonly Uint8Array[];
}

export interface TestRegistry {
  readonly server: TestServer;
  readonly client: ECRClient;
  readonly password: string;
  readonly part: ServerPart;
  call(method: string, path: string, options?: Call): Promise<Reply>;
  pushBlob(repository: string, bytes: Uint8Array | string): Promise<string>;
  /** Pushes config and layers and the manifest; resolves with the manifest's digest. */
  pushImage(
    repository: string,
    reference: string,
    layers?: readonly (Uint8Array | string)[],
    extra?: Record<string, unknown>,
  ): Promise<string>;
  close(): Promise<void>;
}

export interface Options {
  readonly open?: boolean;
  readonly config?: Partial<Config>;
  readonly clock?: Clock;
  readonly metrics?: MetricSink;
}

export async function startRegistry(options: Options = {}): Promise<TestRegistry> {
  const { metrics, ...more } = options;
  let part: ServerPart | undefined;
  const server = await startServer({ parts: (deps) => [(part = createEcr({ ...deps, ...(metrics ? { metrics } : {}) }))], ...more });
  const client = new ECRClient(server.sdk());
  const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}));
  const password = Buffer.from(authorizationData![0]!.authorizationToken!, "base64").toString().slice("AWS:".length);
  const basic = `Basic ${Buffer.from(`AWS:${password}`).toString("base64")}`;
  const registry: TestRegistry = {
    server,
    client,
    password,
    part: part!,
    call: (method, path, call = {}) => raw(server.port, method, path, { ...call, auth: "auth" in call ? call.auth : basic }),
    async pushBlob(repository, bytes) {
      const digest = digestOf(bytes);
      const { status, text } = await registry.call("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
      assert.equal(status, 201, text);
      return digest;
    },
    async pushImage(repository, reference, layers = ["layer"], extra = {}) {
      const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: layers.map(digestOf) } });
      for (const blob of [config, ...layers]) await registry.pushBlob(repository, blob);
      const manifest = JSON.stringify({
        schemaVersion: 2,
        mediaType: types.manifest,
        config: { mediaType: types.config, digest: digestOf(config), size: config.length },
        layers: layers.map((layer) => ({ mediaType: types.layer, digest: digestOf(layer), size: layer.length })),
        ...extra,
      });
      const { status, text, headers } = await registry.call("PUT", `/v2/${repository}/manifests/${reference || digestOf(manifest)}`, {
        body: manifest,
        headers: { "content-type": types.manifest },
      });
      assert.equal(status, 201, text);
      assert.equal(headers["docker-content-digest"], digestOf(manifest));
      return digestOf(manifest);
    },
    async close() {
      client.destroy();
      await server.close();
    },
  };
  return registry;
}

/** One request, its path sent as it is. */
export function raw(port: number, method: string, path: string, { headers = {}, body, auth, pieces }: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body as string) };
    const all = { ...length, ...(auth ? { authorization: auth } : {}), ...headers };
    const outgoing = request({ host: "127.0.0.1", port, method, path, headers: all }, (incoming) => {
      const received: Buffer[] = [];
      incoming.on("data", (piece: Buffer) => received.push(piece));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const bytes = Buffer.concat(received);
        const text = bytes.toString();
        let code: string | undefined;
        try {
          code = (JSON.parse(text) as { errors?: { code: string }[] }).errors?.[0]?.code;
        } catch {}
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: bytes,
          text,
          code,
          json: () => JSON.parse(text) as never,
        });
      });
    });
    outgoing.on("error", reject);
    for (const piece of pieces ?? []) outgoing.write(piece);
    outgoing.end(body);
  });
}
