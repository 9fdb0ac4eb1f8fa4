import type * as Sdk from "@aws-sdk/client-route-53";
import { ApiError, type Handler, type RequestContext, type ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { Route53Operations } from "#api/generated/route53.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import { compare, type HostedZone, hostedZones, needZone, order, recordsOf, zoneView } from "./zones.ts";

/** Amazon Route 53 as far as Cloud Map makes its private zones: they are read here and changed there. Source: Amazon Route 53 API Reference. */
export function createRoute53({ store, sealer }: ServerDeps): ServerPart {
  const limitOf = (given: number | undefined, most: number): number => {
    if (given === undefined) return most;
    if (!Number.isInteger(given) || given < 1) throw invalid(`MaxItems must be a positive number: ${given}`);
    return Math.min(given, most);
  };
  const views = async (zones: readonly HostedZone[], account: string) => {
    const all: Sdk.HostedZone[] = [];
    for (const zone of zones) all.push(await zoneView(store, account, zone));
    return all;
  };

  const handlers = {
    async GetHostedZone({ Id = "" }, { account }) {
      const zone = await needZone(store, account, Id);
      return {
        HostedZone: await zoneView(store, account, zone),
        VPCs: [{ VPCRegion: zone.region as Sdk.VPCRegion, VPCId: zone.dns.vpcId }],
      };
    },
    async GetHostedZoneCount(_input, { account }) {
      return { HostedZoneCount: (await hostedZones(store, account)).length };
    },
    async ListHostedZones(input, { account }) {
      const limit = limitOf(input.MaxItems, 100);
      const type: string | undefined = input.HostedZoneType;
      if (type !== undefined && type !== "PrivateHostedZone") throw invalid(`HostedZoneType must be PrivateHostedZone: ${type}`);
      // None of our zones is of a reusable delegation set.
      const all = (input.DelegationSetId === undefined ? await hostedZones(store, account) : []).toSorted((a, b) => compare(a.id, b.id));
      const from = input.Marker === undefined ? 0 : all.findIndex(({ id }) => id >= input.Marker!);
      const rest = from < 0 ? [] : all.slice(from);
      const next = rest[limit]?.id;
      return {
        HostedZones: await views(rest.slice(0, limit), account),
        Marker: input.Marker ?? "",
        IsTruncated: next !== undefined,
        ...(next === undefined ? {} : { NextMarker: next }),
        MaxItems: limit,
      };
    },
    async ListHostedZonesByName(input, { account }) {
      const limit = limitOf(input.MaxItems, 100);
      if (input.HostedZoneId !== undefined && input.DNSName === undefined) throw invalid("HostedZoneId needs DNSName beside it.");
      const start = order((input.DNSName ?? "").toLowerCase());
      const rest = (await hostedZones(store, account)).filter(({ name, id }) => {
        const at = compare(order(name), start);
        return at > 0 || (at === 0 && id >= (input.HostedZoneId ?? ""));
      });
      const next = rest[limit];
      return {
        HostedZones: await views(rest.slice(0, limit), account),
        ...(input.DNSName === undefined ? {} : { DNSName: input.DNSName }),
        ...(input.HostedZoneId === undefined ? {} : { HostedZoneId: input.HostedZoneId }),
        IsTruncated: next !== undefined,
        ...(next ? { NextDNSName: next.name, NextHostedZoneId: next.id } : {}),
        MaxItems: limit,
      };
    },
    async ListHostedZonesByVPC(input, { account }) {
      const limit = limitOf(input.MaxItems, 100);
      const region: string = input.VPCRegion!;
      const found = (await hostedZones(store, account)).filter((zone) => zone.dns.vpcId === input.VPCId && zone.region === region);
      const { items, nextToken } = pageOf(sealer, found, ({ name, id }) => `${order(name)} ${id}`, {
        scope: JSON.stringify(["ListHostedZonesByVPC", account, region, input.VPCId]),
        limit,
        token: input.NextToken,
        badToken: () => new ApiError("InvalidPaginationToken", "The specified NextToken is not valid."),
      });
      return {
        HostedZoneSummaries: items.map(({ id, name }) => ({
          HostedZoneId: id,
          Name: name,
          Owner: { OwningService: "servicediscovery.amazonaws.com" },
        })),
        MaxItems: limit,
        ...(nextToken === undefined ? {} : { NextToken: nextToken }),
      };
    },
    async ListResourceRecordSets(input, { account }) {
      const limit = limitOf(input.MaxItems, 300);
      const { StartRecordName, StartRecordType, StartRecordIdentifier } = input;
      if (StartRecordType !== undefined && StartRecordName === undefined) throw invalid("The type of the first record needs its name.");
      if (StartRecordIdentifier !== undefined && StartRecordType === undefined)
        throw invalid("The identifier of the first record needs its type.");
      const start = [order((StartRecordName ?? "").toLowerCase()), StartRecordType ?? "", StartRecordIdentifier ?? ""];
      const all = await recordsOf(store, account, await needZone(store, account, input.HostedZoneId ?? ""));
      const from = all.findIndex((each) => {
        const place = [order(each.Name ?? ""), each.Type ?? "", each.SetIdentifier ?? ""];
        const different = place.findIndex((part, at) => part !== start[at]);
        return different < 0 || compare(place[different]!, start[different]!) > 0;
      });
      const rest = from < 0 ? [] : all.slice(from);
      const next = rest[limit];
      return {
        ResourceRecordSets: rest.slice(0, limit),
        IsTruncated: next !== undefined,
        ...(next ? { NextRecordName: next.Name, NextRecordType: next.Type, NextRecordIdentifier: next.SetIdentifier } : {}),
        MaxItems: limit,
      };
    },
    async ListTagsForResource({ ResourceType, ResourceId = "" }, { account }: RequestContext) {
      if (ResourceType !== "hostedzone") throw new ApiError("NoSuchHealthCheck", `No health check exists with the ID ${ResourceId}.`, 404);
      const { id } = await needZone(store, account, ResourceId);
      return { ResourceTagSet: { ResourceType, ResourceId: id, Tags: [] } };
    },
  } satisfies Handlers<Route53Operations>;
  return { registrations: [{ service: "route53", handlers: handlers as Readonly<Record<string, Handler>> }] };
}

const invalid = (message: string) => new ApiError("InvalidInput", message);
