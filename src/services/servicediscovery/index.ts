import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { ServicediscoveryOperations } from "#api/generated/servicediscovery.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { createDnsPort } from "#reconcilers/names/dns-port.ts";
import { createWriter } from "#store/unit.ts";
import { asking, type Change, changing, type Question } from "./context.ts";
import { discoverInstances, discoverInstancesRevision } from "./discover.ts";
import * as instances from "./instances.ts";
import * as namespaces from "./namespaces.ts";
import { getOperation, listOperations, sweepOperations } from "./operations.ts";
import * as services from "./services.ts";
import { listTagsForResource, tagResource, untagResource } from "./tags.ts";

const sweepMs = 60 * 60 * 1000;

/** AWS Cloud Map: names of services and where their instances are; and the machine's own port that answers them. Source: AWS Cloud Map API Reference. */
export function createServiceDiscovery(serverDeps: ServerDeps): ServerPart {
  const { store, clock, config } = serverDeps;
  const deps = { ...serverDeps, writer: createWriter(store) };
  const log = serverDeps.log.child({ part: "names" });
  const change = <I, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, operation);
  const ask = <I, O>(operation: (question: Question, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateHttpNamespace: change(namespaces.createHttpNamespace),
    CreatePrivateDnsNamespace: change(namespaces.createPrivateDnsNamespace),
    DeleteNamespace: change(namespaces.deleteNamespace),
    GetNamespace: ask(namespaces.getNamespace),
    ListNamespaces: ask(namespaces.listNamespaces),
    UpdateHttpNamespace: change(namespaces.updateHttpNamespace),
    UpdatePrivateDnsNamespace: change(namespaces.updatePrivateDnsNamespace),
    CreateService: change(services.createService),
    UpdateService: change(services.updateService),
    DeleteService: change(services.deleteService),
    GetService: ask(services.getService),
    ListServices: ask(services.listServices),
    GetServiceAttributes: ask(services.getServiceAttributes),
    UpdateServiceAttributes: change(services.updateServiceAttributes),
    DeleteServiceAttributes: change(services.deleteServiceAttributes),
    RegisterInstance: change(instances.registerInstance),
    DeregisterInstance: change(instances.deregisterInstance),
    UpdateInstanceCustomHealthStatus: change(instances.updateInstanceCustomHealthStatus),
    GetInstance: ask(instances.getInstance),
    ListInstances: ask(instances.listInstances),
    GetInstancesHealthStatus: ask(instances.getInstancesHealthStatus),
    DiscoverInstances: ask(discoverInstances),
    DiscoverInstancesRevision: ask(discoverInstancesRevision),
    GetOperation: ask(getOperation),
    ListOperations: ask(listOperations),
    TagResource: change(tagResource),
    UntagResource: change(untagResource),
    ListTagsForResource: ask(listTagsForResource),
  } satisfies Handlers<ServicediscoveryOperations>;

  const dns = config.dnsPort === undefined ? undefined : createDnsPort({ ...deps, log, address: config.bind, port: config.dnsPort });
  let cancel: (() => void) | undefined;
  const sweep = (): void => {
    cancel = clock.after(sweepMs, () => {
      sweepOperations(store, clock.now()).catch((error: unknown) => log.warn({ err: error }, "old operations could not be forgotten"));
      sweep();
    });
  };
  return {
    resources: [
      tagFacts(deps.store, "servicediscovery", (scope) => {
        const [, kind, id = ""] = /^(namespace|service)\/([^/]+)$/.exec(scope.resource) ?? [];
        return kind === undefined ? undefined : kind === "namespace" ? cloudMapKeys.namespace(scope, id) : cloudMapKeys.service(scope, id);
      }),
    ],
    registrations: [{ service: "servicediscovery", handlers: handlers as Readonly<Record<string, Handler>> }],
    async start() {
      sweep();
      await dns?.start();
    },
    async stop() {
      cancel?.();
      await dns?.stop();
    },
    async status() {
      const at = dns?.port === undefined ? `DNS port ${config.dnsPort} is not to be had` : `names answered on ${config.bind}:${dns.port}`;
      return { name: "names", detail: dns ? at : "no DNS port" };
    },
  };
}
