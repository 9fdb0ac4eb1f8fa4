import type { ServerPart } from "#api/contract.ts";
import type { Store, Write } from "#store/store.ts";

/**
 * Empties Gantry: every record and every file, in one transaction and then part by part. What describes machines rather than
 * work (`ServerPart.survivors`) is written again in the same transaction, so no reader ever sees a Gantry without its machines.
 */
export async function resetServer(store: Store, parts: readonly ServerPart[]): Promise<void> {
  const survivors: Write[] = [];
  for (const part of parts) survivors.push(...((await part.survivors?.()) ?? []));
  await store.transaction({ writes: [{ deletePrefix: "/" }, ...survivors] });
  await Promise.all(parts.map(async (part) => part.reset?.()));
}
