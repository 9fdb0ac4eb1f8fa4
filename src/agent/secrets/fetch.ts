import type { Credentials } from "#agent-protocol/messages.ts";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import { createAwsClient } from "../aws/client.ts";
import type { AgentConfig } from "../config.ts";
import { executionRole, resourcesPrefix as prefix, retrievalFailed as failed } from "../execution-role.ts";
import { StepError } from "../steps/step-error.ts";
import type { ContainerPlan, TaskPlan } from "../task/plan.ts";
import type { TaskSecrets } from "../task/world.ts";
import { jsonValue, parseReference, type Reference } from "./references.ts";

/** Parameters that one request may ask for. */
const parametersAtOnce = 10;

/**
 * Fetches what tasks' definitions name, with the credentials of the task's execution role, as the standard agent does. Values are kept in memory
 * while their task lives, so that a container that is started again gets the same, and nowhere else.
 */
export function createTaskSecrets(deps: { readonly config: AgentConfig; readonly clock: Clock; readonly random: Random }): TaskSecrets {
  const { config, clock, random } = deps;
  /** By task, then by what names the value. */
  const known = new Map<string, Map<string, Promise<string>>>();

  const clientOf = (service: "secretsmanager" | "ssm", region: string, credentials: Credentials) =>
    createAwsClient({ service, endpoint: config.endpoint, region, credentials, clock, random });

  /** Those of now: they are renewed while the task lives. Throws StepError when the task has none. */
  async function credentialsOf(plan: TaskPlan, signal: AbortSignal | undefined): Promise<Credentials> {
    const credentials = await executionRole(plan, clock, signal);
    if (credentials) return credentials;
    throw new StepError(
      `${prefix}ECS was unable to assume the role that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.`,
    );
  }

  async function secretOf(plan: TaskPlan, reference: Reference & { kind: "secret" }, signal?: AbortSignal): Promise<string> {
    const credentials = await credentialsOf(plan, signal);
    const { region, arn, stage, version } = reference;
    const { SecretString } = await clientOf("secretsmanager", region, credentials).call<{ SecretString?: string }>(
      "GetSecretValue",
      { SecretId: arn, ...(stage ? { VersionStage: stage } : {}), ...(version ? { VersionId: version } : {}) },
      { signal },
    );
    if (SecretString === undefined) throw new Error("the secret is binary, and a variable is text");
    return SecretString;
  }

  async function parametersOf(
    plan: TaskPlan,
    region: string,
    names: readonly string[],
    signal?: AbortSignal,
  ): Promise<Map<string, string>> {
    const credentials = await credentialsOf(plan, signal);
    const client = clientOf("ssm", region, credentials);
    const values = new Map<string, string>();
    const missing: string[] = [];
    for (let at = 0; at < names.length; at += parametersAtOnce) {
      const Names = names.slice(at, at + parametersAtOnce);
      const answer = await client.call<{ Parameters?: Parameter[]; InvalidParameters?: string[] }>(
        "GetParameters",
        { Names, WithDecryption: true },
        { signal },
      );
      for (const { Name = "", ARN = "", Selector = "", Value = "" } of answer.Parameters ?? [])
        for (const name of [Name, ARN]) values.set(`${name}${Selector}`, Value);
      missing.push(...Names.filter((name) => !values.has(name)));
    }
    if (missing.length > 0) throw new Error(`invalid parameters: ${missing.join(",")}`);
    return values;
  }

  /** What the container's definition names, each secret fetched once a task. */
  async function fetchAll(plan: TaskPlan, container: ContainerPlan, signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    let mine = known.get(plan.arn);
    if (!mine) known.set(plan.arn, (mine = new Map()));
    const kept = mine;
    const asked = (container.definition.secrets ?? []).map(({ valueFrom, region }) => ({
      valueFrom,
      reference: referenceOf(valueFrom, region || config.region),
    }));
    const keep = (key: string, value: Promise<string>) => {
      kept.set(key, value);
      // What failed is asked for again.
      value.catch(() => kept.delete(key));
    };
    const fresh = new Map<string, string[]>();
    for (const { reference } of asked) {
      const key = keyOf(reference);
      if (kept.has(key) || fresh.get(reference.region)?.some((name) => reference.kind === "parameter" && name === reference.name)) continue;
      if (reference.kind === "secret")
        keep(key, secretOf(plan, reference, signal).catch(failed("retrieve secret from asm", reference.arn)));
      else fresh.set(reference.region, [...(fresh.get(reference.region) ?? []), reference.name]);
    }
    for (const [region, names] of fresh) {
      const all = parametersOf(plan, region, names, signal).catch(failed("retrieve secrets from ssm"));
      for (const name of names)
        keep(
          keyOf({ kind: "parameter", region, name }),
          all.then((values) => values.get(name)!),
        );
    }
    const values = new Map<string, string>();
    for (const { valueFrom, reference } of asked) {
      const text = await kept.get(keyOf(reference))!;
      values.set(valueFrom, reference.kind === "secret" && reference.jsonKey !== undefined ? keyed(text, reference.jsonKey) : text);
    }
    return values;
  }

  return {
    async of(plan, container, signal) {
      const values = await fetchAll(plan, container, signal);
      const of = (target: string) =>
        Object.fromEntries(
          (container.definition.secrets ?? [])
            .filter((secret) => (secret.target ?? "CONTAINER") === target)
            .map(({ name, valueFrom }) => [name, values.get(valueFrom)!]),
        );
      return { environment: of("CONTAINER"), logOptions: of("LOG_DRIVER") };
    },
    async registryLogin(plan, { definition }, signal) {
      const { type, asmAuthData } = definition.registryAuthentication ?? {};
      if (type !== "asm" || !asmAuthData) return undefined;
      const { credentialsParameter: name, region } = asmAuthData;
      const fail = failed("get registry auth from asm", name);
      const arn = parseReferenceOfLogin(name, region);
      const text = await secretOf(plan, arn, signal).catch(fail);
      return loginOf(text) ?? fail(new Error("the secret is not a JSON object with the texts username and password"));
    },
    forget: (arn) => void known.delete(arn),
  };
}

interface Parameter {
  readonly Name?: string;
  readonly ARN?: string;
  readonly Selector?: string;
  readonly Value?: string;
}

const keyOf = (reference: Reference): string =>
  JSON.stringify(
    reference.kind === "secret"
      ? [reference.region, reference.arn, reference.stage, reference.version]
      : [reference.region, reference.name],
  );

/** The name of a secret is good enough here, in the task's own region. */
function parseReferenceOfLogin(name: string, region: string): Reference & { kind: "secret" } {
  return { kind: "secret", arn: name, region: /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):/.exec(name)?.[1] ?? region };
}

function loginOf(text: string): { readonly username: string; readonly password: string } | undefined {
  try {
    const { username, password } = JSON.parse(text) as { username?: unknown; password?: unknown };
    return typeof username === "string" && typeof password === "string" ? { username, password } : undefined;
  } catch {
    return undefined;
  }
}

function referenceOf(valueFrom: string, region: string): Reference {
  try {
    return parseReference(valueFrom, region);
  } catch (error) {
    throw new StepError(`${prefix}${(error as Error).message}`);
  }
}

function keyed(text: string, key: string): string {
  try {
    return jsonValue(text, key);
  } catch (error) {
    throw new StepError(`${prefix}${(error as Error).message}`);
  }
}
