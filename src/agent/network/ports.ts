import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import type { PayloadPortMapping } from "#agent-protocol/messages.ts";
import type { PortBinding } from "../task/state.ts";

/** Host ports kept bound for the next containers. */
const spareCount = 8;

type Protocol = "tcp" | "udp";

/**
 * Host ports of this agent. Taken ports are also bound by this process while it lives, so that nothing else of the host takes a port
 * whose traffic the kernel forwards to a container, and the kernel gives it to no outgoing connection.
 */
export class HostPorts {
  readonly #first: number;
  readonly #last: number;
  readonly #taken = { tcp: new Set<number>(), udp: new Set<number>() };
  readonly #held = new Map<string, Server | Socket>();
  /** Dynamic ports bound in advance. */
  readonly #spares: number[] = [];
  #next: number;

  constructor(range: { readonly first: number; readonly last: number }) {
    this.#first = range.first;
    this.#last = range.last;
    this.#next = range.first;
  }

  /** Bindings for a container's port mappings. Throws when a port is taken; then nothing is. */
  allocate(mappings: readonly PayloadPortMapping[]): readonly PortBinding[] {
    const bindings: PortBinding[] = [];
    try {
      for (const mapping of mappings) bindings.push(this.#allocateOne(mapping));
      return bindings;
    } catch (error) {
      this.give(bindings);
      throw error;
    }
  }

  #allocateOne({ containerPort, hostPort, containerPortRange, protocol: named }: PayloadPortMapping): PortBinding {
    const protocol = named === "udp" ? "udp" : "tcp";
    const [first, last] = (containerPortRange ?? "").split("-").map(Number);
    const count = containerPortRange && first && last ? last - first + 1 : 1;
    const inside = first || (containerPort ?? 0);
    if (count < 1 || inside < 1 || inside + count - 1 > 65535)
      throw new Error(`not a container port: ${containerPortRange ?? containerPort}`);
    const outside = hostPort || (protocol === "tcp" && count === 1 && this.#spares.shift()) || this.#findFree(protocol, count);
    // Whether somebody else has a port that was asked for is found when it is bound.
    if (this.#taken[protocol].has(outside)) throw new Error(`Bind for 0.0.0.0:${outside} failed: port is already allocated`);
    for (let port = outside; port < outside + count; port++) this.#taken[protocol].add(port);
    return { protocol, containerPort: inside, hostPort: outside, containerPortEnd: containerPortRange ? inside + count - 1 : undefined };
  }

  /** Binds some dynamic ports in advance: looking through the host's sockets when a task starts would take milliseconds. */
  async fillSpares(): Promise<void> {
    for (let tries = 0; this.#spares.length < spareCount && tries < 4 * spareCount; tries++) {
      const port = this.#findFree("tcp", 1, new Set());
      try {
        this.#held.set(`tcp/${port}`, await bind("tcp", port));
        if (this.#taken.tcp.has(port)) continue;
        this.#spares.push(port);
      } catch {
        // Somebody else's.
      }
    }
  }

  #findFree(protocol: Protocol, count: number, inUse = portsInUse(protocol)): number {
    const size = this.#last - this.#first + 1;
    for (let step = 0; step < size; step++) {
      const start = this.#first + ((this.#next - this.#first + step) % size);
      if (start + count - 1 > this.#last) continue;
      const free = (port: number) => !this.#taken[protocol].has(port) && !inUse.has(port) && !this.#held.has(`${protocol}/${port}`);
      if (!Array.from({ length: count }, (_, index) => start + index).every(free)) continue;
      this.#next = start + count > this.#last ? this.#first : start + count;
      return start;
    }
    throw new Error(`no ${count} free ${protocol} ports between ${this.#first} and ${this.#last}`);
  }

  /** Bindings of the journal: theirs already. */
  reserve(bindings: readonly PortBinding[]): void {
    for (const { protocol, port } of portsOf(bindings)) this.#taken[protocol].add(port);
  }

  give(bindings: readonly PortBinding[]): void {
    for (const { protocol, port } of portsOf(bindings)) {
      this.#taken[protocol].delete(port);
      this.#held.get(`${protocol}/${port}`)?.close();
      this.#held.delete(`${protocol}/${port}`);
    }
  }

  /** Binds the ports. Rejects when somebody else has one. */
  async hold(bindings: readonly PortBinding[]): Promise<void> {
    await Promise.all(
      portsOf(bindings).map(async ({ protocol, port }) => {
        const key = `${protocol}/${port}`;
        if (this.#held.has(key)) return;
        this.#held.set(key, await bind(protocol, port));
      }),
    );
  }

  close(): void {
    for (const socket of this.#held.values()) socket.close();
    this.#held.clear();
  }
}

/** Every host port of the bindings with its container port. */
export function portsOf(bindings: readonly PortBinding[]): { protocol: Protocol; port: number; inside: number }[] {
  return bindings.flatMap(({ protocol, containerPort, containerPortEnd, hostPort }) =>
    Array.from({ length: (containerPortEnd ?? containerPort) - containerPort + 1 }, (_, index) => ({
      protocol,
      port: hostPort + index,
      inside: containerPort + index,
    })),
  );
}

function bind(protocol: Protocol, port: number): Promise<Server | Socket> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new Error(`Bind for 0.0.0.0:${port} failed: port is already allocated`) : error);
    if (protocol === "udp") {
      const socket = createSocket("udp4");
      socket.unref().once("error", fail);
      socket.bind(port, "0.0.0.0", () => resolve(socket.off("error", fail)));
      return;
    }
    const server = createServer((connection) => connection.destroy());
    server.unref().once("error", fail);
    server.listen(port, "0.0.0.0", () => resolve(server.off("error", fail)));
  });
}

/** Ports that some socket of the host listens on (TCP) or is bound to (UDP). */
function portsInUse(protocol: Protocol): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const file of [protocol, `${protocol}6`]) {
    let text = "";
    try {
      text = readFileSync(`/proc/net/${file}`, "utf8");
    } catch {
      // A kernel without IPv6.
    }
    for (const line of text.split("\n").slice(1)) {
      const [, local = "", , state] = line.trim().split(/\s+/);
      if (protocol === "udp" || state === "0A") ports.add(Number.parseInt(local.split(":")[1] ?? "", 16));
    }
  }
  return ports;
}
