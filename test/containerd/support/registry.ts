import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../../support/until.ts";
import type { Blob, TestImage } from "./image.ts";

/** Debian's docker-registry on a free port, with everything in `directory`. */
export interface RealRegistry {
  readonly host: string;
  push(repository: string, tag: string, image: TestImage): Promise<void>;
  pushManifest(repository: string, reference: string, manifest: Blob & { mediaType: string }): Promise<void>;
  stop(): Promise<void>;
}

export async function startRegistry(directory: string, login?: { username: string; password: string }): Promise<RealRegistry> {
  mkdirSync(directory, { recursive: true });
  const config: string[] = [
    "version: 0.1",
    "log: {level: info, accesslog: {disabled: true}}",
    `storage: {filesystem: {rootdirectory: ${join(directory, "data")}}, delete: {enabled: true}}`,
    'http: {addr: "127.0.0.1:0"}',
  ];
  if (login) {
    // bcrypt by the system's crypt(3), so that no htpasswd program is needed.
    const hash = spawnSync("perl", ["-e", "print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))", login.password], { encoding: "utf8" });
    writeFileSync(join(directory, "htpasswd"), `${login.username}:${hash.stdout}\n`);
    config.push(`auth: {htpasswd: {realm: test, path: ${join(directory, "htpasswd")}}}`);
  }
  writeFileSync(join(directory, "config.yml"), config.join("\n"));
  const child: ChildProcess = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, OTEL_TRACES_EXPORTER: "none" },
  });
  // The kernel's choice of a port, as it says: one that is looked for before may be another's by then.
  const host = await new Promise<string>((resolve, reject) => {
    const lines = createInterface({ input: child.stderr! });
    lines.on("line", (line) => {
      const [, address] = /listening on (127\.0\.0\.1:\d+)/.exec(line) ?? [];
      if (address) resolve(address);
    });
    lines.once("close", () => reject(new Error("docker-registry ended while it started")));
  });
  await eventually("docker-registry answers", async () => {
    const answer = await fetch(`http://${host}/v2/`);
    await answer.arrayBuffer();
    if (answer.status >= 500) throw new Error(`${answer.status}`);
  });
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
