import { acmKeys, type CertificateKeyRecord, type CertificateRecord } from "#model/acm-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, LoadBalancerRecord, RuleRecord, TargetGroupRecord, TargetRecord } from "#model/elb-records.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import type { ElbRecords } from "./snapshot.ts";

/** All records of load balancing, of every account and region, and the revision that they are of: a watch of `elbKeys.everything` after it misses nothing. */
export async function loadElbRecords(store: Store, sealer: Sealer): Promise<{ readonly records: ElbRecords; readonly revision: number }> {
  const { entries, revision } = await store.list(elbKeys.everything);
  const targets = new Map<string, TargetRecord[]>();
  const found = { loadBalancers: [], listeners: [], rules: [], targetGroups: [] } as {
    loadBalancers: LoadBalancerRecord[];
    listeners: ListenerRecord[];
    rules: RuleRecord[];
    targetGroups: TargetGroupRecord[];
  };
  for (const { key, value } of entries) {
    const [, , , , kind, group = ""] = key.split("/");
    if (kind === "load-balancer") found.loadBalancers.push(value as LoadBalancerRecord);
    else if (kind === "listener") found.listeners.push(value as ListenerRecord);
    else if (kind === "rule") found.rules.push(value as RuleRecord);
    else if (kind === "target-group") found.targetGroups.push(value as TargetGroupRecord);
    else if (kind === "target") push(targets, group, value as TargetRecord);
  }
  const wanted = new Set(found.listeners.flatMap(({ certificates }) => certificates));
  return { records: { ...found, targets, certificates: await pems(store, sealer, wanted) }, revision };
}

/** Only those that a listener names: nobody else's private key leaves its seal. */
async function pems(store: Store, sealer: Sealer, wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const arn of wanted) {
    const [, , , region = "", account = "", resource = ""] = arn.split(":");
    const id = resource.slice(resource.indexOf("/") + 1);
    const record = (await store.get<CertificateRecord>(acmKeys.certificate({ account, region }, id)))?.value;
    const key = (await store.get<CertificateKeyRecord>(acmKeys.key({ account, region }, id)))?.value;
    const pem = key && sealer.open(acmKeys.sealScope(id), key.sealed);
    if (record && typeof pem === "string") found.set(arn, `${record.certificate}${record.chain ?? ""}${pem}`);
  }
  return found;
}

function push<T>(map: Map<string, T[]>, key: string, item: T): void {
  const list = map.get(key);
  if (list) list.push(item);
  else map.set(key, [item]);
}
