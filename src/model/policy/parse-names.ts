/** IAM's words for actions and resources that it does not take. */
export function actionProblem(pattern: string): string | undefined {
  if (pattern === "*") return undefined;
  const parts = pattern.split(":");
  if (parts.length === 1) return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
  if (parts.length > 2) return "Actions/Condition can contain only one colon.";
  if (parts[0] !== "*" && !/^[A-Za-z0-9.-]+$/.test(parts[0]!)) return `Vendor ${parts[0]} is not valid`;
  if (parts[1] === "") return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
  return undefined;
}

const iamPaths = [
  "user/",
  "federated-user/",
  "role/",
  "group/",
  "instance-profile/",
  "mfa/",
  "server-certificate/",
  "policy/",
  "sms-mfa/",
  "saml-provider/",
  "oidc-provider/",
  "report/",
  "access-report/",
];

export function resourceProblem(pattern: string): string | undefined {
  if (pattern === "*") return undefined;
  const [scheme, partition, service, region, account, ...rest] = pattern.split(":");
  if (partition === undefined || (scheme !== "arn" && scheme !== "*")) return `Resource ${pattern} must be in ARN format or "*".`;
  if (!/^(aws[a-z-]*|\*)$/.test(partition)) {
    const parts = [service ?? "*", region ?? "*", account ?? "*", rest.length > 0 ? rest.join(":") : "*"].join(":");
    return `Partition "${partition}" is not valid for resource "arn:${partition}:${parts}".`;
  }
  if (service === undefined || (/[*?]/.test(service) && pattern !== "arn:aws:*" && service !== "*"))
    return "Resource vendor must be fully qualified and cannot contain regexes.";
  if (service === "iam" && region !== undefined && region !== "" && region !== "*")
    return `IAM resource ${pattern} cannot contain region information.`;
  if (service === "s3" && region !== undefined && region !== "" && region !== "*")
    return `Resource ${pattern} can not contain region information.`;
  const path = rest.join(":");
  const open = path === "" || path.startsWith("*") || path.startsWith("?") || path.startsWith("$") || path === "root";
  if (service === "iam" && !open && !iamPaths.some((each) => path.startsWith(each) || /^[a-z-]*[*?]/.test(path)))
    return `IAM resource path must either be "*" or start with ${iamPaths.join(", ")}.`;
  return undefined;
}
