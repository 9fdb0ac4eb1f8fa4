/**
 * examples/terraform as its README says it: the repository first, the image, then the rest; a page at the URL; no difference on a second plan; destroyed, and nothing
 * of it left in the store.
 */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { prepareBuild } from "#cli/demo/image.ts";
import { read } from "#cli/demo/steps.ts";
import { repository, type RunningGantry, startGantry } from "../support/gantry.ts";
import { eventually, until } from "../support/until.ts";
import { findTerraform } from "./support.ts";

const found = findTerraform();
const options = { skip: "missing" in found ? found.missing : false, timeout: 690_000 };

let gantry: RunningGantry;
let work: string;
let terraform: (...words: readonly string[]) => Promise<string>;
let untouched: ReadonlySet<string>;

before(async () => {
  if ("missing" in found) return;
  work = await mkdtemp(join(tmpdir(), "gantry-example-"));
  await cp(join(repository, "examples", "terraform"), join(work, "terraform"), {
    recursive: true,
    filter: (name) => !/\.terraform|\.tfstate/.test(name),
  });
  await writeFile(join(work, "terraform.rc"), `provider_installation {\n  filesystem_mirror {\n    path = "${found.mirror}"\n  }\n}\n`);
  // What isolates the tasks is not the question here.
  gantry = await startGantry({ env: { GANTRY_CPU_OVERCOMMIT: "8", GANTRY_FARGATE_RUNTIME: "runc" } });
  const settings = `export TF_CLI_CONFIG_FILE=${work}/terraform.rc CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1; cd ${work}/terraform`;
  const architecture = process.arch === "arm64" ? "export TF_VAR_cpu_architecture=ARM64;" : "";
  terraform = async (...words) => {
    const text = await gantry.shell(`${settings}; ${architecture} terraform ${words.join(" ")} -no-color`, { timeoutMs: 400_000 });
    if (process.env.TF_SHOW) process.stderr.write(text);
    return text;
  };
  // The default VPC and what else comes with the first question is no part of the example.
  await gantry.shell("aws ec2 describe-vpcs >/dev/null");
  untouched = new Set(rows().map(({ key }) => key));
});
after(async () => {
  await gantry?.stop();
  if (work) await rm(work, { recursive: true, force: true });
});

interface Row {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/**
 * All that the server keeps. It has the file for itself: a copy of it, with its log. That is whole unless the log was begun anew meanwhile, which its header says: what it held before is in
 * the file, but perhaps not in the copy.
 */
function rows(): readonly Row[] {
  const copy = (name: string) => copyFileSync(join(gantry.home, name), join(work, name));
  const header = (directory: string) => readFileSync(join(directory, "store.sqlite-wal")).subarray(0, 32);
  for (let whole = false; !whole;) {
    const before = header(gantry.home);
    copy("store.sqlite");
    copy("store.sqlite-wal");
    whole = before.equals(header(work));
  }
  const store = new DatabaseSync(join(work, "store.sqlite"));
  try {
    const all = store.prepare("SELECT key, value FROM entries ORDER BY key").all() as { key: string; value: string }[];
    return all.map(({ key, value }) => ({ key, value: JSON.parse(value) as Row["value"] }));
  } finally {
    store.close();
  }
}

/**
 * What AWS answers of afterwards too: clusters, services and definitions that are INACTIVE, a NAT gateway that is `deleted`, operations, the history of alarms, tasks
 * that stopped for an hour, what they cost. And numbers that count how often something was changed.
 */
const past: readonly { readonly keys: RegExp; readonly holds?: (value: Row["value"]) => boolean }[] = [
  { keys: /^\/ecs\/\d+\/[^/]+\/(cluster|service|task-definition)\//, holds: ({ status }) => status === "INACTIVE" },
  { keys: /^\/ecs\/\d+\/[^/]+\/(deployment|family|service-revision|service-state|client-token)\// },
  { keys: /^\/ecs\/\d+\/[^/]+\/task\//, holds: ({ desiredStatus }) => desiredStatus === "STOPPED" },
  { keys: /^\/ecs\/\d+\/[^/]+\/task-observed\//, holds: ({ lastStatus }) => lastStatus === "STOPPED" },
  { keys: /^\/ec2\/\d+\/[^/]+\/nat-gateway\//, holds: ({ state }) => state === "deleted" },
  { keys: /^\/(ecs-expiry|meter|servicediscovery-operation|cloudwatch-history)\// },
  { keys: /^\/(ec2-use\/(public$|\d+\/[^/]+\/interfaces$)|elb-use\/.*\/version$|iam-changed\/|servicediscovery-changed\/)/ },
];
const isPast = ({ key, value }: Row) => past.some(({ keys, holds }) => keys.test(key) && (holds?.(value) ?? true));

const apply = ["apply", "-auto-approve", "-input=false"];

test("applied: the page is at the URL", options, async () => {
  await terraform("init", "-input=false");
  await terraform(...apply, "-target=aws_ecr_repository.app");
  const target = `${await terraform("output", "-raw", "repository")}:1`;
  await mkdir(join(work, "image"));
  const buildah = await prepareBuild(join(work, "image"));
  await buildah(["bud", "-q", "-t", target, join(work, "image")]);
  const password = await gantry.shell("aws ecr get-login-password");
  await buildah(["login", "--tls-verify=false", "-u", "AWS", "--password-stdin", `localhost:${gantry.port}`], password);
  await buildah(["push", "-q", "--tls-verify=false", target]);
  await terraform(...apply);
  const url = await terraform("output", "-raw", "url");
  // The provider takes a service for steady when its tasks run; the load balancer's checks come a moment later.
  const pages = new Set<string>();
  await until("pages of both", async () => [...pages.add(await read(url))].filter((page) => page !== "").length === 2, { ms: 180_000 });
  for (const page of pages) assert.match(page, /^(Hello from task .*, version 1\n)?$/);
  const [namespace, name] = ["hello.internal", "hello"];
  const services = await gantry.shell(`aws servicediscovery list-services --query "Services[?Name=='${name}'].Id" --output text`);
  const ips = "Instances[].Attributes.AWS_INSTANCE_IPV4";
  const found = await gantry.shell(`aws servicediscovery list-instances --service-id ${services.trim()} --query '${ips}' --output text`);
  assert.equal(found.trim().split(/\s+/).length, 2, found);
  assert.equal(await terraform("output", "-raw", "discovery"), `${name}.${namespace}`);
});

test("a second plan has no difference", options, async () => {
  assert.match(await terraform("plan", "-input=false", "-detailed-exitcode"), /No changes/);
});

test("destroyed in the middle of a deployment: nothing of it is left", options, async () => {
  const service = join(work, "terraform", "service.tf");
  const text = await readFile(service, "utf8");
  // Its tasks are never healthy, nor unhealthy for five minutes: the deployment goes on until it is destroyed.
  let changed = text;
  for (const [before, after] of [
    ["wait_for_steady_state = true", "wait_for_steady_state = false"],
    ['name = "CLUSTER"', 'name = "CHANGED"'],
    ["http://127.0.0.1:8080/", "http://127.0.0.1:8081/"],
    ["startPeriod = 5", "startPeriod = 300"],
  ] as const) {
    changed = changed.replace(before, after);
    assert.ok(changed.includes(after), after);
  }
  await writeFile(service, changed);
  await terraform(...apply);
  const deployments = await gantry.shell(
    "aws ecs describe-services --cluster hello --services hello --query 'services[0].deployments[].rolloutState' --output text",
  );
  assert.match(deployments, /^IN_PROGRESS\tCOMPLETED$/m);
  await terraform("destroy", "-auto-approve", "-input=false");
  assert.equal((await terraform("state", "list")).trim(), "");
  const left = () => rows().filter((row) => !untouched.has(row.key) && !isPast(row));
  await eventually("nothing of it is left", () => assert.deepEqual(left(), []), { every: 500 });
});
