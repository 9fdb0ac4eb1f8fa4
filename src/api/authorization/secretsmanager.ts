import {
  each,
  type Input,
  type Keys,
  none,
  type OperationRule,
  type Resources,
  type ServiceActions,
  textAt,
  valuesAt,
  type Where,
} from "./table.ts";

/** A name alone: the service knows the six characters that its ARN ends in; to policies that end in `-??????` it is told by the rest. */
const secretArn = ({ region, account }: Where, id: string) =>
  id.startsWith("arn:") ? id : `arn:aws:secretsmanager:${region}:${account}:secret:${id}`;

const secret: Resources = (input, where) => {
  const id = textAt(input, "SecretId");
  return id === undefined ? [] : [secretArn(where, id)];
};

const secretKeys = (input: Input): Keys => ({
  "secretsmanager:SecretId": textAt(input, "SecretId"),
  "secretsmanager:VersionId": textAt(input, "VersionId"),
  "secretsmanager:VersionStage": textAt(input, "VersionStage"),
});

const onSecret: OperationRule = { on: secret, keys: secretKeys };

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Secrets Manager". */
export const secretsmanager: ServiceActions = {
  prefix: "secretsmanager",
  operations: {
    ...Object.fromEntries(
      `CancelRotateSecret DeleteResourcePolicy DeleteSecret DescribeSecret GetResourcePolicy GetSecretValue ListSecretVersionIds
      PutResourcePolicy PutSecretValue RemoveRegionsFromReplication ReplicateSecretToRegions RestoreSecret RotateSecret StopReplicationToReplica
      TagResource UntagResource UpdateSecret UpdateSecretVersionStage ValidateResourcePolicy`
        .split(/\s+/)
        .map((name) => [name, onSecret]),
    ),
    ...each(none, "GetRandomPassword ListSecrets"),
    BatchGetSecretValue: {
      on: none,
      also: (input, where) => {
        const ids = valuesAt(input, ["SecretIdList"]);
        return ids.length === 0
          ? []
          : [
              {
                action: "secretsmanager:GetSecretValue",
                resources: ids.map((id) => secretArn(where, id)),
                account: where.account,
                keys: {},
              },
            ];
      },
    },
    CreateSecret: {
      on: (input, where) => [secretArn(where, `${textAt(input, "Name") ?? ""}-??????`)],
      keys: (input) => ({ "secretsmanager:Name": textAt(input, "Name"), "secretsmanager:KmsKeyArn": textAt(input, "KmsKeyId") }),
      tagging: { action: "TagResource" },
    },
  },
};
