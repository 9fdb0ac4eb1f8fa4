import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import type { ElasticNetworkInterface } from "#agent-protocol/vpc.ts";
import type { ContainerSpec } from "../runtime.ts";
import type { ContainerPlan } from "../task/plan.ts";
import type { ContainerState } from "../task/state.ts";
import { taskDirectory, type TaskContext } from "../task/world.ts";

/** Writes the container's /etc/hosts, /etc/hostname and /etc/resolv.conf; returns their mounts. Links are in place: they were started before. */
export async function writeContainerFiles(
  context: TaskContext,
  container: ContainerPlan,
  state: ContainerState,
  hostname: string | undefined,
  directory: string,
): Promise<ContainerSpec["mounts"]> {
  const host = context.plan.networkMode === "host";
  const { networkInterface } = context.plan;
  if (networkInterface) return sharedFiles(context, container, networkInterface);
  const base = host ? await readFile("/etc/hosts", "utf8").catch(() => loopbackHosts) : loopbackHosts;
  const own = state.network?.address && hostname ? `${state.network.address}\t${hostname}\n` : "";
  const files = new Map([
    ["hosts", `${ensureNewline(base)}${aliasLines(context)}${linkLines(context, container)}${extraLines(container)}${own}`],
    ["resolv.conf", await resolvConf(container, host)],
  ]);
  if (hostname !== undefined) files.set("hostname", `${hostname}\n`);
  return Promise.all(
    [...files].map(async ([name, text]) => {
      const source = `${directory}/${name}`;
      await writeFile(source, text, { mode: 0o644 });
      return { source, target: `/etc/${name}`, readOnly: false };
    }),
  );
}

/**
 * The containers of a task in mode awsvpc share these files as they share the network: written once, and what one of them changes the others see.
 */
async function sharedFiles(
  context: TaskContext,
  container: ContainerPlan,
  network: ElasticNetworkInterface,
): Promise<ContainerSpec["mounts"]> {
  const directory = `${taskDirectory(context.world, context.plan)}/.network`;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const name = network.privateDnsName;
  const extra = [...context.plan.containers.values()].map((each) => extraLines(each)).join("");
  const own = network.ipv4Addresses.map(({ privateAddress }) => `${privateAddress}\t${name}\n`).join("");
  const servers = container.host.Dns?.length ? container.host.Dns : network.domainNameServers;
  const search = container.host.DnsSearch?.length ? container.host.DnsSearch : network.domainName;
  const resolv = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    "",
  ].join("\n");
  const files = [
    ["hosts", `${loopbackHosts}${aliasLines(context)}${extra}${own}`],
    ["resolv.conf", resolv],
    ["hostname", `${name}\n`],
  ] as const;
  return Promise.all(
    files.map(async ([file, text]) => {
      const source = `${directory}/${file}`;
      await writeOnce(source, text);
      return { source, target: `/etc/${file}`, readOnly: false };
    }),
  );
}

/** Whole or not at all: a crash leaves no half of it, and a second container changes nothing. */
async function writeOnce(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.${drafts++}`;
  await writeFile(draft, text, { mode: 0o644 });
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await unlink(draft);
}

let drafts = 0;

const loopbackHosts = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

function linkLines({ plan, state }: TaskContext, container: ContainerPlan): string {
  return container.links
    .map(({ container: name, alias }) => {
      const linked = state().containers.find((other) => other.name === name);
      if (!linked?.network?.address) return "";
      const names = new Set([alias, plan.containers.get(name)?.config.Hostname || linked.id.slice(0, 12), name]);
      return `${linked.network.address}\t${[...names].join(" ")}\n`;
    })
    .join("");
}

/** Service Connect's names, each once. */
function aliasLines({ plan }: TaskContext): string {
  const aliases = plan.payload.serviceConnect?.aliases ?? [];
  return [...new Set(aliases.map(({ address, hostname }) => `${address}\t${hostname}\n`))].join("");
}

/** Docker's `name:address`; the address may be IPv6. */
function extraLines(container: ContainerPlan): string {
  return (container.host.ExtraHosts ?? [])
    .map((entry) => {
      const colon = entry.indexOf(":");
      return `${entry.slice(colon + 1)}\t${entry.slice(0, colon)}\n`;
    })
    .join("");
}

/** The host's resolver, without name servers on loopback, which a container can't reach; the definition's where it gives some. */
export async function resolvConf(container: ContainerPlan, host: boolean): Promise<string> {
  const text = await hostResolvConf(host);
  const lines = text.split("\n").map((line) => line.trim());
  const values = (key: string) =>
    lines.filter((line) => line.startsWith(`${key} `) || line.startsWith(`${key}\t`)).map((line) => line.slice(key.length + 1).trim());
  const servers = container.host.Dns?.length
    ? container.host.Dns
    : values("nameserver").filter((server) => host || !/^(127\.|::1)/.test(server));
  const search = container.host.DnsSearch?.length ? container.host.DnsSearch : values("search").flatMap((value) => value.split(/\s+/));
  return [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...values("options").map((value) => `options ${value}`),
    "",
  ].join("\n");
}

async function hostResolvConf(host: boolean): Promise<string> {
  const text = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
  const onlyStub = /^nameserver\s+127\.0\.0\.53$/m.test(text) && !/^nameserver\s+(?!127\.)/m.test(text);
  return onlyStub && !host ? readFile("/run/systemd/resolve/resolv.conf", "utf8").catch(() => text) : text;
}

function ensureNewline(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}
