import { join } from "node:path";
import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { keys } from "./records.ts";
import { filterLogEvents, getLogEvents, putLogEvents } from "./events.ts";
import * as groups from "./groups.ts";
import * as filters from "./metric-filters.ts";
import { sweep, startRetention } from "./retention.ts";
import type { LogsState } from "./state.ts";
import { LogFiles } from "./storage/log-files.ts";
import { createLogStream, deleteLogStream, describeLogStreams } from "./streams.ts";
import * as policies from "./resource-policies.ts";
import * as tags from "./tags.ts";

/** Amazon CloudWatch Logs: records in the store, events in files under `<home>/logs`. */
export function createLogs(deps: ServerDeps): ServerPart {
  const state: LogsState = { deps, files: new LogFiles(join(deps.config.home, "logs"), deps.clock, deps.log) };
  const bind =
    <I, O>(operation: (state: LogsState, input: I, context: RequestContext) => Promise<O>): Handler<I, O> =>
    (input, context) =>
      operation(state, input, context);
  let stopRetention = async () => {};
  return {
    resources: [
      tagFacts(deps.store, "logs", (scope) => {
        const name = /^log-group:([^:]+)(?::.*)?$/.exec(scope.resource)?.[1];
        return name === undefined ? undefined : keys.group(scope, name);
      }),
    ],
    resourcePolicies: [policies.resourcePolicySource(deps.store)],
    registrations: [
      {
        service: "logs",
        handlers: {
          CreateLogGroup: bind(groups.createLogGroup),
          DeleteLogGroup: bind(groups.deleteLogGroup),
          DescribeLogGroups: bind(groups.describeLogGroups),
          PutRetentionPolicy: bind(groups.putRetentionPolicy),
          DeleteRetentionPolicy: bind(groups.deleteRetentionPolicy),
          PutLogGroupDeletionProtection: bind(groups.putLogGroupDeletionProtection),
          CreateLogStream: bind(createLogStream),
          DeleteLogStream: bind(deleteLogStream),
          DescribeLogStreams: bind(describeLogStreams),
          PutLogEvents: bind(putLogEvents),
          GetLogEvents: bind(getLogEvents),
          FilterLogEvents: bind(filterLogEvents),
          PutMetricFilter: bind(filters.putMetricFilter),
          DescribeMetricFilters: bind(filters.describeMetricFilters),
          DeleteMetricFilter: bind(filters.deleteMetricFilter),
          TestMetricFilter: bind(filters.testMetricFilter),
          PutResourcePolicy: bind(policies.putResourcePolicy),
          DescribeResourcePolicies: bind(policies.describeResourcePolicies),
          DeleteResourcePolicy: bind(policies.deleteResourcePolicy),
          TagResource: bind(tags.tagResource),
          UntagResource: bind(tags.untagResource),
          ListTagsForResource: bind(tags.listTagsForResource),
          TagLogGroup: bind(tags.tagLogGroup),
          UntagLogGroup: bind(tags.untagLogGroup),
          ListTagsLogGroup: bind(tags.listTagsLogGroup),
        },
      },
    ],
    async start() {
      await sweep(state);
      stopRetention = startRetention(state);
    },
    async stop() {
      await stopRetention();
      await state.files.settle();
    },
    reset: () => state.files.clear(),
  };
}
