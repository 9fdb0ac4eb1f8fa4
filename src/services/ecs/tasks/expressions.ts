import { parseQuery, QueryError, type QuerySubject } from "#model/query-language.ts";
import type { Node } from "#scheduler/types.ts";
import { ecsErrors } from "../errors.ts";

/** A memberOf constraint's expression in the cluster query language. Throws InvalidParameterException that says where it went wrong. */
export function compileExpression(expression: string): (node: Node) => boolean {
  const query = parse(expression);
  // One subject for all nodes: the scheduler asks many times a placement.
  let asked: Node;
  const subject: QuerySubject = {
    attribute: (name) => asked.attributes.get(name),
    field: (name) => fields[name]?.(asked),
    get groups() {
      return new Set(asked.usage.groups.keys());
    },
  };
  return (node) => {
    asked = node;
    return query(subject);
  };
}

const fields: Readonly<Record<string, (node: Node) => string | number | boolean | undefined>> = {
  agentConnected: ({ connected }) => connected,
  agentVersion: ({ agentVersion }) => agentVersion,
  ec2InstanceId: ({ ec2InstanceId }) => ec2InstanceId,
  registeredAt: ({ registeredAt }) => registeredAt,
  runningTasksCount: ({ usage }) => usage.tasks,
};

function parse(expression: string) {
  try {
    return parseQuery(expression);
  } catch (error) {
    if (error instanceof QueryError) throw ecsErrors.invalid(`Invalid expression in a placement constraint: ${error.message}`);
    throw error;
  }
}
