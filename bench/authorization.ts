/**
 * What authorization costs: the evaluation alone under 200 policies of 50 statements, and a signed DescribeTasks of a user who has them all, against moto's
 * server, which looks at neither signature nor policies. Run with `serve <home> <port>` it is that user's server.
 */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Principal } from "#api/contract.ts";
import { createAuthorizer } from "#api/authorize.ts";
import { createFrontDoor } from "#api/front-door.ts";
import { algorithm, scopeText, sha256, sign } from "#api/sigv4-sign.ts";
import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createVault } from "#platform/vault.ts";
import { createSealer } from "#platform/sealer.ts";
import { createEcs } from "#services/ecs/index.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { answers, end, freePort, has, median, missing, report, run, temporary } from "./support.ts";

const account = "000000000000";
const keys = { accessKeyId: "AKIABENCHBENCHBENCHB", secretAccessKey: "bench/bench/bench/bench/bench/bench/bench" };
const principal: Principal = {
  account,
  arn: `arn:aws:iam::${account}:user/bench`,
  userId: "AIDABENCHBENCHBENCHB",
  accessKeyId: keys.accessKeyId,
  identity: { kind: "User", userName: "bench" },
  tags: { team: "team-7" },
};

const services = ["ecs", "ecr", "s3", "ec2", "logs"];

/** Of each service a fifth; wildcards in actions and resources, variables, conditions, a denial in each policy. */
function policies(allowed: boolean): NamedPolicy[] {
  return Array.from({ length: 200 }, (_, number) => {
    const statements = Array.from({ length: 50 }, (__, index) => {
      const service = services[index % services.length]!;
      const own = `arn:aws:${service}:*:${account}:${index % 3 === 0 ? "task" : "*"}/team-${number}-${index}/*`;
      return {
        Effect: index === 49 ? "Deny" : "Allow",
        Action: [`${service}:Describe*`, `${service}:List${index}*`, `${service}:Get?${number}*`],
        Resource: index % 10 === 5 ? [own, `arn:aws:${service}:*:*:*/\${aws:PrincipalTag/team}-${number}/*`] : own,
        ...(index % 4 === 0 ? { Condition: { StringEquals: { "aws:ResourceTag/stage": `stage-${number}` } } } : {}),
      };
    });
    if (allowed && number === 199)
      statements[0] = { Effect: "Allow", Action: ["ecs:Describe*"], Resource: `arn:aws:ecs:*:${account}:task/bench/*` };
    const { document, problem } = parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statements }), "identity");
    if (!document) throw new Error(problem);
    return { name: `policy-${number}`, document };
  });
}

/** The policies with an index that names the tasks of each one, all of them for the action that is asked. */
function crowded(): NamedPolicy[] {
  return Array.from({ length: 200 }, (_, number) => {
    const statements = Array.from({ length: 50 }, (__, index) => ({
      Effect: "Allow",
      Action: "ecs:DescribeTasks",
      Resource: `arn:aws:ecs:*:*:task/other-${number}-${index}/*`,
    }));
    return {
      name: `policy-${number}`,
      document: parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statements }), "identity").document!,
    };
  });
}

/** Median milliseconds of one question, each for a task of its own. */
async function evaluation(identity: NamedPolicy[]): Promise<number> {
  const authorizer = createAuthorizer({
    open: false,
    policies: { policiesOf: async () => ({ identity }) },
    resourcePolicies: [],
    resources: [],
  });
  const request = { now: Date.now(), region: "us-east-1", sourceIp: "127.0.0.1", userAgent: "bench", secure: false };
  const times: number[] = [];
  for (let round = 0; round < 3000; round++) {
    const input = { cluster: "bench", tasks: [`${round}`.padStart(32, "0")] };
    const began = performance.now();
    await authorizer
      .authorize(principal, { service: "ecs", operation: "DescribeTasks", protocol: "awsJson1_1", input }, request)
      .catch(() => undefined);
    times.push(performance.now() - began);
  }
  return median(times.slice(500));
}

async function serve(home: string, port: number): Promise<void> {
  process.once("SIGTERM", () => process.exit(0));
  const config = readConfig({ GANTRY_HOME: home, GANTRY_PORT: String(port) });
  const store = await openSqliteStore({ path: join(home, "store.sqlite"), clock: systemClock });
  const vault = createVault([new Uint8Array(32)]);
  const deps = {
    vault,
    store,
    clock: systemClock,
    random: systemRandom,
    sealer: createSealer(Buffer.alloc(32, 1)),
    config,
    log: silentLogger,
  };
  const identity = [...policies(true), ...setup()];
  const parts = [{ policies: { policiesOf: async () => ({ identity }) } }, createEcs(deps)];
  const held = { secretAccessKey: keys.secretAccessKey, principal };
  await createFrontDoor({
    deps,
    credentials: { lookup: async (id) => (id === keys.accessKeyId ? held : undefined) },
    parts,
    reset: async () => {},
  }).listen();
}

/** What the benchmark itself needs beside what it measures. */
function setup(): NamedPolicy[] {
  const statement = { Effect: "Allow", Action: "ecs:CreateCluster", Resource: "*" };
  return [{ name: "setup", document: parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statement }), "identity").document! }];
}

/** A request that is signed once and sent often: a signature holds for minutes. */
function signed(endpoint: string, operation: string, input: unknown): { headers: Record<string, string>; body: string } {
  const body = JSON.stringify(input);
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    host: new URL(endpoint).host,
    "x-amz-date": timestamp,
    "x-amz-target": `AmazonEC2ContainerServiceV20141113.${operation}`,
  };
  const scope = {
    date: timestamp.slice(0, 8),
    region: "us-east-1",
    service: "ecs",
    timestamp,
    signedHeaders: Object.keys(headers).toSorted(),
    presigned: false,
  };
  const signature = sign({ method: "POST", rawPath: "/", rawQuery: "", headers }, scope, keys.secretAccessKey, sha256(body));
  const credential = `${keys.accessKeyId}/${scopeText(scope)}`;
  const authorization = `${algorithm} Credential=${credential}, SignedHeaders=${scope.signedHeaders.join(";")}, Signature=${signature}`;
  return { headers: { ...headers, authorization }, body };
}

async function call(endpoint: string, operation: string, input: unknown): Promise<string> {
  const { headers, body } = signed(endpoint, operation, input);
  const response = await fetch(endpoint, { method: "POST", headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${operation} at ${endpoint}: ${response.status} ${text}`);
  return text;
}

async function rate(directory: string, endpoint: string, input: unknown): Promise<number> {
  const script = join(directory, "request.lua");
  const { headers, body } = signed(endpoint, "DescribeTasks", input);
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`);
  await writeFile(script, `wrk.method = "POST"\nwrk.body = [==[${body}]==]\n${lines.join("\n")}\n`);
  const { stdout } = await run("wrk", ["-t1", "-c16", "-d4s", "-s", script, endpoint], { timeout: 30_000 });
  if (/Non-2xx/.test(stdout)) throw new Error(`DescribeTasks at ${endpoint} failed under load:\n${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
}

async function main(): Promise<void> {
  const cases = [
    ["allowed by the last policy", policies(true)],
    ["allowed by none", policies(false)],
    ["allowed by none, all 10,000 statements for the action", crowded()],
  ] as const;
  for (const [name, identity] of cases)
    report({
      bench: `authorization under 200 policies of 50 statements, ${name}`,
      ours: await evaluation(identity),
      peer: undefined,
      peerName: "",
      unit: "ms",
      bound: { most: 0.2 },
    });

  if (!(await has("moto_server"))) {
    missing("signed DescribeTasks", "moto_server");
    return;
  }
  await using directory = await temporary("authorization");
  await using home = await temporary("authorization-home");
  const [port, motoPort] = [await freePort(), await freePort()];
  const ours = spawn(process.execPath, [import.meta.filename, "serve", home.path, String(port)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const moto = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(motoPort)], { stdio: "ignore" });
  try {
    const [endpoint, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${motoPort}`];
    await answers(`${endpoint}/healthz`, 20_000);
    await answers(peer, 60_000);
    for (const each of [endpoint, peer]) await call(each, "CreateCluster", { clusterName: "bench" });
    // A task that is not there: both look it up and say so, which leaves moto the least to do.
    const input = { cluster: "bench", tasks: ["0".repeat(32)] };
    for (const each of [endpoint, peer]) await call(each, "DescribeTasks", input);
    const rates = { ours: [] as number[], theirs: [] as number[] };
    for (let round = 0; round < 3; round++) {
      rates.theirs.push(await rate(directory.path, peer, input));
      rates.ours.push(await rate(directory.path, endpoint, input));
    }
    report({
      bench: "signed DescribeTasks under 200 policies of 50 statements, requests a second, 16 connections",
      ours: median(rates.ours),
      peer: median(rates.theirs),
      peerName: "moto",
      unit: "requests/s",
      bound: { least: 10 },
    });
  } finally {
    await end(ours);
    await end(moto);
  }
}

if (process.argv[2] === "serve") await serve(process.argv[3]!, Number(process.argv[4]));
else await main();
