import type { Clock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import type { Logger } from "#platform/log.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Vault } from "#platform/vault.ts";
import type { Store } from "#store/store.ts";

/** What every part of the server is given. A part's factory is `create<Name>(deps: ServerDeps): ServerPart`. */
export interface ServerDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly sealer: Sealer;
  /** For what must not lie readable in the store; see `sealIn`. */
  readonly vault: Vault;
  readonly config: Config;
  readonly log: Logger;
  /** Where a part says what it measured; absent where nobody listens. */
  readonly metrics?: MetricSink;
}
