import { each, type Input, none, type Resources, type ServiceActions, textAt, type Where } from "./table.ts";

/** `arn:…:log-group:<name>:log-stream:<stream>`: both ends stand there even when there is no stream. */
function streamArn(input: Input, { region, account }: Where, group: string, stream: string): string {
  const arn = group.startsWith("arn:") ? group.replace(/:\*$/, "") : `arn:aws:logs:${region}:${account}:log-group:${group}`;
  return `${arn}:log-stream:${stream}`;
}

const group: Resources = (input, where) => {
  const name = textAt(input, "logGroupName") ?? textAt(input, "logGroupIdentifier") ?? textAt(input, "resourceIdentifier");
  return name === undefined ? [] : [streamArn(input, where, name, "")];
};

const stream: Resources = (input, where) => {
  const name = textAt(input, "logGroupName") ?? textAt(input, "logGroupIdentifier");
  return name === undefined ? [] : [streamArn(input, where, name, textAt(input, "logStreamName") ?? "")];
};

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs". */
export const logs: ServiceActions = {
  prefix: "logs",
  operations: {
    ...each(
      group,
      `DeleteLogGroup DeleteRetentionPolicy PutRetentionPolicy DescribeLogStreams FilterLogEvents ListTagsLogGroup TagLogGroup UntagLogGroup
      PutLogGroupDeletionProtection AssociateKmsKey DisassociateKmsKey PutMetricFilter DeleteMetricFilter DescribeMetricFilters
      PutSubscriptionFilter DeleteSubscriptionFilter DescribeSubscriptionFilters`,
    ),
    ...each(stream, "CreateLogStream DeleteLogStream GetLogEvents PutLogEvents"),
    ...each("{resourceArn}", "ListTagsForResource TagResource UntagResource"),
    ...each(none, "DescribeResourcePolicies PutResourcePolicy DeleteResourcePolicy TestMetricFilter"),
    DescribeLogGroups: (input, where) => [streamArn(input, where, "", "")],
    CreateLogGroup: {
      on: group,
      tagging: { action: "TagResource", on: "log-group:{logGroupName}" },
    },
  },
};
