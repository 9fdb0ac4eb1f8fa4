import { passRoles } from "./pass-role.ts";
import { each, type Input, type Need, none, type Resources, type ServiceActions, textAt, valuesAt, type Where } from "./table.ts";

const arn = ({ region, account }: Where, resource: string) => `arn:aws:events:${region}:${account}:${resource}`;

const busArn = (where: Where, given: string | undefined) =>
  given?.startsWith("arn:") ? given : arn(where, `event-bus/${given ?? "default"}`);

/** A rule of another bus than the default one has the bus in its ARN. */
const rule =
  (member: string): Resources =>
  (input, where) => {
    const name = textAt(input, member) ?? "*";
    const given = textAt(input, "EventBusName");
    const [, , , region = where.region, account = where.account] = given?.startsWith("arn:") ? given.split(":") : [];
    const bus = given === undefined ? "default" : given.slice(given.lastIndexOf("/") + 1);
    return [arn({ ...where, region, account }, `rule/${bus === "default" ? "" : `${bus}/`}${name}`)];
  };

const bus =
  (member: string): Resources =>
  (input, where) => [busArn(where, textAt(input, member))];

interface Entry {
  readonly EventBusName?: string;
  readonly Source?: string;
  readonly DetailType?: string;
}

const entriesOf = (input: Input) => (Array.isArray(input["Entries"]) ? (input["Entries"] as readonly Entry[]) : []);
const entryKeys = (entry: Entry | undefined) => ({ "events:source": entry?.Source, "events:detail-type": entry?.DetailType });

const service = "events.amazonaws.com";
const connection = "connection/{Name}/*";
const destination = "api-destination/{Name}/*";

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EventBridge". */
export const events: ServiceActions = {
  prefix: "events",
  operations: {
    ...each(rule("Name"), "DescribeRule DeleteRule EnableRule DisableRule"),
    ...each(rule("Rule"), "RemoveTargets ListTargetsByRule"),
    PutRule: {
      on: rule("Name"),
      keys: (input) => patternKeys(textAt(input, "EventPattern")),
      also: (input, where) => passRoles(input, where, service, "RoleArn"),
      tagging: { action: "TagResource" },
    },
    PutTargets: {
      on: rule("Rule"),
      keys: (input) => ({ "events:TargetArn": valuesAt(input, ["Targets", "Arn"]) }),
      also: (input, where) => passRoles(input, where, service, "Targets.RoleArn"),
    },
    PutEvents: {
      on: (input, where) => [busArn(where, entriesOf(input)[0]?.EventBusName)],
      keys: (input) => entryKeys(entriesOf(input)[0]),
      // Each entry by itself: its source may be what a policy asks about.
      also: (input, where) =>
        entriesOf(input)
          .slice(1)
          .map((entry): Need => ({
            action: "events:PutEvents",
            resources: [busArn(where, entry.EventBusName)],
            account: where.account,
            keys: entryKeys(entry),
          })),
    },
    ...each(none, "TestEventPattern ListRules ListRuleNamesByTarget ListEventBuses ListConnections ListApiDestinations"),
    CreateEventBus: { on: bus("Name"), tagging: { action: "TagResource" } },
    ...each(bus("Name"), "UpdateEventBus DeleteEventBus DescribeEventBus"),
    ...each(bus("EventBusName"), "PutPermission RemovePermission"),
    ...each(connection, "CreateConnection UpdateConnection DescribeConnection DeauthorizeConnection DeleteConnection"),
    ...each(destination, "CreateApiDestination UpdateApiDestination DescribeApiDestination DeleteApiDestination"),
    ...each("{ResourceARN}", "ListTagsForResource TagResource UntagResource"),
  },
};

/** What a pattern says of source and detail type, where it names them. */
function patternKeys(pattern: string | undefined) {
  if (pattern === undefined) return {};
  try {
    const value = JSON.parse(pattern) as Input;
    const texts = (member: string) => {
      const found = valuesAt(value, [member]);
      return found.length > 0 ? found : undefined;
    };
    return { "events:source": texts("source"), "events:detail-type": texts("detail-type") };
  } catch {
    // The handler says what is wrong with it.
    return {};
  }
}
