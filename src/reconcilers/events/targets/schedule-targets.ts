import { serviceTable, type ServiceTable } from "#api/schema.ts";
import { services } from "#api/services.ts";
import { asRole } from "../as-role.ts";
import { DeliveryFailure } from "../failure.ts";
import { type Deliver, serviceOf, type TargetDeps } from "./target.ts";
import type { DeliveryRecord } from "#model/events/records.ts";

const roleOf = ({ store, clock }: TargetDeps, record: DeliveryRecord) => {
  const { target, origin, account, region } = record;
  return asRole(store, target.RoleArn ?? "", {
    service: serviceOf(record),
    sessionName: origin.name,
    now: clock.now(),
    source: origin.arn,
    account,
    region,
  });
};

/** EventBridge's PutEvents: the input is the event's detail. */
export const putEvents: Deliver = async (deps, record, payload) => {
  const { target, region } = record;
  const { DetailType, Source } = target["EventBridgeParameters"] as { DetailType: string; Source: string };
  const entry = { EventBusName: target.Arn, DetailType, Source, Detail: payload, Resources: [record.origin.arn] };
  const output = await deps.caller.call({
    principal: await roleOf(deps, record),
    region,
    service: "events",
    operation: "PutEvents",
    input: { Entries: [entry] },
    by: serviceOf(record),
  });
  const [result] = output["Entries"] as readonly { ErrorCode?: string; ErrorMessage?: string }[];
  if (result?.ErrorCode !== undefined) throw new DeliveryFailure(`${result.ErrorCode}: ${result.ErrorMessage ?? ""}`, false);
};

/** The SDK's names, which universal targets use, where ours are others. */
const renamed: Readonly<Record<string, string>> = {
  eventbridge: "events",
  cloudwatchlogs: "logs",
  elasticloadbalancingv2: "elbv2",
  ecrpublic: "ecr-public",
  applicationautoscaling: "application-autoscaling",
};

/** `arn:aws:scheduler:::aws-sdk:<service>:<operation>` → what it calls; undefined when it is none of ours. */
export function universalTarget(arn: string): { readonly service: string; readonly operation: string } | undefined {
  const [, name = "", action = ""] = /^arn:aws:scheduler:::aws-sdk:([a-z0-9]+):(\w+)$/i.exec(arn) ?? [];
  const service = renamed[name.toLowerCase()] ?? name.toLowerCase();
  if (!services.some((each) => each.service === service)) return undefined;
  const operation = action[0]!.toUpperCase() + action.slice(1);
  return Object.hasOwn(serviceTable(service).operations, operation) ? { service, operation } : undefined;
}

/** Any operation of AWS that changes something. The input's members may be written as the SDKs for Java do: `DesiredCount` for `desiredCount`. */
export const universal: Deliver = async (deps, record, payload) => {
  const call = universalTarget(record.target.Arn);
  if (!call) throw new DeliveryFailure(`There is no operation ${record.target.Arn}.`, false);
  let given: unknown;
  try {
    given = JSON.parse(payload);
  } catch {
    throw new DeliveryFailure("The input is no JSON.", false);
  }
  const table = serviceTable(call.service);
  const input = asNamed(table, table.operations[call.operation]!.i, given) as Readonly<Record<string, unknown>>;
  await deps.caller.call({ principal: await roleOf(deps, record), region: record.region, ...call, input, by: serviceOf(record) });
};

/** The value with each member called as the schema calls it, whatever the case of its first letter. */
function asNamed(table: ServiceTable, ref: string, value: unknown): unknown {
  const shape = table.shapes[ref];
  if (!shape || typeof value !== "object" || value === null) return value;
  if ("l" in shape) return Array.isArray(value) ? value.map((each) => asNamed(table, shape.l[0], each)) : value;
  if ("m" in shape) return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asNamed(table, shape.m[1][0], each)]));
  const names = new Map(Object.keys(shape.s).map((name) => [name.toLowerCase(), name]));
  return Object.fromEntries(
    Object.entries(value).map(([given, each]) => {
      const name = Object.hasOwn(shape.s, given) ? given : (names.get(given.toLowerCase()) ?? given);
      return [name, asNamed(table, shape.s[name]?.[0] ?? "", each)];
    }),
  );
}
