/** The command line. Each command loads its own code when it is called, so that `--help` and `env` answer at once. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { ConfigError, readConfig } from "#platform/config.ts";

const version = (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;
const config = (extra: Record<string, string> = {}) => readConfig({ ...process.env, ...extra });
const print = (text: string) => void process.stdout.write(`${text}\n`);

const program = new Command("gantry")
  .description("Amazon ECS, Fargate and ECR on machines you own.")
  .showHelpAfterError()
  .addHelpText(
    "after",
    '\nEnvironment: GANTRY_HOME (state, default /var/lib/gantry), GANTRY_PORT (4566), GANTRY_BIND (127.0.0.1); docs/configuration.md has all.\n\nFirst steps:\n  ./gantry demo\n  ./gantry up --detach && eval "$(./gantry env)" && aws ecs list-clusters',
  );

program
  .command("up")
  .description("start Gantry: containerd, server and the agent of this machine, and keep them running")
  .option("-d, --detach", "run in the background; return when all is ready")
  .option("--open", "take any credentials (loopback only); an access key of 12 digits names the account")
  .option("--containerd <socket>", "use the containerd behind this socket instead of one of our own")
  .addHelpText("after", "\nExamples:\n  ./gantry up --detach\n  GANTRY_HOME=/tmp/second GANTRY_PORT=4567 ./gantry up --detach --open")
  .action(async (options: { detach?: boolean; open?: boolean; containerd?: string }) => {
    const { up } = await import("./up.ts");
    process.exitCode = await up(config(options.open ? { GANTRY_OPEN: "1" } : {}), {
      detach: options.detach ?? false,
      containerd: options.containerd,
    });
    process.exit();
  });

program
  .command("down")
  .description("stop Gantry; tasks run on")
  .option("--all", "stop the tasks too, and leave no process, mount, bridge, cgroup or namespace behind")
  .addHelpText("after", "\nExamples:\n  ./gantry down\n  ./gantry down --all")
  .action(async (options: { all?: boolean }) => {
    const { down } = await import("./down.ts");
    process.exit(await down(config(), { all: options.all ?? false }));
  });

program
  .command("status")
  .description("say which part is up or down, and why")
  .option("--json", "for scripts")
  .addHelpText("after", "\nThe exit code is 0 when all is well.")
  .action(async (options: { json?: boolean }) => {
    const { status, formatStatus } = await import("./status.ts");
    const now = await status(config());
    print(options.json ? JSON.stringify(now, undefined, 2) : formatStatus(now));
    process.exit(now.ok ? 0 : 1);
  });

program
  .command("env")
  .description("print what AWS tools need to talk to this Gantry")
  .option("--json", "for scripts")
  .option("--shell <name>", "sh or fish", "sh")
  .addHelpText("after", '\nExamples:\n  eval "$(./gantry env)"\n  ./gantry env --shell fish | source')
  .action(async (options: { json?: boolean; shell: string }) => {
    const { environment, formatEnvironment } = await import("./env.ts");
    const variables = await environment(config());
    print(options.json ? JSON.stringify(variables, undefined, 2) : formatEnvironment(variables, options.shell === "fish" ? "fish" : "sh"));
  });

program
  .command("reset")
  .description("empty everything: repositories, clusters, definitions, tasks, logs (open mode only)")
  .action(async () => {
    const { endpointOf } = await import("./commands.ts");
    const response = await fetch(`${endpointOf(config())}/_gantry/reset`, { method: "POST" });
    const text = await response.text();
    if (!response.ok) throw new Error((JSON.parse(text) as { message: string }).message);
    print("empty");
  });

program
  .command("demo")
  .description("take examples/hello along the whole road: build, push, run, ask, stop, read its log")
  .action(async () => {
    const { demo } = await import("./demo.ts");
    process.exit(await demo());
  });

program
  .command("test [files...]")
  .description("type check, lint and run all tests, or those whose path contains one of the words")
  .addHelpText("after", "\nExamples:\n  ./gantry test\n  ./gantry test store sigv4")
  .action(async (files: string[]) => {
    const { test } = await import("./test.ts");
    process.exit(await test(files));
  });

program
  .command("bench [names...]")
  .description("run the benchmarks, each against its peer in one run, and print the ratios")
  .addHelpText("after", "\nExamples:\n  ./gantry bench\n  ./gantry bench run-task")
  .action(async (names: string[]) => {
    const { bench } = await import("./bench.ts");
    process.exit(await bench(names));
  });

program
  .command("version")
  .description("print the versions of Gantry and of what it stands on")
  .option("--json", "for scripts")
  .action((options: { json?: boolean }) => {
    const all = { gantry: version, node: process.versions.node };
    print(options.json ? JSON.stringify(all) : `gantry ${version} (node ${process.versions.node})`);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(
    `gantry: ${error instanceof ConfigError ? error.message : ((error as Error).message ?? String(error))}${(error as { cause?: Error }).cause ? `: ${(error as { cause: Error }).cause.message}` : ""}\n`,
  );
  process.exit(1);
}
