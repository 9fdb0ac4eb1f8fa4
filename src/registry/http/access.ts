import type { Need } from "#api/authorization/table.ts";
import { formatArn } from "#model/arn.ts";
import type { RegistryId } from "../records.ts";
import type { Target } from "./path.ts";

/**
 * The permission behind each of OCI's requests: pulls take ecr:BatchGetImage and ecr:GetDownloadUrlForLayer, pushes what docker push does. Source: Amazon
 * ECR User Guide, "IAM permissions for pushing an image" and "for pulling".
 */
export function actionOf(kind: Exclude<Target["kind"], "base">, method: string): string {
  switch (kind) {
    case "manifest":
      return method === "PUT" ? "ecr:PutImage" : method === "DELETE" ? "ecr:BatchDeleteImage" : "ecr:BatchGetImage";
    case "blob":
      return method === "DELETE"
        ? "ecr:BatchDeleteImage"
        : method === "HEAD"
          ? "ecr:BatchCheckLayerAvailability"
          : "ecr:GetDownloadUrlForLayer";
    case "uploads":
      return "ecr:InitiateLayerUpload";
    case "upload":
      return method === "PUT" ? "ecr:CompleteLayerUpload" : "ecr:UploadLayerPart";
    case "tags":
      return "ecr:ListImages";
    case "referrers":
      return "ecr:BatchGetImage";
  }
}

export const needOf = ({ account, region }: RegistryId, action: string, name: string): Need => ({
  action,
  resources: [formatArn({ service: "ecr", region, account, resource: `repository/${name}` })],
  account,
  keys: {},
});

/** The same in ECR Public, which has no action for reading: everybody may. */
export const publicNeedOf = ({ account }: RegistryId, action: string, name: string): Need => ({
  action: action.replace(/^ecr:/, "ecr-public:"),
  resources: [formatArn({ service: "ecr-public", region: "", account, resource: `repository/${name}` })],
  account,
  keys: {},
});
