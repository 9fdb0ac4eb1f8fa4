import { each, type Input, type Keys, none, type Resources, type ServiceActions, textAt, type Where } from "./table.ts";

/** Keys by id, ARN or alias; the service says which key an alias stands for. */
const key: Resources = (input, where) => keyArns(input, where, "KeyId");

function keyArns(input: Input, { region, account }: Where, member: string): readonly string[] {
  const id = textAt(input, member);
  if (id === undefined) return [];
  if (id.startsWith("arn:")) return [id];
  return [`arn:aws:kms:${region}:${account}:${id.startsWith("alias/") ? id : `key/${id}`}`];
}

const alias = (input: Input, where: Where) => keyArns(input, where, "AliasName");

const encryption = (input: Input): Keys => {
  const context = input["EncryptionContext"] as Readonly<Record<string, string>> | undefined;
  return {
    ...Object.fromEntries(Object.entries(context ?? {}).map(([name, value]) => [`kms:EncryptionContext:${name}`, value])),
    "kms:EncryptionContextKeys": context && Object.keys(context),
    "kms:EncryptionAlgorithm": textAt(input, "EncryptionAlgorithm") ?? "SYMMETRIC_DEFAULT",
  };
};

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Key Management Service". */
export const kms: ServiceActions = {
  prefix: "kms",
  operations: {
    ...each(
      key,
      `CancelKeyDeletion CreateGrant DeriveSharedSecret DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation
      GenerateMac GetKeyPolicy GetKeyRotationStatus GetParametersForImport GetPublicKey ImportKeyMaterial DeleteImportedKeyMaterial ListGrants
      ListKeyPolicies ListKeyRotations ListResourceTags PutKeyPolicy ReplicateKey RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign
      TagResource UntagResource UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac`,
    ),
    ...each(none, "ListAliases ListKeys GenerateRandom ListRetirableGrants"),
    ...Object.fromEntries(
      [
        "Encrypt",
        "Decrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
      ].map((name) => [name, { on: key, keys: encryption }]),
    ),
    CreateKey: {
      on: none,
      keys: (input) => ({ "kms:KeySpec": textAt(input, "KeySpec"), "kms:KeyUsage": textAt(input, "KeyUsage") }),
      tagging: { action: "TagResource", on: "*" },
    },
    CreateAlias: (input, where) => [...alias(input, where), ...keyArns(input, where, "TargetKeyId")],
    UpdateAlias: (input, where) => [...alias(input, where), ...keyArns(input, where, "TargetKeyId")],
    DeleteAlias: alias,
    // Two actions, each on its own key: the other, kms:ReEncryptTo, is the service's to add.
    ReEncrypt: {
      action: "ReEncryptFrom",
      on: (input, where) => keyArns(input, where, "SourceKeyId"),
    },
  },
};
