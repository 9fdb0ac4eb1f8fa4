import type { Input, Need, Where } from "./table.ts";
import { valuesAt } from "./table.ts";

/** iam:PassRole for the roles at these members, handed to `service`. Names count as roles of the account. */
export function passRoles(input: Input, where: Where, service: string, ...paths: readonly string[]): readonly Need[] {
  return [...new Set(paths.flatMap((path) => valuesAt(input, path.split("."))))].map((role) => passRole(role, where, service));
}

export function passRole(role: string, { account }: Where, service: string): Need {
  const arn = role.startsWith("arn:") ? role : `arn:aws:iam::${account}:role/${role.replace(/^\/|^role\//, "")}`;
  return { action: "iam:PassRole", resources: [arn], account, keys: { "iam:PassedToService": service } };
}
