import { each, type Input, type Keys, none, type ServiceActions, textAt, type Where } from "./table.ts";

const inService = (input: Input, { region, account }: Where): Keys => {
  const id = textAt(input, "ServiceId");
  return {
    "servicediscovery:ServiceArn": id?.startsWith("arn:") ? id : id && `arn:aws:servicediscovery:${region}:${account}:service/${id}`,
  };
};

const discovery = (input: Input): Keys => ({
  "servicediscovery:NamespaceName": textAt(input, "NamespaceName"),
  "servicediscovery:ServiceName": textAt(input, "ServiceName"),
});

const tagging = { action: "TagResource", on: "*" } as const;

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Cloud Map". */
export const servicediscovery: ServiceActions = {
  prefix: "servicediscovery",
  operations: {
    ...each(none, "GetOperation ListNamespaces ListOperations ListServices ListTagsForResource TagResource UntagResource"),
    ...each("namespace/{Id}", "DeleteNamespace GetNamespace UpdateHttpNamespace UpdatePrivateDnsNamespace UpdatePublicDnsNamespace"),
    ...each("service/{Id}", "DeleteService GetService UpdateService"),
    ...each("service/{ServiceId}", "DeleteServiceAttributes GetServiceAttributes UpdateServiceAttributes"),
    CreateHttpNamespace: { on: none, tagging },
    CreatePrivateDnsNamespace: { on: none, tagging },
    CreatePublicDnsNamespace: { on: none, tagging },
    CreateService: { on: "namespace/{NamespaceId}", tagging },
    RegisterInstance: { on: "service/{ServiceId}", keys: inService },
    DeregisterInstance: { on: "service/{ServiceId}", keys: inService },
    GetInstance: { on: none, keys: inService },
    GetInstancesHealthStatus: { on: none, keys: inService },
    ListInstances: { on: none, keys: inService },
    UpdateInstanceCustomHealthStatus: { on: none, keys: inService },
    DiscoverInstances: { on: none, keys: discovery },
    DiscoverInstancesRevision: { on: none, keys: discovery },
  },
};
