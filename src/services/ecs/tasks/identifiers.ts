import { ApiError } from "#api/contract.ts";
import { formatArn, parseArn } from "#model/arn.ts";
import type { Scope } from "#model/ecs-keys.ts";

export interface TaskName {
  readonly id: string;
  /** The cluster that the ARN names, where it was an ARN. */
  readonly cluster?: string;
}

/** A task by its id or ARN. Throws InvalidParameterException as AWS does for what can be neither. */
export function parseTaskName(text: string): TaskName {
  const arn = parseArn(text);
  if (text.startsWith("arn:") && (arn?.service !== "ecs" || !arn.resource.startsWith("task/")))
    throw invalid(
      "Invalid identifier: Identifier is for " + (arn ? arn.resource.split("/")[0] : "nothing known") + ". Your request was for task.",
    );
  const names = arn ? arn.resource.split("/").slice(1) : [text];
  const id = names.at(-1)!;
  if (id.length !== 32 && id.length !== 36) throw invalid("taskId length should be one of [32,36]");
  return { id, cluster: names.length > 1 ? names[0] : undefined };
}

/** The id of a container instance given by id or ARN; undefined when the ARN is of another cluster or kind. */
export function containerInstanceId(text: string, cluster: string): string | undefined {
  if (!text.startsWith("arn:")) return text;
  const arn = parseArn(text);
  const [kind, ...names] = arn?.resource.split("/") ?? [];
  if (arn?.service !== "ecs" || kind !== "container-instance") return undefined;
  if (names.length === 2 && names[0] !== cluster) return undefined;
  return names.at(-1);
}

export const ecsArn = {
  cluster: (scope: Scope, name: string) => formatArn({ service: "ecs", ...scope, resource: `cluster/${name}` }),
  task: (scope: Scope, cluster: string, id: string) => formatArn({ service: "ecs", ...scope, resource: `task/${cluster}/${id}` }),
  container: (scope: Scope, cluster: string, task: string, id: string) =>
    formatArn({ service: "ecs", ...scope, resource: `container/${cluster}/${task}/${id}` }),
  containerInstance: (scope: Scope, cluster: string, id: string) =>
    formatArn({ service: "ecs", ...scope, resource: `container-instance/${cluster}/${id}` }),
};

function invalid(message: string): ApiError {
  return new ApiError("InvalidParameterException", message);
}
