/** The commands as a shell sees them, where no Gantry runs. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { oldAwsCli } from "#cli/env.ts";
import { machineProblems } from "#cli/machine.ts";
import { listenerOf } from "#cli/processes.ts";
import { freePort } from "../support/gantry.ts";

const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
/** A home whose name a careless script would break on. */
let home: string;
before(async () => (home = join(await mkdtemp(join(tmpdir(), "gantry-commands-")), "it's a $HOME; `x`")));
after(() => rm(join(home, ".."), { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
function run(file: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { env: { ...process.env, GANTRY_HOME: home, ...env }, timeout: 180_000 }, (_error, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}
const gantry = (args: readonly string[], env?: Record<string, string>) =>
  run(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], env);

test("every command has a help with an example", async () => {
  const { out } = await gantry(["--help"]);
  const names = [...out.matchAll(/^ {2}([a-z]+)(?: \[| {2})/gm)].map((match) => match[1]!).filter((name) => name !== "help");
  assert.deepEqual(names.toSorted(), [
    "bench",
    "cost",
    "demo",
    "down",
    "env",
    "exec",
    "join",
    "keys",
    "leave",
    "nodes",
    "reset",
    "status",
    "test",
    "token",
    "up",
    "version",
    "vulnerabilities",
    "why",
  ]);
  await Promise.all(
    names.map(async (name) => {
      const help = await gantry([name, "--help"]);
      assert.equal(help.code, 0);
      assert.match(help.out, new RegExp(`Usage: gantry ${name}[\\s\\S]*Examples:[\\s\\S]*./gantry`));
    }),
  );
});

test("an unknown command and a bad variable are refused in one sentence", async () => {
  const unknown = await gantry(["fly"]);
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.err, /unknown command 'fly'/);
  for (const [name, value] of Object.entries({ GANTRY_PORT: "99999", GANTRY_ACCOUNT: "me", GANTRY_REGION: "Mars" })) {
    const bad = await gantry(["status"], { [name]: value });
    assert.equal(bad.code, 1);
    assert.match(bad.err, new RegExp(`^gantry: ${name} is not [^\\n]*${value}\\n$`));
  }
  const open = await gantry(["up", "--open"], { GANTRY_BIND: "0.0.0.0" });
  assert.equal(open.code, 1);
  assert.match(open.err, /loopback only/);
});

for (const shell of ["bash", "dash"]) {
  test(`env is eaten by ${shell}, whatever the home is called`, async () => {
    const script = `eval "$("$NODE" ${main} env)" && printf '%s\\n' "$GANTRY_HOME" "$AWS_ENDPOINT_URL" "$AWS_REGION" "$AWS_ACCESS_KEY_ID" "\${AWS_PROFILE-none}" "\${AWS_SESSION_TOKEN-none}"`;
    const env = {
      NODE: process.execPath,
      NODE_NO_WARNINGS: "1",
      AWS_PROFILE: "work",
      AWS_SESSION_TOKEN: "old",
      GANTRY_PORT: "4999",
      GANTRY_REGION: "eu-central-1",
    };
    const { code, out, err } = await run(shell, ["-euc", script], env);
    assert.equal(code, 0, err);
    const [seen, endpoint, region, key, profile, token] = out.trimEnd().split("\n");
    assert.deepEqual([seen, endpoint, region, profile, token], [home, "http://127.0.0.1:4999", "eu-central-1", "none", "none"]);
    assert.match(key ?? "", /^AKIA[A-Z2-7]{16}$/);
  });
}

test("env for scripts and for fish says the same", async () => {
  const values = JSON.parse((await gantry(["env", "--json"])).out) as Record<string, string>;
  assert.equal(values.GANTRY_HOME, home);
  const fish = (await gantry(["env", "--shell", "fish"])).out;
  assert.ok(fish.includes(`set -gx AWS_SECRET_ACCESS_KEY '${values.AWS_SECRET_ACCESS_KEY}'`));
  assert.ok(fish.includes(`set -gx GANTRY_HOME '${home.replaceAll("'", "\\'")}'`));
  assert.notEqual((await gantry(["env", "--shell", "tcsh"])).code, 0);
});

test(
  "an AWS CLI of Debian's that does not read AWS_ENDPOINT_URL gets it by a function",
  { skip: (await oldAwsCli("/usr/bin")) === undefined && "this machine's /usr/bin/aws is new enough, or missing" },
  async () => {
    const port = await freePort();
    const script = `eval "$("$NODE" ${main} env)"; aws sts get-caller-identity 2>&1 || true`;
    const env = { NODE: process.execPath, NODE_NO_WARNINGS: "1", GANTRY_PORT: String(port), PATH: "/usr/bin:/bin", AWS_MAX_ATTEMPTS: "1" };
    const { out } = await run("bash", ["-c", script], env);
    assert.match(out, new RegExp(`Could not connect to the endpoint URL: "http://127.0.0.1:${port}/"`));
    assert.equal(await oldAwsCli("/nowhere"), undefined);
  },
);

test("status where nothing runs: exit code 1, says so, and what to type", async () => {
  const { code, out } = await gantry(["status"], { GANTRY_PORT: String(await freePort()) });
  assert.equal(code, 1);
  assert.match(out, /NOT well/);
  assert.match(out, /DOWN {2}supervisor +not running\n +never started with this home[\s\S]*\.\/gantry up --detach/);
  const parsed = JSON.parse((await gantry(["status", "--json"])).out) as { ok: boolean; parts: { name: string; ok: boolean }[] };
  assert.equal(parsed.ok, false);
  assert.deepEqual(
    parsed.parts.map(({ name, ok }) => [name, ok]),
    [
      ["supervisor", false],
      ["machine", true],
      ["disk", true],
    ],
  );
});

test("a port that someone has: up and status name the process", async (t) => {
  const server = createServer();
  const port = await new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
  t.after(() => server.close());
  const up = await gantry(["up", "--detach"], { GANTRY_PORT: String(port) });
  assert.equal(up.code, 1);
  assert.match(up.err, new RegExp(`port ${port} is taken by .*\\(pid ${process.pid}\\).*GANTRY_PORT=${port + 1}`));
  assert.match(
    (await gantry(["status"], { GANTRY_PORT: String(port) })).out,
    new RegExp(`port ${port} is taken by .*\\(pid ${process.pid}\\)`),
  );
  assert.match((await listenerOf(port)) ?? "", new RegExp(`\\(pid ${process.pid}\\)$`));
  assert.equal(await listenerOf(await freePort()), undefined);
});

test("down and reset where nothing runs say so", async () => {
  const env = { GANTRY_PORT: String(await freePort()) };
  const down = await gantry(["down"], env);
  assert.equal(down.code, 0);
  assert.match(down.err, /was not running/);
  const all = await gantry(["down", "--all"], env);
  assert.equal(all.code, 0);
  assert.match(all.err, /nothing is left on this machine/);
  const reset = await gantry(["reset"], env);
  assert.equal(reset.code, 1);
  assert.match(reset.err, /no Gantry answers at .*status says why/);
});

test("version for scripts", async () => {
  const all = JSON.parse((await gantry(["version", "--json"])).out) as Record<string, string>;
  assert.equal(all.node, process.versions.node);
  for (const name of ["gantry", "containerd", "runc", "nft"]) assert.match(all[name] ?? "", /^\d+\.\d+/, name);
});

test("what a machine lacks is named with the package that brings it", async () => {
  assert.deepEqual(await machineProblems(), []);
  const bare = await machineProblems({ PATH: "/nowhere" });
  assert.ok(
    bare.some((problem) => /^containerd is not installed: apt-get install containerd/.test(problem)),
    bare.join("\n"),
  );
});
