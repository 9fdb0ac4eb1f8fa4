import { textAt, valuesAt, type Need, type Where } from "#api/authorization/table.ts";
import type { ResourceFacts } from "#api/authorize.ts";
import { parseArn } from "#model/arn.ts";
import { parameterKeys } from "#model/secrets-keys.ts";
import type { ParameterRecord, ParameterVersion } from "#model/secrets-records.ts";
import { type AccessDeps, forwarded, keyOfSealed, reading, tagRecord } from "#reconcilers/secrets/access.ts";
import { findKey } from "#reconcilers/secrets/keys.ts";
import { contextOf, findParameter } from "./lookup.ts";
import { defaultKey } from "./put.ts";

/** Tags of parameters, and the KMS keys that SecureStrings take. */
export function parameterFacts(deps: AccessDeps): ResourceFacts {
  async function decrypting(
    parameters: readonly ParameterRecord[],
    { region, account, ...where }: Where,
    all: boolean,
  ): Promise<readonly Need[]> {
    const scope = { region, account };
    const needs = new Map<string, Need>();
    for (const { name, versions } of parameters) {
      for (const { sealed } of all ? versions : [versions.at(-1) as ParameterVersion]) {
        const key = sealed === undefined ? undefined : await keyOfSealed(deps, scope, parameterKeys.parameter(scope, name), sealed);
        if (key) needs.set(`${key.arn} ${name}`, forwarded("kms:Decrypt", key, "ssm", { ...where, ...scope }, contextOf(scope, name)));
      }
    }
    return [...needs.values()];
  }

  return {
    service: "ssm",
    async describe(resource) {
      const arn = parseArn(resource);
      if (!arn?.resource.startsWith("parameter/") || resource.includes("*")) return undefined;
      const parameter = await findParameter(reading(deps, arn), resource);
      return parameter && { tags: tagRecord(parameter.tags) };
    },
    async needsOf(operation, input, where) {
      const { region, account } = where;
      const records = reading(deps, { region, account });
      if (operation === "PutParameter") {
        const before = await findParameter(records, textAt(input, "Name") ?? "");
        if ((textAt(input, "Type") ?? before?.type) !== "SecureString") return [];
        const key = await findKey(records, textAt(input, "KeyId") ?? before?.versions.at(-1)?.kmsKeyId ?? defaultKey);
        const action = input["Tier"] === "Advanced" ? "kms:GenerateDataKey" : "kms:Encrypt";
        return key ? [forwarded(action, key, "ssm", where, contextOf(records.scope, textAt(input, "Name") ?? ""))] : [];
      }
      if (input["WithDecryption"] !== true) return [];
      if (operation === "GetParametersByPath") {
        const path = textAt(input, "Path") ?? "/";
        const { entries } = await deps.store.list<ParameterRecord>(parameterKeys.parameters(records.scope));
        const under = entries.filter(({ value }) => value.name.startsWith(path.endsWith("/") ? path : `${path}/`));
        return decrypting(
          under.map(({ value }) => value),
          where,
          true,
        );
      }
      const names = operation === "GetParameters" ? valuesAt(input, ["Names"]) : [textAt(input, "Name") ?? ""];
      // Behind a name or an ARN may stand a version or a label.
      const bare = names.map((name) => /^(arn:(?:[^:]*:){4}[^:]+|[^:]+)/.exec(name)?.[1] ?? name);
      const found = await Promise.all(bare.map((name) => findParameter(records, name)));
      return decrypting(
        found.flatMap((each) => each ?? []),
        where,
        bare.some((name, index) => name !== names[index]) || operation === "GetParameterHistory",
      );
    },
  };
}
