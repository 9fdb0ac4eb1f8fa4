import type { Scope } from "./ecs-keys.ts";

/** Where the records of KMS, Secrets Manager and Parameter Store lie in the store. */
const at = (service: string, { account, region }: Scope) => `/${service}/${account}/${region}`;

export const kmsKeys = {
  /** `KeyRecord`s. */
  keys: (scope: Scope) => `${at("kms", scope)}/key/`,
  key: (scope: Scope, id: string) => `${at("kms", scope)}/key/${id}`,
  /** `AliasRecord`s. `name` is the whole name: `alias/app`. */
  aliases: (scope: Scope) => `${at("kms", scope)}/alias/`,
  alias: (scope: Scope, name: string) => `${at("kms", scope)}/${name}`,
  /** Of all accounts and regions: what a sweep looks through. */
  everything: "/kms/",
};

export const secretKeys = {
  /** `SecretRecord`s. A name may hold slashes. */
  secrets: (scope: Scope) => `${at("secretsmanager", scope)}/secret/`,
  secret: (scope: Scope, name: string) => `${at("secretsmanager", scope)}/secret/${name}`,
  everything: "/secretsmanager/",
};

export const parameterKeys = {
  /** `ParameterRecord`s. A name is kept with the slash that it may begin with: `/app/db` lies at `…/parameter//app/db`. */
  parameters: (scope: Scope) => `${at("ssm", scope)}/parameter/`,
  parameter: (scope: Scope, name: string) => `${at("ssm", scope)}/parameter/${name}`,
  everything: "/ssm/",
};
