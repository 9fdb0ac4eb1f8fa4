import { join } from "node:path";
import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { CloudtrailOperations } from "#api/generated/cloudtrail.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { lookupEvents } from "./lookup.ts";
import { createTrail } from "./trail.ts";
import { openTrailFiles } from "./trail-files.ts";

const hourMs = 3_600_000;
const dayMs = 86_400_000;

/** AWS CloudTrail's event history: who called what, and how it ended. There are no trails to make: every call is recorded, and kept for `GANTRY_TRAIL_DAYS`. */
export function createCloudTrail({ config, clock, random, log: all, sealer }: ServerDeps): ServerPart {
  const log = all.child({ part: "cloudtrail" });
  const files = openTrailFiles(join(config.home, "trail"));
  const trail = createTrail({ files, clock, random, log, open: config.open });
  const days = config.trailDays;
  let cancel = () => {};
  const expire = () => {
    cancel = clock.after(hourMs, expire);
    const first = new Date(clock.now() - days * dayMs).toISOString().slice(0, 10);
    files.removeBefore(first).catch((error: unknown) => log.warn({ err: error }, "old days of the trail could not be removed"));
  };
  const handlers = {
    async LookupEvents(input, context) {
      await trail.flush();
      return lookupEvents({ files, sealer, days }, input, context);
    },
  } satisfies Handlers<CloudtrailOperations>;
  return {
    registrations: [{ service: "cloudtrail", handlers: handlers as Readonly<Record<string, Handler>> }],
    auditor: trail,
    async start() {
      expire();
    },
    async stop() {
      cancel();
      await trail.stop();
    },
    async reset() {
      await trail.flush();
      await files.removeAll();
    },
  };
}
