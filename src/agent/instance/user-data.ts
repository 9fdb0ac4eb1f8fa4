import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { join } from "node:path";

/** The scripts of a user data, in order: itself, or the parts of a MIME message. Pure. What is no script is named in `ignored`. Source: Amazon EC2 User Guide, "Run commands when you launch an EC2 instance with user data input". */
export function scriptsOf(userData: Buffer): { readonly scripts: readonly string[]; readonly ignored: readonly string[] } {
  const plain = userData[0] === 0x1f && userData[1] === 0x8b ? gunzipSync(userData) : userData;
  const text = plain.toString("utf8");
  if (text.trim() === "") return { scripts: [], ignored: [] };
  const boundary = /^content-type:\s*multipart\/mixed;[\s\S]*?boundary="?([^"\r\n;]+)"?/im.exec(text.slice(0, 2000))?.[1];
  const parts = boundary === undefined ? [text] : text.split(`--${boundary}`).slice(1).map(bodyOf);
  const scripts: string[] = [];
  const ignored: string[] = [];
  for (const part of parts) {
    const script = part.replace(/^\s+(?=#!)/, "");
    if (script.startsWith("#!")) scripts.push(script);
    else if (script.trim() !== "" && script.trim() !== "--") ignored.push(script.trim().split("\n")[0]!.slice(0, 80));
  }
  return { scripts, ignored };
}

/** A part without its headers, decoded. */
function bodyOf(part: string): string {
  const [head = "", ...rest] = part.replace(/^\r?\n/, "").split(/\r?\n\r?\n/);
  const body = rest.join("\n\n");
  return /content-transfer-encoding:\s*base64/i.test(head) ? Buffer.from(body, "base64").toString("utf8") : body;
}

const directory = "/var/lib/cloud/instance";

/** Runs the scripts as root, at the first boot only, as cloud-init does. A script that fails is said on the console, and the boot goes on. */
export async function runUserData(userData: string | undefined, environment: NodeJS.ProcessEnv): Promise<void> {
  const done = join(directory, "boot-finished");
  if (existsSync(done)) return;
  mkdirSync(join(directory, "scripts"), { recursive: true, mode: 0o755 });
  const { scripts, ignored } = scriptsOf(Buffer.from(userData ?? "", "base64"));
  for (const each of ignored) process.stdout.write(`user data: only scripts are run here, this is none: ${each}\n`);
  for (const [at, script] of scripts.entries()) {
    const path = join(directory, "scripts", `part-${String(at + 1).padStart(3, "0")}`);
    writeFileSync(path, script);
    chmodSync(path, 0o700);
    const child = spawn(path, [], { stdio: ["ignore", "inherit", "inherit"], env: environment, cwd: "/" });
    const problem = await new Promise<string | undefined>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code === 0 ? undefined : `it ended with ${signal ?? code}`));
    });
    if (problem) process.stdout.write(`user data: ${path}: ${problem}\n`);
  }
  writeFileSync(done, new Date().toISOString());
}
