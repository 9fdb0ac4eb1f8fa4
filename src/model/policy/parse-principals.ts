import type { PrincipalEntry } from "./document.ts";

export const principalTypes = ["AWS", "Service", "Federated", "CanonicalUser"];

/** AWS principals are accounts, and users, roles and sessions by ARN or unique id. No wildcards inside: that is what conditions are for. */
const awsPrincipal =
  /^(\d{12}|arn:aws[a-z-]*:iam::\d{12}:(root|(user|role)\/[^*?]+)|arn:aws[a-z-]*:sts::\d{12}:(assumed-role\/[^/*?]+\/[^*?]+|federated-user\/[^*?]+)|A[A-Z]{3}[A-Z0-9]{12,124})$/;

export function principalProblem({ type, value }: PrincipalEntry): string | undefined {
  const good =
    type === "AWS"
      ? awsPrincipal.test(value)
      : type === "Service"
        ? /^[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)$/.test(value)
        : value !== "";
  if (good) return undefined;
  return `Invalid principal in policy: "${type === "AWS" ? "AWS" : type.toUpperCase()}":"${value}"`;
}
