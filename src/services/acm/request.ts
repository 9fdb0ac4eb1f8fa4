import type * as Sdk from "@aws-sdk/client-acm";
import type { RequestContext } from "#api/contract.ts";
import { acmKeys, type AuthorityRecord, type CertificateKeyRecord, type CertificateRecord } from "#model/acm-records.ts";
import { type Authority, issuableKeys, type IssuableKey, issue, makeAuthority, NoOpenssl } from "#platform/authority.ts";
import { acmErrors } from "./errors.ts";
import { newArn, readingOf } from "./import.ts";
import { type AcmDeps, queueOf, scopeOf } from "./records.ts";
import { merged } from "./tags.ts";
import { oneCertificate } from "./x509.ts";

const domain = /^(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])$/;
const mostNames = 100;
const repeatedMs = 3_600_000;

/**
 * Issued at once, by the installation's own authority: nobody has to prove here that a domain is his, as only those who trust that authority trust the
 * certificate. Source: AWS Certificate Manager API Reference, "RequestCertificate".
 */
export function requestCertificate(deps: AcmDeps) {
  return async (input: Sdk.RequestCertificateRequest, context: RequestContext): Promise<Sdk.RequestCertificateResponse> => {
    const scope = scopeOf(context);
    const { names, algorithm, validationMethod, validationDomains } = requestOf(input);
    const tags = merged([], input.Tags);
    const token = input.IdempotencyToken;
    const made = (await deps.store.list<CertificateRecord>(acmKeys.certificates(scope))).entries.map(({ value }) => value);
    const repeated = made.find(
      (each) =>
        token !== undefined && each.idempotencyToken === token && each.domainName === names[0] && each.createdAt + repeatedMs > context.now,
    );
    if (repeated) return { CertificateArn: repeated.arn };
    const { authority, issued } = await issueFor(deps, names, algorithm);
    const id = deps.random.uuid();
    await deps.writer.run(queueOf(scope), async (unit) => {
      unit.put(acmKeys.certificate(scope, id), {
        id,
        arn: newArn(context, id),
        type: "AMAZON_ISSUED",
        ...readingOf(oneCertificate(issued.certificate)),
        domainName: names[0]!,
        subjectAlternativeNames: names,
        chain: authority.certificate,
        createdAt: context.now,
        issuedAt: context.now,
        validationMethod,
        ...(validationDomains ? { validationDomains } : {}),
        ...(token === undefined ? {} : { idempotencyToken: token }),
        transparencyLogging: input.Options?.CertificateTransparencyLoggingPreference === "DISABLED" ? "DISABLED" : "ENABLED",
        tags,
      } satisfies CertificateRecord);
      unit.put(acmKeys.key(scope, id), { sealed: deps.sealer.seal(acmKeys.sealScope(id), issued.key) } satisfies CertificateKeyRecord);
    });
    return { CertificateArn: newArn(context, id) };
  };
}

function requestOf(input: Sdk.RequestCertificateRequest) {
  if (input.CertificateAuthorityArn !== undefined) throw acmErrors.notYet("private certificate authorities");
  if (input.ManagedBy !== undefined) throw acmErrors.notYet("certificates that CloudFront manages");
  if (input.Options?.Export === "ENABLED") throw acmErrors.notYet("certificates that can be exported");
  const names = [...new Set([input.DomainName ?? "", ...(input.SubjectAlternativeNames ?? [])].map((name) => name.toLowerCase()))];
  const wrong = names.find((name) => name.length > 253 || !domain.test(name));
  if (wrong !== undefined) throw acmErrors.validation(`The domain name '${wrong}' is not valid.`);
  if (names[0]!.length > 64) throw acmErrors.validation("The first domain name can be at most 64 characters long.");
  if (names.length > mostNames) throw acmErrors.validation(`A certificate can have at most ${mostNames} domain names.`);
  const algorithm = input.KeyAlgorithm ?? "RSA_2048";
  if (!(issuableKeys as readonly string[]).includes(algorithm))
    throw acmErrors.validation(`The key algorithm '${algorithm}' is not one of ${issuableKeys.join(", ")}.`);
  const validationMethod = input.ValidationMethod ?? "EMAIL";
  if (!["DNS", "EMAIL"].includes(validationMethod))
    throw acmErrors.validation(`The validation method '${validationMethod}' is not one of DNS, EMAIL.`);
  const validationDomains: Record<string, string> = {};
  for (const { DomainName: name = "", ValidationDomain: at = "" } of input.DomainValidationOptions ?? []) {
    if (!names.includes(name)) throw acmErrors.domainOptions(`The domain name '${name}' is not one of the certificate's.`);
    if (name !== at && !name.endsWith(`.${at}`))
      throw acmErrors.domainOptions(`The validation domain '${at}' is no superdomain of '${name}'.`);
    validationDomains[name] = at;
  }
  return {
    names,
    algorithm: algorithm as IssuableKey,
    validationMethod: validationMethod as "DNS" | "EMAIL",
    validationDomains: Object.keys(validationDomains).length > 0 ? validationDomains : undefined,
  };
}

async function issueFor(deps: AcmDeps, names: readonly string[], algorithm: IssuableKey) {
  try {
    const authority = await authorityOf(deps);
    return { authority, issued: await issue(authority, names, algorithm, deps.random) };
  } catch (error) {
    if (!(error instanceof NoOpenssl)) throw error;
    throw acmErrors.notYet("RequestCertificate on a machine without openssl (ImportCertificate needs none)");
  }
}

/** Made when it is first needed; of two that make one at the same time, the first to write it down wins. */
async function authorityOf({ store, writer, sealer, random }: AcmDeps): Promise<Authority> {
  const key = acmKeys.authority();
  const open = ({ certificate, sealedKey }: AuthorityRecord): Authority => ({ certificate, key: sealer.open(key, sealedKey) as string });
  const there = (await store.get<AuthorityRecord>(key))?.value;
  if (there) return open(there);
  const made = await makeAuthority(random);
  return writer.run(key, async (unit) => {
    const first = await unit.get<AuthorityRecord>(key);
    if (first) return open(first);
    unit.put(key, { certificate: made.certificate, sealedKey: sealer.seal(key, made.key) } satisfies AuthorityRecord);
    return made;
  });
}
