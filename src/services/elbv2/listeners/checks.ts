import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { acmKeys, certificateId } from "#model/acm-records.ts";
import type { AlpnPolicy, ListenerProtocol, ListenerRecord, LoadBalancerRecord } from "#model/elb-records.ts";
import type { Records } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { checkPolicy, defaultPolicy } from "../ssl-policies.ts";

/** What a listener may be. Source: Elastic Load Balancing API Reference, "CreateListener". */

const supported: Readonly<Record<LoadBalancerRecord["type"], readonly string[]>> = {
  application: ["HTTP", "HTTPS"],
  network: ["TCP", "TLS", "UDP", "TCP_UDP"],
};

export const isSecure = (protocol: ListenerProtocol): boolean => protocol === "HTTPS" || protocol === "TLS";

export function protocolOf(type: LoadBalancerRecord["type"], given: string | undefined): ListenerProtocol {
  if (given === undefined) throw elbErrors.invalid("A protocol must be specified");
  // HAProxy carries no datagrams.
  if (type === "network" && ["UDP", "TCP_UDP", "QUIC", "TCP_QUIC"].includes(given))
    throw elbErrors.notYet(`listeners of protocol '${given}'`);
  if (supported[type].includes(given)) return given as ListenerProtocol;
  throw elbErrors.unsupportedProtocol(
    `Protocol '${given}' is not supported by ${type} load balancers: it must be one of '[${supported[type].join(", ")}]'`,
  );
}

export function portOf(given: number | undefined): number {
  if (given === undefined) throw elbErrors.invalid("A port must be specified");
  if (given < 1 || given > 65_535) throw elbErrors.invalid(`Listener port '${given}' must be between '1' and '65535' inclusive`);
  return given;
}

/** That ACM has it: imported or issued. */
export async function checkCertificate(records: Records, arn: string): Promise<string> {
  const id = certificateId(records.scope, arn);
  if (id === undefined || !(await records.get(acmKeys.certificate(records.scope, id)))) throw elbErrors.noCertificate(arn);
  return arn;
}

const alpnPolicies = ["HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"];

type Secure = Pick<ListenerRecord, "sslPolicy" | "certificates" | "alpnPolicy">;

/** What belongs to TLS: what the request says, else what was so before (`before`), else the default. */
export async function secureOf(
  records: Records,
  protocol: ListenerProtocol,
  input: Pick<Sdk.CreateListenerInput, "SslPolicy" | "Certificates" | "AlpnPolicy" | "MutualAuthentication">,
  before?: Secure,
): Promise<Secure> {
  const { SslPolicy: policy, Certificates: given, AlpnPolicy: alpn = [], MutualAuthentication: mutual } = input;
  if (mutual?.Mode !== undefined && mutual.Mode !== "off") {
    if (protocol !== "HTTPS") throw elbErrors.configuration("Mutual authentication is only supported by HTTPS listeners");
    throw elbErrors.notYet(`mutual authentication of mode '${mutual.Mode}'`);
  }
  if (!isSecure(protocol)) {
    if (policy !== undefined) throw elbErrors.configuration(`An SSL policy cannot be specified for ${protocol} listeners`);
    if (given !== undefined && given.length > 0)
      throw elbErrors.configuration(`Certificates cannot be specified for ${protocol} listeners`);
    if (alpn.length > 0) throw elbErrors.configuration(`An ALPN policy cannot be specified for ${protocol} listeners`);
    return { certificates: [] };
  }
  const certificates = await certificatesOf(records, protocol, given, before?.certificates ?? []);
  return {
    sslPolicy: policy === undefined ? (before?.sslPolicy ?? defaultPolicy) : checkPolicy(policy),
    certificates,
    ...alpnOf(protocol, alpn, before),
  };
}

async function certificatesOf(
  records: Records,
  protocol: ListenerProtocol,
  given: readonly Sdk.Certificate[] | undefined,
  before: readonly string[],
): Promise<readonly string[]> {
  if (given === undefined || given.length === 0) {
    if (before.length === 0) throw elbErrors.invalid(`A certificate must be specified for ${protocol} listeners`);
    return before;
  }
  if (given.length > 1) throw elbErrors.tooMany("Certificates", "Only one certificate can be specified: it becomes the default one");
  if (given[0]!.IsDefault !== undefined) throw elbErrors.invalid("'IsDefault' cannot be specified");
  const arn = await checkCertificate(records, given[0]!.CertificateArn ?? "");
  return [arn, ...before.slice(1).filter((each) => each !== arn)];
}

function alpnOf(protocol: ListenerProtocol, [name, ...more]: readonly string[], before: Secure | undefined): Pick<Secure, "alpnPolicy"> {
  if (name === undefined) return before?.alpnPolicy && protocol === "TLS" ? { alpnPolicy: before.alpnPolicy } : {};
  if (protocol !== "TLS") throw elbErrors.configuration(`An ALPN policy cannot be specified for ${protocol} listeners`);
  if (more.length > 0) throw elbErrors.invalid("Only one ALPN policy can be specified");
  if (!alpnPolicies.includes(name)) throw elbErrors.alpn(name);
  return name === "None" ? {} : { alpnPolicy: name as AlpnPolicy };
}
