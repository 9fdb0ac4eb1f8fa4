import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { KmsOperations } from "#api/generated/kms.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { asking, type Change, changing, type Records } from "#reconcilers/secrets/records.ts";
import { startSweep, sweepKeys } from "#reconcilers/secrets/sweep.ts";
import { createWriter } from "#store/unit.ts";
import * as aliases from "./aliases.ts";
import * as cryptography from "./cryptography.ts";
import * as keys from "./keys.ts";
import * as policies from "./policies.ts";
import * as tags from "./tags.ts";

/** AWS Key Management Service, as far as Secrets Manager, Parameter Store and ECR name its keys: symmetric keys, aliases, encryption. */
export function createKms(serverDeps: ServerDeps): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const change = <I, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, "kms", operation);
  const ask = <I, O>(operation: (records: Records, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateKey: change(keys.createKey),
    DescribeKey: change(keys.describeKey),
    ListKeys: ask(keys.listKeys),
    UpdateKeyDescription: change(keys.updateKeyDescription),
    EnableKey: change(keys.enableKey),
    DisableKey: change(keys.disableKey),
    ScheduleKeyDeletion: change(keys.scheduleKeyDeletion),
    CancelKeyDeletion: change(keys.cancelKeyDeletion),
    EnableKeyRotation: change(keys.enableKeyRotation),
    DisableKeyRotation: change(keys.disableKeyRotation),
    GetKeyRotationStatus: ask(keys.getKeyRotationStatus),
    RotateKeyOnDemand: change(keys.rotateKeyOnDemand),
    ListKeyRotations: ask(keys.listKeyRotations),
    CreateAlias: change(aliases.createAlias),
    UpdateAlias: change(aliases.updateAlias),
    DeleteAlias: change(aliases.deleteAlias),
    ListAliases: ask(aliases.listAliases),
    GetKeyPolicy: ask(policies.getKeyPolicy),
    PutKeyPolicy: change(policies.putKeyPolicy),
    ListKeyPolicies: ask(policies.listKeyPolicies),
    TagResource: change(tags.tagResource),
    UntagResource: change(tags.untagResource),
    ListResourceTags: ask(tags.listResourceTags),
    Encrypt: change(cryptography.encrypt),
    Decrypt: ask(cryptography.decrypt),
    ReEncrypt: change(cryptography.reEncrypt),
    GenerateDataKey: change(cryptography.generateDataKey),
    GenerateDataKeyWithoutPlaintext: change(cryptography.generateDataKeyWithoutPlaintext),
    GenerateRandom: ask(cryptography.generateRandom),
  } satisfies Handlers<KmsOperations>;
  let stop = () => {};
  return {
    registrations: [{ service: "kms", handlers: handlers as Readonly<Record<string, Handler>> }],
    async start() {
      stop = startSweep(deps, "keys", sweepKeys);
    },
    async stop() {
      stop();
    },
  };
}
