import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, readConfig } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { awsClient, endpointOf } from "../commands.ts";
import { down } from "../down.ts";
import { effectiveConfig, runningState } from "../supervisor.ts";
import { up } from "../up.ts";
import { prepareBuild } from "./image.ts";
import { queryClient } from "./query-client.ts";
import { serviceRoad } from "./service.ts";
import { CleanUps, show, step } from "./steps.ts";
import { taskRoad } from "./task.ts";

/**
 * `gantry demo`: examples/hello along the whole road, on a Gantry of its own (a temporary home, a free port), or on the one that is running. Whatever
 * happens, what the demo made is removed, unless it is to be kept and all went well. Returns the exit code.
 */
export async function demo({ keep }: { readonly keep: boolean }): Promise<number> {
  const wanted = effectiveConfig(readConfig(process.env));
  const interrupted = new Promise<number>((resolve) => process.once("SIGINT", () => resolve(130)));
  if (runningState(wanted.home)) {
    process.stdout.write(`Gantry is running at ${endpointOf(wanted)}: the demo uses it.\n`);
    return road(wanted, { name: "demo-hello", keep, interrupted });
  }
  const home = await mkdtemp(join(tmpdir(), "gantry-demo-"));
  // Six tasks during the update, on however small a machine: they share its CPU.
  process.env.GANTRY_CPU_OVERCOMMIT ??= "8";
  const config = readConfig({ ...process.env, GANTRY_HOME: home, GANTRY_PORT: String(await freePort()) });
  let code = 1;
  try {
    step("Start Gantry: containerd, the server and this machine's agent", ["./gantry up --detach"]);
    if ((await up(config, { detach: true, containerd: undefined })) !== 0) return 1;
    return (code = await road(config, { name: "hello", keep, interrupted }));
  } finally {
    if (keep && code === 0) {
      const named = `GANTRY_HOME=${home}`;
      process.stdout.write(
        `\nIt goes on running. Before the commands above: eval "$(${named} ./gantry env)"\nTo take all of it down: ${named} ./gantry down --all\n`,
      );
    } else {
      step("Stop everything and clean up", ["./gantry down --all"]);
      await down(config, { all: true });
      await rm(home, { recursive: true, force: true });
      process.stdout.write(
        '\nNext: ./gantry demo --keep leaves it running; or ./gantry up --detach && eval "$(./gantry env)", then the steps above with your own Dockerfile. README.md has a tour.\n',
      );
    }
  }
}

/** Build, push, a task, a service behind a load balancer, an update; then what it made is removed. */
async function road(
  config: Config,
  { name, keep, interrupted }: { readonly name: string; readonly keep: boolean; readonly interrupted: Promise<number> },
): Promise<number> {
  const identity = await loadIdentity(config.home, systemRandom);
  const ecr = awsClient(config, identity, "ecr");
  const ecs = awsClient(config, identity, "ecs");
  const logs = awsClient(config, identity, "logs");
  const work = await mkdtemp(join(tmpdir(), "gantry-hello-"));
  const registry = `localhost:${config.port}`;
  const repository = `${registry}/${name}`;
  const cleanUps = new CleanUps();
  const began = performance.now();

  const walk = async (): Promise<number> => {
    step("Build the image out of examples/hello/Dockerfile", [
      "cp /bin/busybox examples/hello/",
      `buildah bud -t ${repository}:1 examples/hello`,
    ]);
    const buildah = await prepareBuild(work);
    const build = (version: string) => buildah(["bud", "-q", "--build-arg", `VERSION=${version}`, "-t", `${repository}:${version}`, work]);
    const push = (version: string) => buildah(["push", "-q", "--tls-verify=false", `${repository}:${version}`]);
    await build("1");

    step("Create a repository and log in", [
      `aws ecr create-repository --repository-name ${name}`,
      `aws ecr get-login-password | buildah login --tls-verify=false --username AWS --password-stdin ${registry}`,
    ]);
    const made = await ecr.call("CreateRepository", { repositoryName: name }).then(
      () => true,
      (error: { code?: string }) => {
        if (error.code !== "RepositoryAlreadyExistsException") throw error;
        return false;
      },
    );
    if (made) cleanUps.add(() => ecr.call("DeleteRepository", { repositoryName: name, force: true }));
    const { authorizationData } = await ecr.call<{ authorizationData: [{ authorizationToken: string }] }>("GetAuthorizationToken", {});
    const [, password = ""] = Buffer.from(authorizationData[0].authorizationToken, "base64").toString().split(/:(.*)/s);
    await buildah(["login", "--tls-verify=false", "--username", "AWS", "--password-stdin", registry], password);

    step("Push", [`buildah push --tls-verify=false ${repository}:1`]);
    await push("1");
    const { imageDetails } = await ecr.call<{ imageDetails: [{ imageDigest: string; imageSizeInBytes: number }] }>("DescribeImages", {
      repositoryName: name,
      imageIds: [{ imageTag: "1" }],
    });
    show(`${imageDetails[0].imageDigest}, ${(imageDetails[0].imageSizeInBytes / 1e6).toFixed(1)} MB`);

    const left = await taskRoad({ config, ecs, logs, image: `${repository}:1` }, cleanUps);
    const { good: served, url } = await serviceRoad(
      {
        config,
        ecs,
        ec2: queryClient(config, identity, "ec2"),
        elb: queryClient(config, identity, "elasticloadbalancing"),
        iam: queryClient(config, identity, "iam"),
        repository,
        name,
        publish: async (version) => {
          await build(version);
          await push(version);
        },
      },
      cleanUps,
    );
    const good = left && served;
    const took = ((performance.now() - began) / 1000).toFixed(1);
    process.stdout.write(`\n${good ? "The whole road" : "The road was NOT whole"}: ${took} s from Dockerfile to ${url}\n`);
    lookAround(name, url);
    return good ? 0 : 1;
  };

  let code = 1;
  try {
    return (code = await Promise.race([walk(), interrupted]));
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    process.stderr.write(`\ngantry demo: ${stderr?.trim() || message}\n`);
    return 1;
  } finally {
    if (!(keep && code === 0)) await cleanUps.run();
    await rm(work, { recursive: true, force: true });
  }
}

function lookAround(name: string, url: string): void {
  step("Look around, as long as it runs (`./gantry demo --keep`)", [
    `curl ${url}`,
    `aws ecs describe-services --services ${name} --query 'services[0].events[:5].message'`,
    "aws elbv2 describe-target-health --target-group-arn $group",
    `aws ecs update-service --service ${name} --desired-count 5`,
    "./gantry status; ./gantry nodes; ./gantry cost",
  ]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
