import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord } from "#model/elb-records.ts";
import { loadBalancerOf, needListener } from "../arns.ts";
import type { Change, Question } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";
import { page } from "../pages.ts";
import { checkCertificate, isSecure } from "./checks.ts";

/** The certificates of a listener beside the default one, chosen by SNI. Source: Elastic Load Balancing API Reference, "AddListenerCertificates" and its kin. */

async function given(change: Change, input: Sdk.AddListenerCertificatesInput): Promise<{ listener: ListenerRecord; arn: string }> {
  const listener = await needListener(change, input.ListenerArn);
  if (!isSecure(listener.protocol)) throw elbErrors.configuration(`Certificates cannot be specified for ${listener.protocol} listeners`);
  const [certificate, ...more] = input.Certificates ?? [];
  if (certificate === undefined) throw elbErrors.invalid("A certificate must be specified");
  if (more.length > 0) throw elbErrors.tooMany("Certificates", "Only one certificate can be specified at a time");
  if (certificate.IsDefault !== undefined) throw elbErrors.invalid("'IsDefault' cannot be specified");
  return { listener, arn: certificate.CertificateArn ?? "" };
}

const put = ({ unit, scope }: Change, listener: ListenerRecord, certificates: readonly string[]) =>
  unit.put(elbKeys.listener(scope, listener.loadBalancerId, listener.id), { ...listener, certificates } satisfies ListenerRecord);

/** A certificate that the list has already stays there once. */
export async function addListenerCertificates(
  change: Change,
  input: Sdk.AddListenerCertificatesInput,
): Promise<Sdk.AddListenerCertificatesOutput> {
  const { listener, arn } = await given(change, input);
  await checkCertificate(change, arn);
  const { type, id } = await loadBalancerOf(change, listener);
  const listeners = await change.list<ListenerRecord>(elbKeys.listenersOf(change.scope, id));
  const more = listeners.reduce((sum, { certificates }) => sum + Math.max(0, certificates.length - 1), 0);
  if (!listener.certificates.includes(arn)) {
    if (more >= limits[`certificates-per-${type}-load-balancer`])
      throw elbErrors.tooMany("Certificates", "The maximum number of certificates of the load balancer has been reached");
    put(change, listener, [...listener.certificates, arn]);
  }
  return { Certificates: [{ CertificateArn: arn, IsDefault: listener.certificates[0] === arn }] };
}

export async function removeListenerCertificates(
  change: Change,
  input: Sdk.RemoveListenerCertificatesInput,
): Promise<Sdk.RemoveListenerCertificatesOutput> {
  const { listener, arn } = await given(change, input);
  if (listener.certificates[0] === arn)
    throw elbErrors.notPermitted(`The default certificate '${arn}' cannot be removed from the listener`);
  put(
    change,
    listener,
    listener.certificates.filter((each) => each !== arn),
  );
  return {};
}

export async function describeListenerCertificates(
  question: Question,
  input: Sdk.DescribeListenerCertificatesInput,
): Promise<Sdk.DescribeListenerCertificatesOutput> {
  const { certificates } = await needListener(question, input.ListenerArn);
  const views = certificates.map((CertificateArn, at) => ({ CertificateArn, IsDefault: at === 0 }));
  const position = ({ CertificateArn, IsDefault }: (typeof views)[number]) => `${IsDefault ? 0 : 1} ${CertificateArn}`;
  const sorted = views.toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { items, NextMarker } = page(question, "DescribeListenerCertificates", sorted, position, input, input.ListenerArn);
  return { Certificates: items, NextMarker };
}
