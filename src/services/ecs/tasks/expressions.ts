import { parseQuery, QueryError } from "#model/query-language.ts";
import type { Node } from "#scheduler/types.ts";
import { ecsErrors } from "../errors.ts";

/** A memberOf constraint's expression in the cluster query language. Throws InvalidParameterException that says where it went wrong. */
export function compileExpression(expression: string): (node: Node) => boolean {
  const query = parse(expression);
  return (node) =>
    query({
      attribute: (name) => node.attributes.get(name),
      field: (name) => fields[name]?.(node),
      // Only task:group asks for them.
      get groups() {
        return new Set(node.usage.groups.keys());
      },
    });
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
