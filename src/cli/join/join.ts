import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join as path } from "node:path";
import { text as readAll } from "node:stream/consumers";
import type { Config } from "#platform/config.ts";
import { systemRandom } from "#platform/random.ts";
import { writeProfile } from "../agent-credentials.ts";
import { machineProblems } from "../machine.ts";
import { up } from "../up.ts";
import { writeUnit } from "./parts.ts";
import { type Joined, machineKey, readJoined, writeJoined } from "./state.ts";
import { findServer, talk } from "./talk.ts";
import { parseToken } from "./token-text.ts";

const say = (text: string) => void process.stderr.write(`gantry: ${text}\n`);

export interface JoinOptions {
  /** Refused when the token is for another. */
  readonly cluster: string | undefined;
  /** `name=value`. */
  readonly attributes: readonly string[];
  readonly instanceType: string | undefined;
  /** Where others reach this machine; default: by what it reaches the server. */
  readonly address: string | undefined;
}

/** `gantry join`: this machine becomes a container instance of another's Gantry. Safe to repeat, after a failure at any point too. Returns the exit code. */
export async function join(config: Config, given: string, options: JoinOptions): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error("containers need root: run this as root");
  const problems = await machineProblems();
  for (const problem of problems) say(problem);
  if (problems.length > 0) return 1;
  if (existsSync(path(config.home, "store.sqlite")))
    throw new Error(`${config.home} is the home of a Gantry with a server of its own: choose another, GANTRY_HOME=… ./gantry join`);
  const token = parseToken(given === "-" ? await readAll(process.stdin) : given);
  const known = readJoined(config.home);
  const attributes = attributesOf(options);
  if (known && !token.urls.some((url) => known.urls.includes(url)))
    throw new Error(`this machine has joined ${known.urls[0]} (cluster ${known.cluster}) already. First: ./gantry leave`);
  if (known) {
    if (options.cluster !== undefined && options.cluster !== known.cluster) throw new Error(otherCluster(known.cluster, options.cluster));
    writeJoined(config.home, { ...known, attributes: { ...known.attributes, ...attributes }, address: options.address ?? known.address });
    say(`this machine has joined the cluster ${known.cluster} of ${known.urls[0]} already`);
  } else {
    const joined = await askToJoin(config.home, token, options, attributes);
    say(`joined the cluster ${joined.cluster} of ${joined.urls[0]} as ${joined.machine}`);
  }
  const code = await up(config, { detach: true, containerd: undefined });
  if (code === 0)
    say(
      `to start with the machine: ln -s ${writeUnit(config.home, path(repository, "gantry"))} /etc/systemd/system/ && systemctl enable gantry`,
    );
  return code;
}

async function askToJoin(
  home: string,
  token: ReturnType<typeof parseToken>,
  options: JoinOptions,
  attributes: Readonly<Record<string, string>>,
): Promise<Joined> {
  const server = await findServer(token.urls, token.fingerprint);
  const key = machineKey(home, systemRandom);
  const { authority } = server;
  const { status, body } = await talk(new URL("/_gantry/join", server.url), {
    method: "POST",
    authority,
    body: { token: token.id, secret: token.secret, key, hostname: hostname() },
  });
  if (status !== 200) throw new Error(body.message ?? `${server.url} answers HTTP ${status}`);
  const answer = body as unknown as Pick<Joined, "machine" | "cluster" | "account" | "region" | "port"> & {
    credentials: Parameters<typeof writeProfile>[1];
  };
  const { machine, cluster, account, region, port, credentials } = answer;
  if (options.cluster !== undefined && options.cluster !== cluster) throw new Error(otherCluster(cluster, options.cluster));
  // The way that worked first, the others for when it does not.
  const urls = [server.url, ...token.urls.filter((url) => url !== server.url)];
  const address = options.address ?? server.localAddress?.replace(/^::ffff:/, "");
  const joined: Joined = { urls, authority, machine, key, cluster, account, region, port, address, attributes };
  await writeProfile(path(home, "agent-credentials"), credentials);
  writeJoined(home, joined);
  return joined;
}

const repository = new URL("../../..", import.meta.url).pathname;
const otherCluster = (is: string, asked: string) =>
  `this token is for the cluster ${is}, not ${asked}: make one there, ./gantry token --cluster ${asked}`;

function attributesOf({ attributes, instanceType }: JoinOptions): Record<string, string> {
  const found: Record<string, string> = {};
  for (const each of attributes) {
    const [, name, value] = /^([\w./-]{1,128})=(.{0,128})$/.exec(each) ?? [];
    if (name === undefined || value === undefined) throw new Error(`--attribute ${each}: give it as name=value`);
    found[name] = value;
  }
  return instanceType === undefined ? found : { ...found, "ecs.instance-type": instanceType };
}
