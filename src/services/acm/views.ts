import { createHash, X509Certificate } from "node:crypto";
import type * as Sdk from "@aws-sdk/client-acm";
import type { CertificateRecord } from "#model/acm-records.ts";
import { extendedUsagesOf, keyUsagesOf } from "./x509.ts";

/** Certificates as the API shows them. Pure. */

export const statusOf = ({ notAfter }: CertificateRecord, now: number): "ISSUED" | "EXPIRED" => (notAfter < now ? "EXPIRED" : "ISSUED");

const usages = ({ certificate }: CertificateRecord) => {
  const parsed = new X509Certificate(certificate);
  return { keys: keyUsagesOf(parsed) as Sdk.KeyUsageName[], extended: extendedUsagesOf(parsed) };
};
const date = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));

export function detailOf(record: CertificateRecord, users: readonly string[], now: number): Sdk.CertificateDetail {
  const { keys, extended } = usages(record);
  const issued = record.type === "AMAZON_ISSUED";
  return {
    CertificateArn: record.arn,
    DomainName: record.domainName,
    SubjectAlternativeNames: [...record.subjectAlternativeNames],
    DomainValidationOptions: issued ? record.subjectAlternativeNames.map((name) => validationOf(record, name)) : undefined,
    Serial: record.serial,
    Subject: record.subject,
    Issuer: record.issuer,
    CreatedAt: new Date(record.createdAt),
    IssuedAt: date(record.issuedAt),
    ImportedAt: date(record.importedAt),
    Status: statusOf(record, now),
    NotBefore: new Date(record.notBefore),
    NotAfter: new Date(record.notAfter),
    KeyAlgorithm: record.keyAlgorithm as Sdk.KeyAlgorithm,
    SignatureAlgorithm: record.signatureAlgorithm,
    InUseBy: [...users],
    Type: record.type,
    KeyUsages: keys.map((Name) => ({ Name })),
    ExtendedKeyUsages: extended.map(({ oid, name }) => ({ Name: name as Sdk.ExtendedKeyUsageName, OID: oid })),
    // Nobody renews them yet.
    RenewalEligibility: "INELIGIBLE",
    Options: { CertificateTransparencyLoggingPreference: record.transparencyLogging, Export: "DISABLED" },
  };
}

/** The record that would prove the domain to AWS; here nothing has to be proved. */
function validationOf({ validationMethod, validationDomains }: CertificateRecord, name: string): Sdk.DomainValidation {
  const base = name.replace(/^\*\./, "");
  const digest = (text: string) => createHash("sha256").update(`${text} ${base}`).digest("hex").slice(0, 32);
  const domain = validationDomains?.[name] ?? base;
  const mails = ["administrator", "hostmaster", "postmaster", "webmaster", "admin"];
  return {
    DomainName: name,
    ValidationDomain: domain,
    ValidationStatus: "SUCCESS",
    ValidationMethod: validationMethod,
    ...(validationMethod === "EMAIL" ? { ValidationEmails: mails.map((user) => `${user}@${domain}`) } : {}),
    ...(validationMethod === "DNS"
      ? {
          ResourceRecord: {
            Name: `_${digest("name")}.${base}.`,
            Type: "CNAME" as const,
            Value: `_${digest("value")}.acm-validations.aws.`,
          },
        }
      : {}),
  };
}

const mostNames = 100;

export function summaryOf(record: CertificateRecord, inUse: boolean, now: number): Sdk.CertificateSummary {
  const { keys, extended } = usages(record);
  const names = record.subjectAlternativeNames;
  return {
    CertificateArn: record.arn,
    DomainName: record.domainName,
    SubjectAlternativeNameSummaries: names.slice(0, mostNames),
    HasAdditionalSubjectAlternativeNames: names.length > mostNames,
    Status: statusOf(record, now),
    Type: record.type,
    KeyAlgorithm: record.keyAlgorithm as Sdk.KeyAlgorithm,
    KeyUsages: keys,
    ExtendedKeyUsages: extended.map(({ name }) => name as Sdk.ExtendedKeyUsageName),
    ExportOption: "DISABLED",
    InUse: inUse,
    Exported: false,
    RenewalEligibility: "INELIGIBLE",
    NotBefore: new Date(record.notBefore),
    NotAfter: new Date(record.notAfter),
    CreatedAt: new Date(record.createdAt),
    IssuedAt: date(record.issuedAt),
    ImportedAt: date(record.importedAt),
  };
}
