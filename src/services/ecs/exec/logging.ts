import type { ClusterConfiguration } from "@aws-sdk/client-ecs";
import type { ExecLogging } from "#agent-protocol/exec/contents.ts";

/** What the cluster says of a session's transcript and encryption. Source: ECS API Reference, ExecuteCommandConfiguration: without `logging` it is DEFAULT. */
export function loggingOf(configuration: ClusterConfiguration | undefined): ExecLogging {
  const { logging = "DEFAULT", logConfiguration = {}, kmsKeyId } = configuration?.executeCommandConfiguration ?? {};
  const { cloudWatchLogGroupName, cloudWatchEncryptionEnabled, s3BucketName, s3KeyPrefix } = logConfiguration;
  return {
    kind: logging as ExecLogging["kind"],
    ...(logging === "OVERRIDE" && cloudWatchLogGroupName ? { logGroup: cloudWatchLogGroupName } : {}),
    ...(logging === "OVERRIDE" && cloudWatchEncryptionEnabled ? { logGroupEncrypted: true } : {}),
    ...(logging === "OVERRIDE" && s3BucketName ? { bucket: s3BucketName } : {}),
    ...(logging === "OVERRIDE" && s3KeyPrefix ? { keyPrefix: s3KeyPrefix } : {}),
    ...(kmsKeyId ? { kmsKeyId } : {}),
  };
}
