import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Blob, TestImage } from "./image.ts";

/** Debian's docker-registry on a free port, with everything in `directory`. */
export interface RealRegistry {
  readonly host: string;
  push(repository: string, tag: string, image: TestImage): Promise<void>;
  pushManifest(repository: string, reference: string, manifest: Blob & { mediaType: string }): Promise<void>;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export async function startRegistry(directory: string, login?: { username: string; password: string }): Promise<RealRegistry> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const config: string[] = [
    "version: 0.1",
    "log: {level: error, accesslog: {disabled: true}}",
    `storage: {filesystem: {rootdirectory: ${join(directory, "data")}}, delete: {enabled: true}}`,
    `http: {addr: "127.0.0.1:${port}"}`,
  ];
  if (login) {
    // bcrypt by the system's crypt(3), so that no htpasswd program is needed.
    const hash = spawnSync("perl", ["-e", "print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))", login.password], { encoding: "utf8" });
    writeFileSync(join(directory, "htpasswd"), `${login.username}:${hash.stdout}\n`);
    config.push(`auth: {htpasswd: {realm: test, path: ${join(directory, "htpasswd")}}}`);
  }
  writeFileSync(join(directory, "config.yml"), config.join("\n"));
  const child: ChildProcess = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
    stdio: "ignore",
    env: { ...process.env, OTEL_TRACES_EXPORTER: "none" },
  });
  const host = `127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt++) {
    if (
      await fetch(`http://${host}/v2/`).then(
        (answer) => answer.status < 500,
        () => false,
      )
    )
      break;
    if (attempt > 200) throw new Error("docker-registry does not answer");
    await delay(50);
  }
  const authorization: Record<string, string> = login ? { authorization: `Basic ${btoa(`${login.username}:${login.password}`)}` } : {};
  const upload = async (repository: string, { digest, bytes }: Blob) => {
    const started = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: "POST", headers: authorization });
    const location = new URL(started.headers.get("location") ?? "", `http://${host}`);
    location.searchParams.set("digest", digest);
    const done = await fetch(location, {
      method: "PUT",
      headers: { ...authorization, "content-type": "application/octet-stream" },
      body: new Uint8Array(bytes),
    });
    if (done.status !== 201) throw new Error(`upload: ${done.status} ${await done.text()}`);
  };
  const pushManifest: RealRegistry["pushManifest"] = async (repository, reference, manifest) => {
    const headers = { ...authorization, "content-type": manifest.mediaType };
    const done = await fetch(`http://${host}/v2/${repository}/manifests/${reference}`, {
      method: "PUT",
      headers,
      body: new Uint8Array(manifest.bytes),
    });
    if (done.status !== 201) throw new Error(`manifest: ${done.status} ${await done.text()}`);
  };
  return {
    host,
    async push(repository, tag, image) {
      for (const entry of image.blobs) await upload(repository, entry);
      await pushManifest(repository, tag, image.manifest);
    },
    pushManifest,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}
