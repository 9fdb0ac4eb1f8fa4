import type {
  DeleteMetricFilterCommandInput,
  DescribeMetricFiltersCommandInput,
  DescribeMetricFiltersCommandOutput,
  InputLogEvent,
  PutMetricFilterCommandInput,
  TestMetricFilterCommandInput,
  TestMetricFilterCommandOutput,
} from "@aws-sdk/client-cloudwatch-logs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import type { Measurement } from "#platform/metric-sink.ts";
import { errors } from "./errors.ts";
import { findGroup } from "./groups.ts";
import { PatternError } from "./pattern/errors.ts";
import { compileExtract, type Extract, extractAll } from "./pattern/extract.ts";
import { type Matcher, parsePattern } from "./pattern/pattern.ts";
import { type GroupRecord, keys, type MetricFilterRecord, type Scope } from "./records.ts";
import { checkGroupName, checkNumber, checkText } from "./rules.ts";
import type { LogsState } from "./state.ts";
import type { NewEvent } from "./storage/frames.ts";

type Output<T> = Omit<T, "$metadata">;

const maxFilters = 100;
const filterName = (member: string, name: string) => checkText(member, name, { pattern: /^[^:*]*$/ });

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof PatternError ? errors.invalid(error.message) : error;
  }
}

export async function putMetricFilter(state: LogsState, input: PutMetricFilterCommandInput, context: RequestContext): Promise<object> {
  checkGroupName(input.logGroupName!);
  filterName("filterName", input.filterName!);
  checkText("filterPattern", input.filterPattern!, { min: 0, max: 1024 });
  if (input.fieldSelectionCriteria !== undefined || input.emitSystemFieldDimensions?.length || input.applyOnTransformedLogs)
    throw errors.notYet("fieldSelectionCriteria, emitSystemFieldDimensions and applyOnTransformedLogs");
  if (input.metricTransformations!.length !== 1) throw errors.invalid("Exactly one metric transformation must be specified.");
  const { metricName, metricNamespace, metricValue, defaultValue, dimensions, unit } = input.metricTransformations![0]!;
  checkText("metricTransformations.1.member.metricName", metricName!, { max: 255, pattern: /^[^:*$]*$/ });
  checkText("metricTransformations.1.member.metricNamespace", metricNamespace!, { max: 255, pattern: /^[^:*$]*$/ });
  checkText("metricTransformations.1.member.metricValue", metricValue!, { max: 100 });
  if (!metricValue!.startsWith("$") && !Number.isFinite(Number(metricValue)))
    throw errors.invalid("Invalid metric transformation: metricValue must be a number or a selector.");
  if (dimensions && Object.keys(dimensions).length > 3) throw errors.invalid("A metric filter can have 3 dimensions at most.");
  if (dimensions && Object.keys(dimensions).length > 0 && defaultValue !== undefined)
    throw errors.invalid("Invalid metric transformation: dimensions and default value are mutually exclusive properties.");
  const record: MetricFilterRecord = {
    name: input.filterName!,
    group: input.logGroupName!,
    pattern: input.filterPattern!,
    created: context.now,
    transformation: {
      metricName: metricName!,
      metricNamespace: metricNamespace!,
      metricValue: metricValue!,
      defaultValue,
      dimensions,
      unit,
    },
  };
  translated(() => compile(record));
  const { value: group } = await findGroup(state, context, record.group);
  const key = keys.filter(context, group.id, record.name);
  const { entries } = await state.deps.store.list(keys.filters(context, group.id));
  if (entries.length >= maxFilters && !entries.some((entry) => entry.key === key)) throw errors.limit();
  await state.deps.store.transaction({ writes: [{ put: key, value: record }] });
  return {};
}

export async function deleteMetricFilter(
  state: LogsState,
  input: DeleteMetricFilterCommandInput,
  context: RequestContext,
): Promise<object> {
  checkGroupName(input.logGroupName!);
  filterName("filterName", input.filterName!);
  const { value: group } = await findGroup(state, context, input.logGroupName!);
  const key = keys.filter(context, group.id, input.filterName!);
  if (!(await state.deps.store.get(key))) throw errors.filterMissing();
  await state.deps.store.transaction({ writes: [{ delete: key }] });
  return {};
}

export async function describeMetricFilters(
  state: LogsState,
  input: DescribeMetricFiltersCommandInput,
  context: RequestContext,
): Promise<Output<DescribeMetricFiltersCommandOutput>> {
  const { logGroupName, filterNamePrefix: prefix, metricName, metricNamespace } = input;
  if (logGroupName !== undefined) checkGroupName(logGroupName);
  if (prefix !== undefined) filterName("filterNamePrefix", prefix);
  checkNumber("limit", input.limit, 1, 50);
  if ((metricName === undefined) !== (metricNamespace === undefined))
    throw errors.invalid("metricName and metricNamespace must be specified together.");
  const group = logGroupName === undefined ? undefined : (await findGroup(state, context, logGroupName)).value;
  const { entries } = await state.deps.store.list<MetricFilterRecord>(group ? keys.filters(context, group.id) : keys.allFilters(context));
  const found = entries
    .map(({ value }) => value)
    .filter(
      ({ name, transformation }) =>
        name.startsWith(prefix ?? "") &&
        (metricName === undefined || (transformation.metricName === metricName && transformation.metricNamespace === metricNamespace)),
    )
    .sort((a, b) => (positionOf(a) < positionOf(b) ? -1 : 1));
  const page = pageOf(state.deps.sealer, found, positionOf, {
    scope: JSON.stringify(["DescribeMetricFilters", context.account, context.region, logGroupName, prefix, metricName, metricNamespace]),
    limit: input.limit ?? 50,
    token: input.nextToken,
    badToken: errors.badToken,
  });
  return {
    metricFilters: page.items.map(({ name, group: logGroup, pattern, created, transformation }) => ({
      filterName: name,
      filterPattern: pattern,
      logGroupName: logGroup,
      creationTime: created,
      metricTransformations: [transformation as never],
      applyOnTransformedLogs: false,
    })),
    nextToken: page.nextToken,
  };
}

const positionOf = ({ name, group }: MetricFilterRecord) => `${name}\u0001${group}`;

export async function testMetricFilter(
  _state: LogsState,
  input: TestMetricFilterCommandInput,
  _context: RequestContext,
): Promise<Output<TestMetricFilterCommandOutput>> {
  checkText("filterPattern", input.filterPattern!, { min: 0, max: 1024 });
  const messages = input.logEventMessages!;
  if (messages.length < 1 || messages.length > 50) throw errors.invalid("logEventMessages must have between 1 and 50 members.");
  const { matches, extract } = translated(() => ({
    matches: parsePattern(input.filterPattern!),
    extract: extractAll(input.filterPattern!),
  }));
  return {
    matches: messages.flatMap((message, i) =>
      matches(message) ? [{ eventNumber: i + 1, eventMessage: message, extractedValues: extract(message) }] : [],
    ),
  };
}

interface Compiled {
  readonly matches: Matcher;
  readonly value: Extract;
  readonly dimensions: readonly (readonly [name: string, extract: Extract])[];
}

function compile({ pattern, transformation }: MetricFilterRecord): Compiled {
  return {
    matches: parsePattern(pattern),
    value: compileExtract(transformation.metricValue, pattern),
    dimensions: Object.entries(transformation.dimensions ?? {}).map(
      ([name, selector]) => [name, compileExtract(selector, pattern)] as const,
    ),
  };
}

/** Records are never changed in place: each is compiled once. */
const compiled = new WeakMap<MetricFilterRecord, Compiled>();
const minuteMs = 60_000;

/** Tells what a batch of accepted events says to the group's filters, and how much came in. Source: "CloudWatch Logs metrics" and "Creating metrics from log events". */
export async function measure(
  state: LogsState,
  scope: Scope,
  group: GroupRecord,
  accepted: readonly NewEvent[],
  now: number,
): Promise<void> {
  const sink = state.deps.metrics;
  if (!sink || accepted.length === 0) return;
  const dimensions = { LogGroupName: group.name };
  const bytes = accepted.reduce((sum, { message }) => sum + message.length, 0);
  sink.put(scope, "AWS/Logs", [
    { name: "IncomingBytes", dimensions, unit: "Bytes", at: now, values: [bytes] },
    { name: "IncomingLogEvents", dimensions, unit: "Count", at: now, values: [accepted.length] },
  ]);
  const { entries } = await state.deps.store.list<MetricFilterRecord>(keys.filters(scope, group.id));
  if (entries.length === 0) return;
  const events = accepted.map(({ timestamp, message }) => ({ timestamp, message: Buffer.from(message).toString() }));
  for (const { value: filter } of entries) {
    let one = compiled.get(filter);
    if (!one) compiled.set(filter, (one = compile(filter)));
    sink.put(scope, filter.transformation.metricNamespace, measurementsOf(filter, one, events));
  }
}

/** One measurement for each minute and set of dimensions; the default for minutes in which events came and none matched. Pure. */
export function measurementsOf(
  filter: MetricFilterRecord,
  { matches, value, dimensions }: Compiled,
  events: readonly InputLogEvent[],
): Measurement[] {
  const { metricName: name, unit = "None", defaultValue } = filter.transformation;
  const found = new Map<string, { readonly dimensions: Record<string, string>; readonly at: number; readonly values: number[] }>();
  const minutes = new Map<number, boolean>();
  for (const { message, timestamp } of events) {
    const at = Math.floor(timestamp! / minuteMs) * minuteMs;
    minutes.set(at, minutes.get(at) ?? false);
    if (!matches(message!)) continue;
    const number = Number(value(message!) ?? Number.NaN);
    if (!Number.isFinite(number)) continue;
    const pairs = dimensions.map(([key, extract]) => [key, extract(message!)] as const);
    // Without all its dimensions it would be another metric.
    if (pairs.some(([, text]) => text === undefined || text === "")) continue;
    minutes.set(at, true);
    const own = Object.fromEntries(pairs) as Record<string, string>;
    const key = `${at}${JSON.stringify(own)}`;
    const so = found.get(key);
    if (so) so.values.push(number);
    else found.set(key, { dimensions: own, at, values: [number] });
  }
  const measured = [...found.values()].map((each) => ({ name, unit, ...each }));
  const missed =
    defaultValue === undefined
      ? []
      : [...minutes].filter(([, any]) => !any).map(([at]) => ({ name, unit, dimensions: {}, at, values: [defaultValue] }));
  return [...measured, ...missed];
}
