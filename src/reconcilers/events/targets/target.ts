import type { Caller } from "#api/caller.ts";
import type { DeliveryRecord } from "#model/events/records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import type { Vault } from "#platform/vault.ts";
import type { Store, Write } from "#store/store.ts";
import type { Logger } from "#platform/log.ts";
import type { RuleIndex } from "../rule-index.ts";

export interface TargetDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly vault: Vault;
  readonly log: Logger;
  readonly index: RuleIndex;
  readonly caller: Caller;
}

/** Gives a target what it is to get; may do so twice. Returns what is to be written together with the note that it was done. Throws DeliveryFailure or ApiError. */
export type Deliver = (deps: TargetDeps, record: DeliveryRecord, payload: string) => Promise<readonly Write[] | void>;

/** In whose name: a rule's or a schedule's. */
export const serviceOf = ({ origin }: DeliveryRecord) => (origin.kind === "rule" ? "events.amazonaws.com" : "scheduler.amazonaws.com");
