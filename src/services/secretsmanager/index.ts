import type * as Sdk from "@aws-sdk/client-secrets-manager";
import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { SecretsmanagerOperations } from "#api/generated/secretsmanager.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { asking, type Change, changing, type Records } from "#reconcilers/secrets/records.ts";
import { startSweep, sweepSecrets } from "#reconcilers/secrets/sweep.ts";
import { createWriter } from "#store/unit.ts";
import { accountOf, secretAccess } from "./access.ts";
import { listSecrets, listSecretVersionIds } from "./list.ts";
import { needLiveSecret, needSecret, putSecret } from "./lookup.ts";
import { randomPassword } from "./password.ts";
import * as policies from "./policies.ts";
import { cancelRotateSecret, rotateSecret } from "./rotation.ts";
import { checkTags } from "./rules.ts";
import * as secrets from "./secrets.ts";
import * as values from "./values.ts";

/** AWS Secrets Manager. Source: AWS Secrets Manager API Reference and User Guide. */
export function createSecretsManager(serverDeps: ServerDeps): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const access = secretAccess(deps);
  /** Of another account, as the secret's ARN says: whoever came through the door may. */
  const abroad =
    (handler: Handler): Handler =>
    (input: { readonly SecretId?: string }, context: RequestContext) =>
      handler(input as never, { ...context, account: accountOf(input.SecretId) ?? context.account });
  const change = <I, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, "secretsmanager", operation);
  const ask = <I, O>(operation: (records: Records, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateSecret: change(secrets.createSecret),
    UpdateSecret: change(secrets.updateSecret),
    DescribeSecret: ask(secrets.describeSecret),
    DeleteSecret: change(secrets.deleteSecret),
    RestoreSecret: change(secrets.restoreSecret),
    UpdateSecretVersionStage: change(secrets.updateSecretVersionStage),
    PutSecretValue: change(values.putSecretValue),
    GetSecretValue: ask(values.getSecretValue),
    BatchGetSecretValue: ask(values.batchGetSecretValue),
    ListSecrets: ask(listSecrets),
    ListSecretVersionIds: ask(async (records: Records, input: Sdk.ListSecretVersionIdsRequest) =>
      listSecretVersionIds(records, await needSecret(records, input.SecretId), input),
    ),
    RotateSecret: change(rotateSecret),
    CancelRotateSecret: change(cancelRotateSecret),
    GetRandomPassword: (input: Sdk.GetRandomPasswordRequest) => ({ RandomPassword: randomPassword(input) }),
    TagResource: change(async (unit: Change, { SecretId, Tags }: Sdk.TagResourceRequest) => {
      const secret = await needLiveSecret(unit, SecretId);
      putSecret(unit, { ...secret, tags: checkTags(Tags, secret.tags) });
      return {};
    }),
    UntagResource: change(async (unit: Change, { SecretId, TagKeys = [] }: Sdk.UntagResourceRequest) => {
      const secret = await needLiveSecret(unit, SecretId);
      putSecret(unit, { ...secret, tags: secret.tags.filter(({ key }) => !TagKeys.includes(key)) });
      return {};
    }),
    PutResourcePolicy: change(policies.putResourcePolicy),
    GetResourcePolicy: ask(policies.getResourcePolicy),
    DeleteResourcePolicy: change(policies.deleteResourcePolicy),
    ValidateResourcePolicy: ask(policies.validateResourcePolicy),
  } satisfies Handlers<SecretsmanagerOperations>;
  let stop = () => {};
  return {
    resourcePolicies: [access.policies],
    resources: [access.facts],
    registrations: [
      {
        service: "secretsmanager",
        handlers: Object.fromEntries(Object.entries(handlers).map(([name, each]) => [name, abroad(each as Handler)])),
      },
    ],
    async start() {
      stop = startSweep(deps, "secrets", sweepSecrets);
    },
    async stop() {
      stop();
    },
  };
}
