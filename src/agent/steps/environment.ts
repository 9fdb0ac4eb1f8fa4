import { open } from "node:fs/promises";
import type { ContainerPlan } from "../task/plan.ts";
import type { TaskContext } from "../task/world.ts";
import { isolated } from "./sandbox.ts";
import { StepError } from "./step-error.ts";

const largestFile = 1024 * 1024;

export interface Environment {
  readonly open: Readonly<Record<string, string>>;
  /** What no disk may see: secrets, and what files say, since people write passwords into them. */
  readonly secret: Readonly<Record<string, string>>;
}

/** The container's variables: files first, the definition over them, secrets, the agent's own last. */
export async function environmentOf(context: TaskContext, container: ContainerPlan): Promise<Environment> {
  const { plan, world } = context;
  const { environment: secrets } = await world.secrets.of(plan, container);
  const variables: Record<string, string> = {};
  // "If multiple environment files contain the same variable, they are processed from the top down": the first one wins.
  for (const { value, type } of container.definition.environmentFiles ?? []) {
    if (/^arn:[^:]*:s3:/.test(value)) {
      throw new StepError(
        `ResourceInitializationError: failed to download env files: ${value}: S3 is not available to this agent; give the path of a file on this machine`,
      );
    }
    for (const [name, text] of parseEnvironmentFile(await readText(value, type))) variables[name] ??= text;
  }
  const own: Readonly<Record<string, string>> = {
    ...container.definition.environment,
    AWS_EXECUTION_ENV: isolated(plan) ? "AWS_ECS_FARGATE" : "AWS_ECS_EC2",
    AWS_REGION: container.definition.environment?.AWS_REGION ?? world.config.region,
    AWS_DEFAULT_REGION: container.definition.environment?.AWS_DEFAULT_REGION ?? world.config.region,
    ...world.metadataVariables(plan, context.state(), container),
  };
  const secret = { ...Object.fromEntries(Object.entries(variables).filter(([name]) => !Object.hasOwn(own, name))), ...secrets };
  return { open: { ...linkVariables(context, container), ...own }, secret };
}

/** What Docker tells a container of its links: `DB_PORT_5432_TCP_ADDR` and its kin ("Legacy container links"). */
function linkVariables({ plan, state }: TaskContext, container: ContainerPlan): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const { container: name, alias } of container.links) {
    const address = state().containers.find((other) => other.name === name)?.network?.address;
    const linked = plan.containers.get(name);
    if (!address || !linked) continue;
    const prefix = alias.toUpperCase().replace(/[^A-Z0-9]/g, "_");
    variables[`${prefix}_NAME`] = `/${container.name}/${alias}`;
    for (const { containerPort, protocol = "tcp" } of linked.definition.portMappings ?? []) {
      if (!containerPort) continue;
      const url = `${protocol}://${address}:${containerPort}`;
      const port = `${prefix}_PORT_${containerPort}_${protocol.toUpperCase()}`;
      variables[`${prefix}_PORT`] ??= url;
      Object.assign(variables, {
        [port]: url,
        [`${port}_ADDR`]: address,
        [`${port}_PORT`]: String(containerPort),
        [`${port}_PROTO`]: protocol,
      });
    }
  }
  return variables;
}

/** `VARIABLE=VALUE` lines; `#` begins a comment line; nothing is quoted or interpolated. Source: ECS, "Pass an individual environment variable". */
export function parseEnvironmentFile(text: string): readonly (readonly [string, string])[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#") && line.indexOf("=") > 0)
    .map((line) => [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1)] as const);
}

async function readText(path: string, type: string | undefined): Promise<string> {
  const fail = (why: string) => new StepError(`ResourceInitializationError: failed to read environment file ${path}: ${why}`);
  if (!path.startsWith("/")) throw fail(`not an absolute path (type ${type ?? "none"})`);
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    if (size > largestFile) throw fail(`larger than ${largestFile} bytes`);
    return await file.readFile("utf8");
  } catch (error) {
    throw error instanceof StepError ? error : fail((error as Error).message);
  }
}
