import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { KmsOperations } from "#api/generated/kms.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { asking, type Change, changing, type Records } from "#reconcilers/secrets/records.ts";
import { startSweep, sweepKeys } from "#reconcilers/secrets/sweep.ts";
import { createWriter } from "#store/unit.ts";
import { accountOf, ciphertextKey, kmsAccess } from "./access.ts";
import * as aliases from "./aliases.ts";
import * as cryptography from "./cryptography.ts";
import * as keys from "./keys.ts";
import * as policies from "./policies.ts";
import * as tags from "./tags.ts";

/** AWS Key Management Service, as far as Secrets Manager, Parameter Store and ECR name its keys: symmetric keys, aliases, encryption. */
export function createKms(serverDeps: ServerDeps): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const access = kmsAccess(deps);
  /** Of another account, as the key's ARN says: whoever came through the door may. */
  const abroad =
    <I, O>(operation: (input: I, context: RequestContext) => O, key: (input: I) => string | undefined) =>
    (input: I, context: RequestContext): O =>
      operation(input, { ...context, account: accountOf(key(input)) ?? context.account });
  const change = <I, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, "kms", operation);
  const ask = <I, O>(operation: (records: Records, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateKey: change(keys.createKey),
    DescribeKey: abroad(change(keys.describeKey), byId),
    ListKeys: ask(keys.listKeys),
    UpdateKeyDescription: change(keys.updateKeyDescription),
    EnableKey: change(keys.enableKey),
    DisableKey: change(keys.disableKey),
    ScheduleKeyDeletion: change(keys.scheduleKeyDeletion),
    CancelKeyDeletion: change(keys.cancelKeyDeletion),
    EnableKeyRotation: change(keys.enableKeyRotation),
    DisableKeyRotation: change(keys.disableKeyRotation),
    GetKeyRotationStatus: abroad(ask(keys.getKeyRotationStatus), byId),
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
    Encrypt: abroad(change(cryptography.encrypt), byId),
    Decrypt: abroad(ask(cryptography.decrypt), byCiphertext),
    ReEncrypt: change(cryptography.reEncrypt),
    GenerateDataKey: abroad(change(cryptography.generateDataKey), byId),
    GenerateDataKeyWithoutPlaintext: abroad(change(cryptography.generateDataKeyWithoutPlaintext), byId),
    GenerateRandom: ask(cryptography.generateRandom),
  } satisfies Handlers<KmsOperations>;
  let stop = () => {};
  return {
    resourcePolicies: [access.policies],
    resources: [access.facts],
    registrations: [{ service: "kms", handlers: handlers as Readonly<Record<string, Handler>> }],
    async start() {
      stop = startSweep(deps, "keys", sweepKeys);
    },
    async stop() {
      stop();
    },
  };
}

const byId = ({ KeyId }: { readonly KeyId?: string | undefined }) => KeyId;
const byCiphertext = ({
  KeyId,
  CiphertextBlob,
}: {
  readonly KeyId?: string | undefined;
  readonly CiphertextBlob?: Uint8Array | undefined;
}) => KeyId ?? ciphertextKey(CiphertextBlob);
