import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { EventsOperations } from "#api/generated/events.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { parseArn } from "#model/arn.ts";
import { type EventBusRecord, eventKeys } from "#model/events/records.ts";
import type { EventsEngine } from "#reconcilers/events/engine.ts";
import { policyReader } from "#reconcilers/secrets/access.ts";
import { createWriter } from "#store/unit.ts";
import * as destinations from "./api-destinations.ts";
import * as buses from "./buses.ts";
import * as connections from "./connections.ts";
import type { Events, Operation } from "./context.ts";
import { putEvents } from "./put-events.ts";
import * as rules from "./rules.ts";
import * as tags from "./tags.ts";
import * as targets from "./targets.ts";

/** Amazon EventBridge: buses, rules and their targets. Source: Amazon EventBridge API Reference and User Guide. */
export function createEvents(deps: ServerDeps, engine: EventsEngine): ServerPart {
  const events: Events = { deps, writer: createWriter(deps.store), index: engine.index, full: engine.full };
  const bind =
    <I, O>(operation: Operation<I, O>) =>
    (input: I, context: RequestContext) =>
      operation(events, input, context);
  const handlers = {
    CreateEventBus: bind(buses.createEventBus),
    UpdateEventBus: bind(buses.updateEventBus),
    DeleteEventBus: bind(buses.deleteEventBus),
    DescribeEventBus: bind(buses.describeEventBus),
    ListEventBuses: bind(buses.listEventBuses),
    PutPermission: bind(buses.putPermission),
    RemovePermission: bind(buses.removePermission),
    PutRule: bind(rules.putRule),
    DescribeRule: bind(rules.describeRule),
    ListRules: bind(rules.listRules),
    ListRuleNamesByTarget: bind(rules.listRuleNamesByTarget),
    DeleteRule: bind(rules.deleteRule),
    EnableRule: bind(rules.enableRule),
    DisableRule: bind(rules.disableRule),
    TestEventPattern: bind(rules.testEventPattern),
    PutTargets: bind(targets.putTargets),
    RemoveTargets: bind(targets.removeTargets),
    ListTargetsByRule: bind(targets.listTargetsByRule),
    PutEvents: bind(putEvents),
    CreateConnection: bind(connections.createConnection),
    UpdateConnection: bind(connections.updateConnection),
    DescribeConnection: bind(connections.describeConnection),
    ListConnections: bind(connections.listConnections),
    DeauthorizeConnection: bind(connections.deauthorizeConnection),
    DeleteConnection: bind(connections.deleteConnection),
    CreateApiDestination: bind(destinations.createApiDestination),
    UpdateApiDestination: bind(destinations.updateApiDestination),
    DescribeApiDestination: bind(destinations.describeApiDestination),
    ListApiDestinations: bind(destinations.listApiDestinations),
    DeleteApiDestination: bind(destinations.deleteApiDestination),
    ListTagsForResource: bind(tags.listTagsForResource),
    TagResource: bind(tags.tagResource),
    UntagResource: bind(tags.untagResource),
  } satisfies Handlers<EventsOperations>;
  const read = policyReader();
  return {
    registrations: [{ service: "events", handlers: handlers as Readonly<Record<string, Handler>> }],
    resources: [tagFacts(deps.store, "events", tags.keyOfArn)],
    resourcePolicies: [
      {
        service: "events",
        async resourcePolicies(resource) {
          const arn = parseArn(resource);
          if (!arn?.resource.startsWith("event-bus/")) return [];
          const key = eventKeys.bus(arn, arn.resource.slice("event-bus/".length));
          const policy = (await deps.store.get<EventBusRecord>(key))?.value.policy;
          return policy === undefined ? [] : [read(resource, policy)];
        },
      },
    ],
    start: () => engine.start(),
    stop: () => engine.stop(),
    async status() {
      const { waiting, failures } = engine.status();
      return { name: "events", detail: `${waiting} wait for their targets, ${failures} did not reach theirs since the start` };
    },
    gauges: () => [{ name: "gantry_events_waiting", help: "Events that wait for their targets.", value: engine.status().waiting }],
  };
}
