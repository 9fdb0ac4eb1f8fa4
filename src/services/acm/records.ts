import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { acmKeys, certificateId, type CertificateRecord } from "#model/acm-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, LoadBalancerRecord } from "#model/elb-records.ts";
import type { Writer } from "#store/unit.ts";
import { acmErrors } from "./errors.ts";

export interface AcmDeps extends ServerDeps {
  readonly writer: Writer;
}

/** What both the store and a unit can do. */
export interface Reader {
  get<T>(key: string): Promise<T | undefined>;
  list<T>(prefix: string): Promise<readonly T[]>;
}

export const readerOf = ({ store }: Pick<AcmDeps, "store">): Reader => ({
  get: async <T>(key: string) => (await store.get<T>(key))?.value,
  list: async <T>(prefix: string) => (await store.list<T>(prefix)).entries.map(({ value }) => value),
});

export const scopeOf = ({ account, region }: RequestContext): Scope => ({ account, region });
export const queueOf = ({ account, region }: Scope): string => `/acm/${account}/${region}`;

export function idOf(scope: Scope, arn: string): string {
  if (!/^arn:[\w+=/,.@-]+:acm:[\w+=/,.@-]*:\d{12}:certificate\/[\w-]+$/.test(arn)) throw acmErrors.badArn(arn);
  const id = certificateId(scope, arn);
  if (id === undefined) throw acmErrors.none(arn, scope.account);
  return id;
}

export async function needCertificate(reader: Pick<Reader, "get">, scope: Scope, arn: string): Promise<CertificateRecord> {
  const record = await reader.get<CertificateRecord>(acmKeys.certificate(scope, idOf(scope, arn)));
  if (!record) throw acmErrors.none(arn, scope.account);
  return record;
}

/** By certificate: the ARNs of the load balancers whose listeners have it. */
export async function usersOf(reader: Reader, scope: Scope): Promise<ReadonlyMap<string, readonly string[]>> {
  const arns = new Map((await reader.list<LoadBalancerRecord>(elbKeys.loadBalancers(scope))).map(({ id, arn }) => [id, arn]));
  const users = new Map<string, string[]>();
  for (const { certificates, loadBalancerId } of await reader.list<ListenerRecord>(elbKeys.listeners(scope))) {
    const arn = arns.get(loadBalancerId);
    if (arn === undefined) continue;
    for (const certificate of certificates) {
      const own = users.get(certificate) ?? [];
      if (!own.includes(arn)) users.set(certificate, [...own, arn]);
    }
  }
  return users;
}
