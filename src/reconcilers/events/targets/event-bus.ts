import { parseArn } from "#model/arn.ts";
import { asRole, asService } from "../as-role.ts";
import { deliveriesOf } from "../deliveries.ts";
import { DeliveryFailure } from "../failure.ts";
import { type Deliver, serviceOf } from "./target.ts";

/** Another event bus, of this account or another: its rules see the event as it is. It goes no further than there, so that no two buses send each other events for ever. */
export const eventBus: Deliver = async ({ store, caller, clock, random, index }, record) => {
  const { target, region, account, origin, event } = record;
  if (record.forwarded) throw new DeliveryFailure("An event that came from another event bus is not sent to a further one.", false);
  const now = clock.now();
  const service = serviceOf(record);
  const principal =
    target.RoleArn === undefined
      ? asService(service, account)
      : await asRole(store, target.RoleArn, { service, sessionName: origin.name, now, source: origin.arn, account, region });
  const arn = parseArn(target.Arn)!;
  const need = {
    action: "events:PutEvents",
    resources: [target.Arn],
    account: arn.account,
    keys: { "events:source": event.source, "events:detail-type": event["detail-type"], "aws:SourceArn": origin.arn },
  };
  const denied = await caller.denial(principal, need, region);
  if (denied !== undefined) throw new DeliveryFailure(denied, false);
  const bus = arn.resource.replace(/^event-bus\//, "");
  const rules = index.matching(arn, bus, event);
  return deliveriesOf(arn, rules, event, { now, random, forwarded: true });
};
