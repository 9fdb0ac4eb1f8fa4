/** The command line. Each command loads its own code when it is called, so that `--help` and `env` answer at once. */
import { Command, Option } from "commander";
import { readConfig } from "#platform/config.ts";

const config = (extra: Record<string, string> = {}) => readConfig({ ...process.env, ...extra });
/** The same where there must be a server on this machine. */
const running = async () => {
  const { readJoined } = await import("./join/state.ts");
  const joined = readJoined(config().home);
  if (joined) throw new Error(`this machine has joined ${joined.urls[0]}: ask there. Here there are up, down, status and leave`);
  return here();
};
/** The configuration of the Gantry that runs on this home, if one does. */
const here = async () => {
  const now = (await import("./supervisor.ts")).effectiveConfig(config());
  // Loaded only where there is something to trust.
  if (now.tls) {
    const { tlsFiles, trust } = await import("#platform/tls.ts");
    trust(tlsFiles(now)?.authority);
  }
  return now;
};
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
    const asked = config(options.open ? { GANTRY_OPEN: "1" } : {});
    process.exit(await up(asked, { detach: options.detach ?? false, containerd: options.containerd }));
  });

program
  .command("down")
  .description("stop Gantry; tasks run on")
  .option("--all", "stop the tasks too, and leave no process, mount, bridge, cgroup or namespace behind")
  .addHelpText("after", "\nExamples:\n  ./gantry down\n  ./gantry down --all")
  .action(async (options: { all?: boolean }) => {
    const { down } = await import("./down.ts");
    process.exit(await down(await here(), { all: options.all ?? false }));
  });

program
  .command("status")
  .description("say which part is up or down, and why")
  .option("--json", "for scripts")
  .addHelpText("after", "\nThe exit code is 0 when all is well.\n\nExamples:\n  ./gantry status\n  ./gantry status --json | jq .parts")
  .action(async (options: { json?: boolean }) => {
    const { status, formatStatus } = await import("./status.ts");
    const now = await status(await here());
    print(options.json ? JSON.stringify(now, undefined, 2) : formatStatus(now));
    process.exit(now.ok ? 0 : 1);
  });

program
  .command("why <name>")
  .description(
    "explain a task or a service: what was not placed and what each instance lacked, why tasks ended, where a deployment's time went",
  )
  .option("--cluster <name>", "the cluster, when it is not this machine's")
  .option("--json", "for scripts")
  .addHelpText("after", "\nExamples:\n  ./gantry why web\n  ./gantry why 0123456789abcdef0123456789abcdef --cluster prod")
  .action(async (name: string, options: { cluster?: string; json?: boolean }) => {
    const { why } = await import("./why.ts");
    print(await why(await running(), name, { cluster: options.cluster, json: options.json ?? false }));
  });

program
  .command("exec <name> [command...]")
  .description("run a command, or a shell, in a container of a task or of a service's newest task; its exit code is ours")
  .option("--cluster <name>", "the cluster, when it is not this machine's")
  .option("--container <name>", "which of the task's containers, when it has several")
  .addHelpText(
    "after",
    "\nExamples:\n  ./gantry exec web\n  ./gantry exec web -- ls -l /\n  ./gantry exec web -- sh -c 'cat >/tmp/file' <file",
  )
  .action(async (name: string, command: string[], options: { cluster?: string; container?: string }) => {
    const { exec } = await import("./exec/exec.ts");
    process.exit(await exec(await running(), name, { cluster: options.cluster, container: options.container, command }));
  });

program
  .command("cost")
  .description("say what tasks and instances cost, and what the same work would have cost on the other launch type")
  .option("--by <what>", "cluster, service, launch-type, task, or tag:<key>", "service")
  .option("--since <when>", "a day (2026-11-01), a time, or how long ago (24h, 7d); default: the first of this month, UTC")
  .option("--until <when>", "likewise; default: now. Periods are of whole hours")
  .option("--cluster <name>", "only this cluster")
  .addOption(new Option("--format <name>", "how to print it").choices(["table", "json", "csv"]).default("table"))
  .addHelpText(
    "after",
    "\nPrices are AWS's of us-east-1, or those of the file in GANTRY_PRICES; docs/cost.md says how each amount comes about.\n\nExamples:\n  ./gantry cost --since 24h\n  ./gantry cost --by tag:team --since 2026-10-01 --until 2026-11-01 --format csv\n  GANTRY_PRICES=mine.json ./gantry cost --by launch-type",
  )
  .action(async (options: import("./cost.ts").CostOptions) => {
    const { cost } = await import("./cost.ts");
    print(await cost(await running(), options, Date.now()));
  });

program
  .command("token [action] [id]")
  .description("print the line by which another machine joins this Gantry; token list, token revoke <id>")
  .option("--cluster <name>", "the cluster that it joins", "default")
  .option("--ttl <time>", "how long the token is good: 30m, 24h, 7d", "1h")
  .option("--uses <count>", "how many machines it lets in", "1")
  .option("--url <url...>", "where they find this server, when it is not what it listens on")
  .option("-q, --quiet", "the line alone")
  .addHelpText(
    "after",
    "\nThis Gantry must listen where the machine reaches it, by TLS: GANTRY_BIND=<address> GANTRY_TLS=self ./gantry up --detach\n\nExamples:\n  ./gantry token\n  ./gantry token --cluster prod --ttl 24h --uses 5\n  ./gantry token list\n  ./gantry token revoke 0123456789ab",
  )
  .action(
    async (
      action: string | undefined,
      id: string | undefined,
      options: { cluster: string; ttl: string; uses: string; url?: string[]; quiet?: boolean },
    ) => {
      const { listTokens, makeToken, revokeToken } = await import("./join/token.ts");
      const now = await running();
      if (action === "list") print(await listTokens(now));
      else if (action === "revoke" && id !== undefined) print(await revokeToken(now, id));
      else if (action === undefined) print(await makeToken(now, { ...options, url: options.url ?? [], quiet: options.quiet ?? false }));
      else throw new Error(`token ${action}: the actions are list, and revoke with a token's id`);
    },
  );

program
  .command("join <token>")
  .description("make this machine a container instance of another machine's Gantry; - reads the token from standard input")
  .option("--cluster <name>", "refuse a token of any other cluster")
  .option("--attribute <name=value...>", "attributes of the container instance, for placement")
  .option("--instance-type <type>", "its attribute ecs.instance-type; CPU and memory are always the machine's own")
  .option("--address <address>", "where others reach this machine, when it is not by what it reaches the server")
  .addHelpText(
    "after",
    "\nThe token comes from ./gantry token on the server's machine. Tasks in the modes bridge, host and none run here; those in mode awsvpc, Fargate's among them, stay where their VPC is.\n\nExamples:\n  ./gantry join gantry1.…\n  ./gantry join - --attribute disk=ssd < token\n  ./gantry status\n  ./gantry leave",
  )
  .action(async (token: string, options: { cluster?: string; attribute?: string[]; instanceType?: string; address?: string }) => {
    // What a list of processes shows from here on.
    process.title = "gantry join";
    const { join } = await import("./join/join.ts");
    const { cluster, attribute = [], instanceType, address } = options;
    process.exit(await join(config(), token, { cluster, attributes: attribute, instanceType, address }));
  });

program
  .command("leave")
  .description("drain this machine, take it out of the Gantry that it joined, and leave nothing behind")
  .option("--force", "stop its tasks at once, and go without the server's word")
  .option("--timeout <seconds>", "how long its tasks may take to be elsewhere", "600")
  .addHelpText("after", "\nExamples:\n  ./gantry leave\n  ./gantry leave --force")
  .action(async (options: { force?: boolean; timeout: string }) => {
    const { leave } = await import("./join/leave.ts");
    process.exit(await leave(config(), { force: options.force ?? false, timeoutMs: Number(options.timeout) * 1000 }));
  });

program
  .command("nodes [action] [id]")
  .description("list the machines and what is free on them: those of clusters, and Fargate's, which its users never see")
  .option("--json", "for scripts")
  .addHelpText(
    "after",
    "\nGANTRY_FARGATE, when Gantry is started, says what this machine is for: true (its cluster and Fargate, the default), only (Fargate alone), false. A machine that joined and does not come back is removed by its name (m-…).\n\nExamples:\n  ./gantry nodes\n  ./gantry nodes --json | jq '.[].cpu.free'\n  ./gantry nodes remove m-0123456789abcdef0",
  )
  .action(async (action: string | undefined, id: string | undefined, options: { json?: boolean }) => {
    if (action !== undefined && (action !== "remove" || id === undefined))
      throw new Error("nodes: the only action is remove, with a machine's name");
    if (id !== undefined) {
      const { removeMachine } = await import("./join/token.ts");
      print(await removeMachine(await running(), id));
      return;
    }
    const { nodes } = await import("./nodes.ts");
    print(await nodes(await running(), options.json ?? false));
  });

program
  .command("keys [action]")
  .description("say which key encrypts secrets, or rotate it: everything is encrypted with a new one, then the old one is deleted")
  .addHelpText(
    "after",
    "\nThe key is in <GANTRY_HOME>/secrets.key, or in the file that GANTRY_SECRETS_KEY names; without it nobody reads the secrets: keep a copy elsewhere.\nA rotation that was interrupted goes on at the next start.\n\nExamples:\n  ./gantry keys\n  ./gantry keys rotate",
  )
  .action(async (action: string | undefined) => {
    if (action !== undefined && action !== "rotate") throw new Error(`keys ${action}: the only action is rotate`);
    const { keys } = await import("./keys.ts");
    print(await keys(await running(), action ?? "show"));
  });

program
  .command("vulnerabilities <action> [source]")
  .description("import what image scans compare with, in the OSV format; status says what is there and how old it is")
  .option("--json", "status, for scripts")
  .addHelpText(
    "after",
    "\nA source is a .zip or .json file, a directory of such, or an https URL. Records are added: a newer one takes the place of the one with its id.\nA running server needs no restart. docs/scanning.md says what is matched.\n\nExamples:\n  ./gantry vulnerabilities import https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip\n  ./gantry vulnerabilities import alpine.zip\n  ./gantry vulnerabilities status",
  )
  .action(async (action: string, source: string | undefined, options: { json?: boolean }) => {
    const { importOf, vulnerabilityStatus } = await import("./vulnerabilities.ts");
    const { home } = await running();
    const tell = (text: string) => process.stderr.isTTY && process.stderr.write(`\x1b[2K${text}\r`);
    if (action === "import" && source !== undefined) print(await importOf(home, source, Date.now(), tell));
    else if (action === "status" && source === undefined) print(await vulnerabilityStatus(home, Date.now(), options.json ?? false));
    else throw new Error(`vulnerabilities ${action}: the actions are status, and import with a file, a directory or a URL`);
  });

program
  .command("env")
  .description("print what AWS tools need to talk to this Gantry")
  .option("--json", "for scripts")
  .addOption(new Option("--shell <name>", "whose language").choices(["sh", "fish"]).default("sh"))
  .addHelpText("after", '\nExamples:\n  eval "$(./gantry env)"\n  ./gantry env --shell fish | source\n  ./gantry env --json')
  .action(async (options: { json?: boolean; shell: "sh" | "fish" }) => {
    const { environment, formatEnvironment, oldAwsCli } = await import("./env.ts");
    const variables = await environment(await running());
    print(options.json ? JSON.stringify(variables, undefined, 2) : formatEnvironment(variables, options.shell, await oldAwsCli()));
  });

program
  .command("reset")
  .description("empty everything: repositories, clusters, definitions, tasks, logs (open mode only)")
  .addHelpText("after", "\nExamples:\n  ./gantry reset\n  curl -X POST http://localhost:4566/_gantry/reset")
  .action(async () => {
    const { reset } = await import("./reset.ts");
    print(await reset(await running()));
  });

program
  .command("demo")
  .description("take examples/hello along the whole road: build, push, a task, a service of three behind a load balancer, an update")
  .option("--keep", "leave it running afterwards, to look around")
  .addHelpText(
    "after",
    "\nUses the Gantry that runs, or one of its own that is gone afterwards. Shows for each step what you would type.\n\nExamples:\n  ./gantry demo\n  ./gantry demo --keep",
  )
  .action(async ({ keep = false }: { keep?: boolean }) => {
    const { demo } = await import("./demo/demo.ts");
    process.exit(await demo({ keep }));
  });

program
  .command("test [words...]")
  .description("type check, lint and run all tests, or only the test files whose path contains one of the words")
  .addHelpText("after", "\nExamples:\n  ./gantry test\n  ./gantry test store sigv4\n  ./gantry test test/road")
  .action(async (words: string[]) => {
    const { test } = await import("./test.ts");
    process.exit(await test(words));
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
  .addHelpText("after", "\nExamples:\n  ./gantry version\n  ./gantry version --json")
  .action(async (options: { json?: boolean }) => {
    const { versions, formatVersions } = await import("./version.ts");
    const all = await versions();
    print(options.json ? JSON.stringify(all, undefined, 2) : formatVersions(all));
  });

try {
  await program.parseAsync();
} catch (error) {
  const causes = [];
  for (let each: unknown = error; each instanceof Error; each = each.cause) causes.push(each.message || each.name);
  process.stderr.write(`gantry: ${causes.length > 0 ? causes.join(": ") : String(error)}\n`);
  process.exit(1);
}
