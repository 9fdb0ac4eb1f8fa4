import { parseArn } from "#model/arn.ts";

/** What a container's `valueFrom` says. Source: ECS Developer Guide, "Pass Secrets Manager secrets…" and "Pass Systems Manager parameters…". */
export type Reference =
  | {
      readonly kind: "secret";
      readonly region: string;
      /** The ARN without what follows the secret's name. */
      readonly arn: string;
      readonly jsonKey?: string;
      readonly stage?: string;
      readonly version?: string;
    }
  /** A parameter's name or ARN, with its selector if it has one. */
  | { readonly kind: "parameter"; readonly region: string; readonly name: string };

/** `region`: of the task. Throws an Error whose message is the reason. */
export function parseReference(valueFrom: string, region: string): Reference {
  const arn = parseArn(valueFrom);
  if (arn?.service === "secretsmanager") {
    // secret:<name>[:<json key>:<stage>:<version>]: all three or none.
    const [kind, name, ...rest] = arn.resource.split(":");
    if (kind !== "secret" || !name || (rest.length !== 0 && rest.length !== 3))
      throw new Error(`an invalid ARN format for the AWS Secrets Manager secret was specified: ${valueFrom}`);
    const [jsonKey, stage, version] = rest.map((part) => part || undefined);
    return {
      kind: "secret",
      region: arn.region,
      arn: valueFrom.split(":").slice(0, 7).join(":"),
      ...(jsonKey === undefined ? {} : { jsonKey }),
      ...(stage === undefined ? {} : { stage }),
      ...(version === undefined ? {} : { version }),
    };
  }
  if (valueFrom.startsWith("arn:") && arn?.service !== "ssm") throw new Error(`unexpected ARN format: ${valueFrom}`);
  return { kind: "parameter", region: arn?.region || region, name: valueFrom };
}

/** The value of a key at the top of a secret that is a JSON object; anything but a text is given as JSON. Throws an Error whose message is the reason. */
export function jsonValue(text: string, key: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("retrieved secret from Secrets Manager is not a JSON object, and a key of it was asked for");
  }
  const found =
    typeof value === "object" && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  if (found === undefined) throw new Error(`retrieved secret from Secrets Manager did not contain json key ${key}`);
  return typeof found === "string" ? found : JSON.stringify(found);
}
