/** Push and pull of one 1 GiB layer and of 200 layers of 64 KiB: the same client against our server and Debian's docker-registry, in turns. */
import { spawn } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { Agent, type IncomingMessage, request, type RequestOptions } from "node:http";
import { join } from "node:path";
import { answers, end, freePort, has, median, missing, report, run, startServer, temporary } from "./support.ts";

export const name = "registry";

const rounds = Number(process.env.ROUNDS ?? 3);
const repository = "bench";
/** As skopeo, buildah and docker do it. */
const atOnce = 6;

interface Layer {
  readonly digest: string;
  readonly bytes: Buffer;
}

interface Answer {
  readonly status: number;
  readonly location: string;
  readonly body: IncomingMessage;
}

/** What a container tool does, in few lines: asks, begins, streams, completes; on the way back checks each digest. */
class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  readonly #endpoint: string;
  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  async push(layers: readonly Layer[]): Promise<string> {
    const config = layerOf(Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", made: Math.random() })));
    await each([...layers, config], (layer) => this.#pushLayer(layer));
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: config.digest, size: config.bytes.length },
      layers: layers.map(({ digest, bytes }) => ({ mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: bytes.length })),
    });
    const headers = { "content-type": "application/vnd.oci.image.manifest.v1+json", "content-length": Buffer.byteLength(manifest) };
    await this.#expect(201, "PUT", `/v2/${repository}/manifests/latest`, headers, Buffer.from(manifest));
    return manifest;
  }

  async pull(): Promise<void> {
    const pieces: Buffer[] = [];
    const accept = { accept: "application/vnd.oci.image.manifest.v1+json" };
    for await (const piece of (await this.#send("GET", `/v2/${repository}/manifests/latest`, accept)).body) pieces.push(piece as Buffer);
    const manifest = JSON.parse(Buffer.concat(pieces).toString()) as { config: { digest: string }; layers: { digest: string }[] };
    await each([manifest.config, ...manifest.layers], async ({ digest }) => {
      const hash = createHash("sha256");
      const { body } = await this.#send("GET", `/v2/${repository}/blobs/${digest}`);
      body.on("data", (piece: Buffer) => hash.update(piece));
      await once(body, "end");
      if (`sha256:${hash.digest("hex")}` !== digest) throw new Error(`pulled something else than ${digest}`);
    });
  }

  async #pushLayer({ digest, bytes }: Layer): Promise<void> {
    const { status, body } = await this.#send("HEAD", `/v2/${repository}/blobs/${digest}`);
    body.resume();
    if (status !== 404) throw new Error(`a layer that was never pushed is there: ${status}`);
    const begun = await this.#expect(202, "POST", `/v2/${repository}/blobs/uploads/`, { "content-length": 0 });
    const patched = await this.#expect(202, "PATCH", begun, { "content-type": "application/octet-stream" }, bytes);
    await this.#expect(201, "PUT", `${patched}${patched.includes("?") ? "&" : "?"}digest=${digest}`, { "content-length": 0 });
  }

  async #expect(status: number, method: string, path: string, headers: RequestOptions["headers"], body?: Buffer): Promise<string> {
    const answer = await this.#send(method, path, headers, body);
    const pieces: Buffer[] = [];
    for await (const piece of answer.body) pieces.push(piece as Buffer);
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${Buffer.concat(pieces).toString()}`);
    return answer.location;
  }

  #send(method: string, path: string, headers: RequestOptions["headers"] = {}, body?: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.#endpoint), { method, headers, agent: this.#agent }, (incoming) =>
        resolve({ status: incoming.statusCode ?? 0, location: incoming.headers.location ?? "", body: incoming }),
      );
      outgoing.on("error", reject);
      if (!body) {
        outgoing.end();
        return;
      }
      // In pieces, as from a file, and no faster than they leave.
      let at = 0;
      const more = () => {
        while (at < body.length) {
          const piece = body.subarray(at, at + (256 << 10));
          at += piece.length;
          if (!outgoing.write(piece)) {
            outgoing.once("drain", more);
            return;
          }
        }
        outgoing.end();
      };
      more();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const worker = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

function layerOf(bytes: Buffer): Layer {
  return { bytes, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

async function createRepository(endpoint: string): Promise<void> {
  const date = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
      "x-amz-date": date,
      authorization: `AWS4-HMAC-SHA256 Credential=test/${date.slice(0, 8)}/us-east-1/ecr/aws4_request, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`,
    },
    body: JSON.stringify({ repositoryName: repository }),
  });
  if (!response.ok) throw new Error(`CreateRepository: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

async function startPeer(directory: string): Promise<{ endpoint: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const config = join(directory, "config.yml");
  // Debian's configuration, but for the place.
  await writeFile(
    config,
    `version: 0.1\nlog: { level: error, accesslog: { disabled: true } }\nstorage:\n  cache: { blobdescriptor: inmemory }\n  filesystem: { rootdirectory: ${join(directory, "peer")} }\nhttp:\n  addr: 127.0.0.1:${port}\n`,
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", "ignore", "ignore"] });
  await answers(`http://127.0.0.1:${port}/v2/`, 20_000);
  return { endpoint: `http://127.0.0.1:${port}`, stop: () => end(child) };
}

async function main(): Promise<void> {
  const cases = [
    { what: "one layer of 1 GiB", count: 1, size: Number(process.env.LAYER_MIB ?? 1024) * 2 ** 20 },
    { what: "200 layers of 64 KiB", count: 200, size: 64 << 10 },
  ];
  if (!(await has("docker-registry"))) {
    for (const { what } of cases) for (const way of ["push", "pull"]) missing(`${way} of ${what}`, "docker-registry");
    return;
  }
  await using directory = await temporary("registry");
  await using server = await startServer();
  const peer = await startPeer(directory.path);
  try {
    await createRepository(server.endpoint);
    for (const { what, count, size } of cases) {
      const taken = { ours: { push: [] as number[], pull: [] as number[] }, peer: { push: [] as number[], pull: [] as number[] } };
      const layers = Array.from({ length: count }, () => randomFillSync(Buffer.allocUnsafe(size)));
      for (let round = 0; round < rounds; round++) {
        for (const layer of layers) randomFillSync(layer, 0, 16);
        const known = layers.map(layerOf);
        const turns = [
          { endpoint: server.endpoint, times: taken.ours },
          { endpoint: peer.endpoint, times: taken.peer },
        ];
        if (round % 2 === 1) turns.reverse();
        for (const { endpoint, times } of turns) {
          const client = new Client(endpoint);
          // What the last run left for the disk is not this one's.
          await run("sync", []);
          let began = performance.now();
          await client.push(known);
          times.push.push(performance.now() - began);
          await run("sync", []);
          for (let again = 0; again < 3; again++) {
            began = performance.now();
            await client.pull();
            times.pull.push(performance.now() - began);
          }
          client.close();
        }
      }
      for (const way of ["push", "pull"] as const)
        report({
          bench: `${way} of ${what}`,
          ours: median(taken.ours[way]),
          peer: median(taken.peer[way]),
          peerName: "docker-registry",
          unit: "ms",
          bound: { most: 1 },
        });
    }
  } finally {
    await peer.stop();
  }
}

await main();
