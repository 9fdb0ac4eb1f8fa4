import type { InstanceRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { finishTermination } from "#reconcilers/instances/launch.ts";
import { changeVpc } from "#reconcilers/vpc/make-vpc.ts";
import type { Store } from "#store/store.ts";
import { createWriter } from "#store/unit.ts";

const scope = { account: "000000000000", region: "us-east-1" };

/** Instead of machines: every instance of EC2 runs once it is asked for, and is gone once it is to go. */
export async function everyInstanceObeys(store: Store, signal: AbortSignal): Promise<void> {
  const writer = createWriter(store);
  for await (const { events } of store.watch(vpcKeys.of(scope, "instance"), { signal }))
    for (const event of events) {
      if (event.type !== "put") continue;
      const record = event.entry.value as InstanceRecord;
      if (record.terminatedAt !== undefined) continue;
      await changeVpc(writer, scope, async (unit) => {
        if (record.desired === "terminated") await finishTermination(unit, scope, record, Date.now());
        else unit.put(vpcKeys.one(scope, "instance-observed", record.id), { state: record.desired, boot: record.boot, ready: true, at: 0 });
      });
    }
}
