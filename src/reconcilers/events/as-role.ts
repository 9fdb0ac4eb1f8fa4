import type { Principal } from "#api/contract.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { findRole, serviceMayAssume } from "#identity/roles.ts";
import { namesOf, roleHolder } from "#identity/sessions.ts";
import type { Store } from "#store/store.ts";
import { DeliveryFailure } from "./failure.ts";

/** Who a target's role is, once it lets the service become it. Throws DeliveryFailure. */
export async function asRole(
  store: Store,
  roleArn: string,
  ask: { readonly service: string; readonly sessionName: string; readonly now: number; readonly source: string } & Scope,
): Promise<Principal> {
  const { service, now, region, account, source } = ask;
  const sessionName = ask.sessionName
    .replaceAll(/[^\w+=,.@-]/g, "-")
    .slice(0, 64)
    .padEnd(2, "-");
  const found = await findRole(store, roleArn);
  if (!found) throw new DeliveryFailure(`The role ${roleArn} does not exist.`, false);
  const trusted = serviceMayAssume(found, { service, sessionName, now, region, source: { arn: source, account } });
  if (!trusted) throw new DeliveryFailure(`The trust policy of ${roleArn} does not let ${service} assume it.`, false);
  const { role } = found;
  return {
    account: found.account,
    accessKeyId: "",
    ...namesOf(found.account, roleHolder(role, sessionName)),
    identity: { kind: "AssumedRole", roleName: role.name, roleArn, sessionName },
    session: { policies: [], tags: {}, transitiveTagKeys: [], issuedAt: now },
    tags: Object.fromEntries(role.tags.map(({ key, value }) => [key, value])),
  };
}

/** One of AWS's services as itself: resource policies decide. `account`: whose work it does. */
export const asService = (service: string, account: string): Principal => ({
  account,
  arn: service,
  userId: service,
  accessKeyId: "",
  identity: { kind: "AWSService", service },
});
