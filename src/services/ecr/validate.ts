import { ApiError, type RequestContext } from "#api/contract.ts";
import { isRepositoryName } from "#registry/names.ts";
import type { RegistryId } from "#registry/records.ts";
import { repositoryNameInvalid } from "#registry/repositories.ts";
import { asApiError, invalidParameter } from "./errors.ts";

/** The registry that a request means: the caller's own, or another account's, which the front door let them in by its policies. */
export function registryOf(registryId: string | undefined, { account, region }: RequestContext): RegistryId {
  if (registryId === undefined || registryId === account) return { account, region };
  if (!/^[0-9]{12}$/.test(registryId)) throw invalidParameter("registryId", "must satisfy regular expression '[0-9]{12}'");
  return { account: registryId, region };
}

export function repositoryName(name: string | undefined): string {
  const text = name ?? "";
  if (!isRepositoryName(text)) throw asApiError(repositoryNameInvalid(text));
  return text;
}

export function listOf<T>(name: string, values: readonly T[] | undefined, least: number, most: number): readonly T[] {
  const list = values ?? [];
  if (list.length < least) throw invalidParameter(name, `must have length greater than or equal to ${least}`);
  if (list.length > most) throw invalidParameter(name, `must have length less than or equal to ${most}`);
  return list;
}

/** ECR's lists give 100 results unless asked for 1 to 1000. */
export function maxResults(value: number | undefined): number {
  if (value === undefined) return 100;
  if (!Number.isInteger(value) || value < 1) throw invalidParameter("maxResults", "must be greater than or equal to 1");
  if (value > 1000) throw invalidParameter("maxResults", "must be less than or equal to 1000");
  return value;
}

export function oneOf<T extends string>(name: string, value: string | undefined, values: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  if ((values as readonly string[]).includes(value)) return value as T;
  throw invalidParameter(name, `Member must satisfy enum value set: [${values.join(", ")}]`);
}

export const badToken = () =>
  new ApiError(
    "InvalidParameterException",
    "Invalid parameter at 'nextToken' failed to satisfy constraint: 'must be a token of an earlier answer'",
  );
