import type { X509Certificate } from "node:crypto";
import type * as Sdk from "@aws-sdk/client-acm";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { acmKeys, type CertificateKeyRecord, type CertificateRecord } from "#model/acm-records.ts";
import { formatArn } from "#model/arn.ts";
import { acmErrors } from "./errors.ts";
import { type AcmDeps, idOf, queueOf, scopeOf } from "./records.ts";
import { merged } from "./tags.ts";
import * as x509 from "./x509.ts";

/** What a record takes from the certificate itself. */
export function readingOf(leaf: X509Certificate) {
  const { domainName, names } = x509.namesOf(leaf);
  return {
    domainName,
    subjectAlternativeNames: names,
    certificate: leaf.toString(),
    subject: x509.nameLine(leaf.subject),
    issuer: x509.nameLine(leaf.issuer),
    serial: x509.serialOf(leaf),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    keyAlgorithm: x509.keyAlgorithmOf(leaf),
    signatureAlgorithm: x509.signatureAlgorithmOf(leaf),
  };
}

export const newArn = ({ account, region }: RequestContext, id: string): string =>
  formatArn({ service: "acm", region, account, resource: `certificate/${id}` });

/** With an ARN: in place of that one, which keeps its tags. Source: AWS Certificate Manager API Reference, "ImportCertificate". */
export function importCertificate(deps: AcmDeps) {
  return async (input: Sdk.ImportCertificateRequest, context: RequestContext): Promise<Sdk.ImportCertificateResponse> => {
    const scope = scopeOf(context);
    const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("latin1");
    const leaf = x509.oneCertificate(text(input.Certificate));
    const key = x509.privateKeyOf(text(input.PrivateKey));
    const chain = input.CertificateChain === undefined ? [] : x509.certificatesIn(text(input.CertificateChain));
    if (input.CertificateChain !== undefined && chain.length === 0)
      throw acmErrors.validation("The certificate chain holds no PEM-encoded X.509 certificate.");
    if (!leaf.checkPrivateKey(key)) throw acmErrors.validation("The private key does not match the certificate's public key.");
    x509.checkChain(leaf, chain);
    const reading = readingOf(leaf);
    if (reading.notAfter <= context.now) throw acmErrors.validation("The certificate has expired.");
    if (reading.notBefore > context.now) throw acmErrors.validation("The certificate is not valid yet.");
    const { CertificateArn: arn } = input;
    if (arn !== undefined && (input.Tags ?? []).length > 0) throw acmErrors.validation("Tagging is not permitted on re-import.");
    const tags = merged([], input.Tags);
    const id = arn === undefined ? deps.random.uuid() : idOf(scope, arn);
    const pem = key.export({ type: "pkcs8", format: "pem" }) as string;
    const chainText = chain.map((each) => each.toString()).join("");
    await deps.writer.run(queueOf(scope), async (unit) => {
      const before = await unit.get<CertificateRecord>(acmKeys.certificate(scope, id));
      if (arn !== undefined && !before) throw acmErrors.none(arn, scope.account);
      if (before && before.type !== "IMPORTED")
        throw new ApiError("ValidationException", "Only imported certificates can be imported again.");
      unit.put(acmKeys.certificate(scope, id), {
        id,
        arn: newArn(context, id),
        type: "IMPORTED",
        ...reading,
        ...(chainText === "" ? {} : { chain: chainText }),
        createdAt: before?.createdAt ?? context.now,
        importedAt: context.now,
        transparencyLogging: "DISABLED",
        tags: before?.tags ?? tags,
      } satisfies CertificateRecord);
      unit.put(acmKeys.key(scope, id), { sealed: deps.sealer.seal(acmKeys.sealScope(id), pem) } satisfies CertificateKeyRecord);
    });
    return { CertificateArn: newArn(context, id) };
  };
}
