import { randomInt } from "node:crypto";
import type * as Sdk from "@aws-sdk/client-secrets-manager";
import { errors } from "./errors.ts";

const kinds = {
  lower: "abcdefghijklmnopqrstuvwxyz",
  upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  digits: "0123456789",
  punctuation: "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
};

/** Source: AWS Secrets Manager API Reference, GetRandomPassword. `pick(n)`: a number from 0 to n - 1, unpredictable. */
export function randomPassword(input: Sdk.GetRandomPasswordRequest, pick: (count: number) => number = (count) => randomInt(count)): string {
  const length = input.PasswordLength ?? 32;
  if (!Number.isInteger(length) || length < 1 || length > 4096) throw errors.parameter("PasswordLength must be between 1 and 4096.");
  const excluded = new Set(input.ExcludeCharacters ?? "");
  const sets = [
    input.ExcludeLowercase ? "" : kinds.lower,
    input.ExcludeUppercase ? "" : kinds.upper,
    input.ExcludeNumbers ? "" : kinds.digits,
    input.ExcludePunctuation ? "" : kinds.punctuation,
  ].map((set) => [...set].filter((letter) => !excluded.has(letter)));
  const kept = sets.filter((set) => set.length > 0);
  const all = [...kept.flat(), ...(input.IncludeSpace && !excluded.has(" ") ? [" "] : [])];
  if (all.length === 0) throw errors.parameter("There are no characters left to make a password of.");
  const each = input.RequireEachIncludedType ?? true;
  if (each && kept.length > length) throw errors.parameter("The password is too short to have a character of each type.");
  const letters = each ? kept.map((set) => set[pick(set.length)]!) : [];
  while (letters.length < length) letters.push(all[pick(all.length)]!);
  // Shuffled, so that the required ones stand anywhere.
  for (let at = letters.length - 1; at > 0; at--) {
    const other = pick(at + 1);
    [letters[at], letters[other]] = [letters[other]!, letters[at]!];
  }
  return letters.join("");
}
