import type { Tag } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";

const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** Source: ECS API Reference, Tag. */
export function checkTags(tags: readonly Tag[] | undefined): void {
  const keys = new Set<string>();
  if ((tags?.length ?? 0) > 50) throw invalid("Tags can have at most 50 items.");
  for (const { key = "", value = "" } of tags ?? []) {
    const [keyLength, valueLength] = [[...key].length, [...value].length];
    if (keyLength < 1 || keyLength > 128) throw invalid("Tag keys must have 1 to 128 characters.");
    if (valueLength > 256) throw invalid("Tag values must have at most 256 characters.");
    if (!allowed.test(key) || !allowed.test(value))
      throw invalid("Tags can have letters, numbers, spaces and the characters + - = . _ : / @ only.");
    if (/^aws:/i.test(key)) throw invalid("Tag keys must not start with aws:.");
    if (keys.has(key)) throw invalid(`Duplicate tag keys found: ${key}`);
    keys.add(key);
  }
}

function invalid(message: string): ApiError {
  return new ApiError("InvalidParameterException", message);
}
