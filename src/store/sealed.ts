import type { Vault } from "#platform/vault.ts";
import type { Unit } from "./unit.ts";

/** `{ id }`: the key that seals. Put by a rotation before it begins to re-encrypt. Absent: the first key of the file. */
export const sealingKey = "/vault/sealing-key";

/**
 * Seals what the unit is about to write. The unit then rests on the key of this moment: when a rotation exchanges it before the unit is
 * committed, the unit runs again. So no record that is sealed with the old key appears after a rotation has looked through all of them.
 */
export async function sealIn(vault: Vault, unit: Unit, scope: string, plaintext: Uint8Array | string): Promise<string> {
  const id = (await unit.get<{ readonly id: string }>(sealingKey))?.id;
  const bytes = typeof plaintext === "string" ? Buffer.from(plaintext) : plaintext;
  return vault.seal(scope, bytes, id !== undefined && vault.has(id) ? id : undefined);
}
