import { parseArn } from "#model/arn.ts";
import { ecsErrors } from "../errors.ts";

/**
 * The id of a container instance given by id or ARN (long or short); undefined for what can name none. Throws InvalidParameterException, as
 * AWS does, for the ARN of something else or of another cluster.
 */
export function instanceIn(text: string, cluster: string): string | undefined {
  if (!text.startsWith("arn:")) return isId(text) ? text : undefined;
  const arn = parseArn(text);
  const [kind, ...names] = arn?.resource.split("/") ?? [];
  if (arn?.service !== "ecs" || kind !== "container-instance") throw ecsErrors.invalid(`Unsupported resource type: ${kind ?? text}`);
  if (names.length === 2 && names[0] !== cluster)
    throw ecsErrors.invalid(`Invalid identifier: Identifier is for cluster ${names[0]}. Your cluster is ${cluster}`);
  const id = names.at(-1)!;
  return isId(id) ? id : undefined;
}

/** The same where there has to be one. */
export function instanceId(text: string, cluster: string): string {
  const id = instanceIn(text, cluster);
  if (id === undefined) throw ecsErrors.invalid("containerInstanceId length should be one of [32,36]");
  return id;
}

const isId = (text: string) => /^[0-9a-f]{32}$|^[0-9a-f-]{36}$/.test(text);
