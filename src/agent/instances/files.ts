import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type { InstanceIdentity, LocalInstance } from "#agent-protocol/instances.ts";
import { containerdConfig } from "../containerd/daemon.ts";

/** What an instance finds of itself at /run/gantry: `shared` in its directory. */
export interface InstanceFile {
  readonly instance: LocalInstance;
  /** Port on the instance's own loopback at which Gantry's API is: as on the machine, so that `localhost:4566/name` is the same image. */
  readonly apiPort: number;
  /** The API speaks TLS: the name there that its certificate is good for. */
  readonly apiHost?: string;
}

/** By what the API is reached inside the instance. */
export const apiOf = ({ apiPort, apiHost }: Pick<InstanceFile, "apiPort" | "apiHost">): string =>
  apiHost === undefined ? `http://127.0.0.1:${apiPort}` : `https://${apiHost}:${apiPort}`;

/** The port, and with TLS the name: this machine's own, or a certificate's, which the instance then takes for its loopback. */
export function apiPlaceOf(endpoint: string): Pick<InstanceFile, "apiPort" | "apiHost"> {
  const { protocol, port, hostname } = new URL(endpoint);
  const secure = protocol === "https:";
  const apiPort = Number(port) || (secure ? 443 : 80);
  if (!secure) return { apiPort };
  return { apiPort, apiHost: isIP(hostname.replace(/^\[(.*)\]$/, "$1")) === 0 ? hostname : "127.0.0.1" };
}

/** Who the instance is, beside its InstanceFile: there from its boot, or as soon as this machine has been told. */
export const identityFiles = {
  /** What its agent signs with, in the form of AWS's shared credentials file. */
  agent: "agent-credentials",
  /** `InstanceProfile`, JSON; absent: it has none. */
  profile: "profile.json",
};

/** Where Gantry is in an instance, as on a machine of its own. */
export const instanceHome = "/var/lib/gantry";
export const sharedDirectory = "/run/gantry";
/** What proves the API beside what the machine's system trusts, which instances trust too. */
export const authorityFile = `${sharedDirectory}/authority.pem`;
export const apiSocket = "/run/gantry-api/api.sock";

/** Everything that the boot script reads. The instance's directory is the root user's alone. */
export function writeInstanceFiles(
  directory: string,
  file: InstanceFile,
  host: {
    readonly home: string;
    /** Directory of the API's socket. */
    readonly api: string;
    readonly sources: readonly string[];
    readonly node: string;
    readonly main: string;
    readonly compileCache: string | undefined;
    /** A PEM file. */
    readonly authority: string | undefined;
  },
): void {
  const { instance, apiHost } = file;
  const shared = join(directory, "shared");
  rmSync(shared, { recursive: true, force: true });
  for (const each of [directory, join(directory, "disk"), join(directory, "work"), join(directory, "root")])
    mkdirSync(each, { recursive: true, mode: 0o700 });
  for (const each of [shared, join(shared, "etc"), join(shared, "etc/ecs"), join(shared, "etc/profile.d"), join(shared, "home/.ssh")])
    mkdirSync(each, { recursive: true, mode: 0o755 });
  const write = (name: string, text: string, mode = 0o644) => writeFileSync(join(shared, name), text, { mode });
  const hostname = instance.privateDnsName.split(".")[0]!;
  write("instance.json", JSON.stringify(file), 0o600);
  write("containerd.toml", containerdConfig(instanceHome).text);
  write(
    "boot.env",
    Object.entries({
      GANTRY_SOURCES: host.sources.join("\n"),
      GANTRY_HOST_HOME: host.home,
      GANTRY_API: host.api,
      GANTRY_HOSTNAME: hostname,
      GANTRY_NODE: host.node,
      GANTRY_NODE_OPTIONS: "--disable-warning=ExperimentalWarning --max-semi-space-size=1 --optimize-for-size",
      GANTRY_MAIN: host.main,
      ...(host.compileCache ? { NODE_COMPILE_CACHE: host.compileCache } : {}),
    })
      .map(([name, value]) => `export ${name}=${quote(value)}\n`)
      .join(""),
    0o600,
  );
  const authority = apiHost === undefined || host.authority === undefined ? undefined : readFileSync(host.authority, "utf8");
  if (authority !== undefined) write("authority.pem", authority);
  write("etc/hostname", `${hostname}\n`);
  const [address] = instance.networkInterface.ipv4Addresses;
  write(
    "etc/hosts",
    `127.0.0.1\tlocalhost${apiHost === undefined || apiHost === "127.0.0.1" || apiHost === "localhost" ? "" : ` ${apiHost}`}\n::1\tlocalhost ip6-localhost\n${address?.privateAddress}\t${instance.privateDnsName} ${hostname}\n`,
  );
  write(
    "etc/resolv.conf",
    [
      ...instance.networkInterface.domainNameServers.map((server) => `nameserver ${server}`),
      ...(instance.networkInterface.domainName.length > 0 ? [`search ${instance.networkInterface.domainName.join(" ")}`] : []),
      "",
    ].join("\n"),
  );
  write("etc/machine-id", `${instance.instanceId.replace(/^i-/, "").padEnd(32, "0").slice(0, 32)}\n`);
  write("etc/ecs/ecs.config", "");
  write(
    "etc/profile.d/gantry.sh",
    `export ${Object.entries(awsEnvironment(file, authority !== undefined))
      .map(([name, value]) => `${name}=${value}`)
      .join(" ")}\n`,
  );
  for (const [name, text] of Object.entries(accounts())) write(`etc/${name}`, text, name === "shadow" ? 0o600 : 0o644);
  write("home/.ssh/authorized_keys", instance.publicKey ? `${instance.publicKey.material.trim()}\n` : "", 0o600);
  write("home/.profile", "[ -f /etc/profile.d/gantry.sh ] && . /etc/profile.d/gantry.sh\n");
}

/** For AWS's tools in the instance. `authority`: it has the file. */
export const awsEnvironment = (file: InstanceFile, authority: boolean): Readonly<Record<string, string>> => ({
  AWS_ENDPOINT_URL: apiOf(file),
  AWS_DEFAULT_REGION: file.instance.region,
  AWS_REGION: file.instance.region,
  ...(authority ? { AWS_CA_BUNDLE: authorityFile, NODE_EXTRA_CA_CERTS: authorityFile } : {}),
});

/** What has changed of an instance that runs: the next question to its metadata service sees it. */
export function updateInstanceFile(directory: string, file: InstanceFile): void {
  replace(directory, "instance.json", JSON.stringify(file));
}

/** An instance of which nothing is known keeps what it has: that ends by itself. */
export function writeIdentity(directory: string, { agent, profile }: InstanceIdentity): void {
  if (profile) replace(directory, identityFiles.profile, JSON.stringify(profile));
  else rmSync(join(directory, "shared", identityFiles.profile), { force: true });
  const { accessKeyId, secretAccessKey, sessionToken } = agent;
  replace(
    directory,
    identityFiles.agent,
    `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\naws_session_token = ${sessionToken}\n`,
  );
}

/** The instance's root can write there too: what it may have put in the way is never followed. */
function replace(directory: string, name: string, text: string): void {
  const path = join(directory, "shared", name);
  const draft = `${path}.new`;
  rmSync(draft, { recursive: true, force: true });
  writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
  renameSync(draft, path);
}

/** The host's system accounts, without its users and without anybody's password. */
function accounts(): Record<"passwd" | "group" | "shadow", string> {
  const lines = (path: string) => readFileSync(path, "utf8").split("\n").filter(Boolean);
  const system = (path: string) =>
    lines(path).filter((line) => {
      const id = Number(line.split(":")[2]);
      return id < 1000 || id >= 65534;
    });
  const passwd = [...system("/etc/passwd"), "ec2-user:x:1000:1000:EC2 Default User:/home/ec2-user:/bin/bash"];
  return {
    passwd: `${passwd.join("\n")}\n`,
    group: `${[...system("/etc/group"), "ec2-user:x:1000:"].join("\n")}\n`,
    shadow: `${passwd.map((line) => `${line.split(":")[0]}:*:19000:0:99999:7:::`).join("\n")}\n`,
  };
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
