/** Real Terraform with the real AWS provider, where this machine has both: from a mirror in the file system, so that no registry is asked. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { accessKeyId, secretAccessKey } from "../support/http.ts";

const provider = "registry.terraform.io/hashicorp/aws";
/** Where a mirror may be; `TF_PLUGIN_MIRROR` names another. */
const mirrors = [process.env.TF_PLUGIN_MIRROR, "/opt/tf-plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins"];

interface Found {
  readonly terraform: string;
  readonly mirror: string;
  readonly version: string;
}

/** The binary and the mirror with its newest provider of major version 5, or what is missing. */
export function findTerraform(): Found | { readonly missing: string } {
  const terraform = (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "terraform"))
    .find((file) => existsSync(file));
  if (!terraform) return { missing: "no terraform on PATH" };
  for (const mirror of mirrors) {
    if (mirror === undefined || !existsSync(join(mirror, provider))) continue;
    const version = readdirSync(join(mirror, provider))
      .filter((name) => name.startsWith("5."))
      .toSorted((a, b) => a.localeCompare(b, undefined, { numeric: true }))
      .at(-1);
    if (version !== undefined) return { terraform, mirror, version };
  }
  return { missing: `no provider hashicorp/aws 5.x in a mirror (${mirrors.filter(Boolean).join(", ")}); name one by TF_PLUGIN_MIRROR` };
}

export interface Terraform {
  /** Writes the configuration, modules by their names, and applies it. A module's outputs are the output of its name. */
  apply(modules: ReadonlyMap<string, string>): Promise<void>;
  /** 0: nothing to do, 2: there is. The text says what. */
  plan(): Promise<{ readonly code: number; readonly text: string }>;
  outputs(): Promise<Record<string, unknown>>;
  /** Ids and names of all that it keeps. */
  state(): Promise<string[]>;
  destroy(): Promise<void>;
  remove(): Promise<void>;
}

export async function startTerraform(
  { terraform, mirror, version }: Found,
  endpoint: string,
  services: readonly string[],
): Promise<Terraform> {
  const directory = await mkdtemp(join(tmpdir(), "gantry-terraform-"));
  const rc = join(directory, "terraform.rc");
  await writeFile(rc, `provider_installation {\n  filesystem_mirror {\n    path = "${mirror}"\n  }\n}\n`);
  await writeFile(
    join(directory, "provider.tf"),
    `terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "${version}" }
  }
}
provider "aws" {
  region = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
${services.map((service) => `    ${service} = "${endpoint}"`).join("\n")}
  }
}
`,
  );
  const env: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: directory,
    TF_CLI_CONFIG_FILE: rc,
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "2",
    TF_LOG: process.env.TF_LOG,
    TF_LOG_PATH: process.env.TF_LOG_PATH,
  };
  const run = (...args: string[]) =>
    new Promise<{ code: number; text: string }>((resolve, reject) => {
      execFile(terraform, args, { cwd: directory, env, timeout: 500_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === "number") resolve({ code, text: stdout + stderr });
        else reject(new Error(`terraform ${args.join(" ")}: ${error?.message}\n${stdout}${stderr}`));
      });
    });
  const good = async (...args: string[]) => {
    const { code, text } = await run(...args);
    if (code !== 0) throw new Error(`terraform ${args.join(" ")} ended with ${code}:\n${text}`);
    if (process.env.TF_SHOW) process.stderr.write(text);
    return text;
  };
  let initialized = false;
  const common = ["-input=false", "-no-color", "-auto-approve", "-parallelism=20"];
  return {
    async apply(modules) {
      const names = [...modules.keys()];
      for (const [name, configuration] of modules) {
        await mkdir(join(directory, name), { recursive: true });
        await writeFile(join(directory, name, "main.tf"), configuration);
      }
      const root = names.map(
        (name) => `module "${name}" { source = "./${name}" }\noutput "${name}" {\n  value     = module.${name}\n  sensitive = true\n}\n`,
      );
      await writeFile(join(directory, "main.tf"), root.join(""));
      if (!initialized) await good("init", "-input=false", "-no-color");
      initialized = true;
      await good("apply", ...common);
    },
    plan: () => run("plan", "-input=false", "-no-color", "-detailed-exitcode"),
    async outputs() {
      const all = JSON.parse(await good("output", "-json")) as Record<string, { value: unknown }>;
      return Object.fromEntries(Object.entries(all).map(([name, { value }]) => [name, value]));
    },
    state: async () => (await good("state", "list")).split("\n").filter((line) => line !== ""),
    async destroy() {
      await good("destroy", ...common);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
