import type { Network } from "#agent/network/network.ts";
import type { Attachment } from "#agent/task/state.ts";

/** A network that only keeps account: what is attached and not given back. */
export class ScriptedNetwork implements Network {
  readonly attached = new Set<string>();
  #adopted: Attachment[] = [];
  readonly gateway = undefined;
  #next = 2;
  #port = 49153;

  allocate(plan: Parameters<Network["allocate"]>[0], container: Parameters<Network["allocate"]>[1]): Attachment {
    if (plan.networkMode === "host") return { mode: "host", bindings: [] };
    const bindings = (container.definition.portMappings ?? []).map(({ containerPort = 0, hostPort, protocol }) => ({
      protocol,
      containerPort,
      hostPort: hostPort || this.#port++,
    }));
    return { mode: "bridge", namespace: `ns-${this.#next}`, address: `172.30.0.${this.#next++}`, bindings };
  }

  allocateOwn(): Attachment {
    return { mode: "awsvpc", namespace: `ns-${this.#next++}`, bindings: [] };
  }

  async attach({ namespace }: Attachment) {
    if (namespace) this.attached.add(namespace);
  }

  async published() {}
  async serviceConnect() {}

  async detach({ namespace }: Attachment) {
    if (namespace) this.attached.delete(namespace);
  }

  adopt(attachment: Attachment) {
    this.#adopted.push(attachment);
    if (attachment.namespace) this.attached.add(attachment.namespace);
  }

  async reconcile() {
    const known = new Set(this.#adopted.map(({ namespace }) => namespace));
    for (const namespace of this.attached) if (!known.has(namespace)) this.attached.delete(namespace);
    this.#adopted = [];
  }
  async updateVpcs() {}
  async vpcStands(vpcId: string) {
    return vpcId;
  }
  async refresh() {}
  path(namespace: string) {
    return `/run/netns/${namespace}`;
  }
  async counters() {
    return undefined;
  }
  async tearDown() {
    this.attached.clear();
  }
  async close() {}
}
