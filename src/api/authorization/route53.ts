import { each, none, type Resources, type ServiceActions, textAt } from "./table.ts";

/** Ids are given with and without `/hostedzone/`. */
const zone =
  (member: string): Resources =>
  (input) => {
    const id = textAt(input, member);
    return id === undefined ? [] : [`arn:aws:route53:::hostedzone/${id.slice(id.lastIndexOf("/") + 1)}`];
  };

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Route 53". */
export const route53: ServiceActions = {
  prefix: "route53",
  regional: false,
  ownerless: true,
  operations: {
    ...each(zone("Id"), "GetHostedZone DeleteHostedZone UpdateHostedZoneComment"),
    ...each(
      zone("HostedZoneId"),
      "ListResourceRecordSets ChangeResourceRecordSets AssociateVPCWithHostedZone DisassociateVPCFromHostedZone",
    ),
    ...each("{ResourceType}/{ResourceId}", "ListTagsForResource ChangeTagsForResource"),
    ...each("change/{Id}", "GetChange"),
    ...each(none, "GetHostedZoneCount ListHostedZones ListHostedZonesByName ListHostedZonesByVPC CreateHostedZone"),
  },
};
