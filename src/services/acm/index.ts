import type * as Sdk from "@aws-sdk/client-acm";
import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { AcmOperations } from "#api/generated/acm.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import { acmKeys, type CertificateRecord } from "#model/acm-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import { createWriter } from "#store/unit.ts";
import { acmErrors } from "./errors.ts";
import { importCertificate } from "./import.ts";
import { type AcmDeps, needCertificate, queueOf, readerOf, scopeOf, usersOf } from "./records.ts";
import { requestCertificate } from "./request.ts";
import { apiTags, merged, without } from "./tags.ts";
import { detailOf, statusOf, summaryOf } from "./views.ts";

/** AWS Certificate Manager: certificates for listeners, imported or issued by an authority of this Gantry. Source: AWS Certificate Manager API Reference. */
export function createAcm(serverDeps: ServerDeps): ServerPart {
  const deps: AcmDeps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const reader = readerOf(deps);
  const read = (arn: string | undefined, context: RequestContext) => needCertificate(reader, scopeOf(context), arn ?? "");
  const change = (arn: string | undefined, context: RequestContext, changed: (record: CertificateRecord) => CertificateRecord) =>
    deps.writer.run(queueOf(scopeOf(context)), async (unit) => {
      const record = await needCertificate(unit, scopeOf(context), arn ?? "");
      unit.put(acmKeys.certificate(scopeOf(context), record.id), changed(record));
    });
  const handlers = {
    ImportCertificate: importCertificate(deps),
    RequestCertificate: requestCertificate(deps),
    async DescribeCertificate({ CertificateArn }, context) {
      const record = await read(CertificateArn, context);
      const users = await usersOf(reader, scopeOf(context));
      return { Certificate: detailOf(record, users.get(record.arn) ?? [], context.now) };
    },
    async GetCertificate({ CertificateArn }, context) {
      const { certificate, chain } = await read(CertificateArn, context);
      return { Certificate: certificate, CertificateChain: chain };
    },
    ListCertificates: (input, context) => listCertificates(deps, input, context),
    async DeleteCertificate({ CertificateArn }, context) {
      await deleteCertificate(deps, CertificateArn ?? "", context);
      return {};
    },
    async AddTagsToCertificate({ CertificateArn, Tags }, context) {
      await change(CertificateArn, context, (record) => ({ ...record, tags: merged(record.tags, Tags) }));
      return {};
    },
    async RemoveTagsFromCertificate({ CertificateArn, Tags }, context) {
      await change(CertificateArn, context, (record) => ({ ...record, tags: without(record.tags, Tags) }));
      return {};
    },
    async ListTagsForCertificate({ CertificateArn }, context) {
      return { Tags: apiTags((await read(CertificateArn, context)).tags) };
    },
    async UpdateCertificateOptions({ CertificateArn, Options }, context) {
      if (Options?.Export === "ENABLED") throw acmErrors.notYet("certificates that can be exported");
      await change(CertificateArn, context, (record) => {
        if (record.type === "IMPORTED") throw acmErrors.state("The options of imported certificates cannot be changed.");
        const transparencyLogging = Options?.CertificateTransparencyLoggingPreference === "DISABLED" ? "DISABLED" : "ENABLED";
        return { ...record, transparencyLogging };
      });
      return {};
    },
  } satisfies Handlers<AcmOperations>;
  return { registrations: [{ service: "acm", handlers: handlers as Readonly<Record<string, Handler>> }] };
}

/** A listener that takes the certificate meanwhile raises the version that is compared here. */
async function deleteCertificate({ writer }: AcmDeps, arn: string, context: RequestContext): Promise<void> {
  const scope = scopeOf(context);
  await writer.run(queueOf(scope), async (unit) => {
    const { id } = await needCertificate(unit, scope, arn);
    await unit.get(elbKeys.version(scope));
    const list = async <T>(prefix: string) => [...(await unit.list<T>(prefix)).values()];
    if ((await usersOf({ get: unit.get, list }, scope)).has(arn)) throw acmErrors.inUse(arn, scope.account);
    unit.delete(acmKeys.certificate(scope, id));
    unit.delete(acmKeys.key(scope, id));
  });
}

/** Unless the request says otherwise, only those with RSA keys of 1024 and 2048 bits, as with AWS. */
const usualKeys: readonly string[] = ["RSA_1024", "RSA_2048"];
const mostItems = 1000;

async function listCertificates(
  deps: AcmDeps,
  input: Sdk.ListCertificatesRequest,
  context: RequestContext,
): Promise<Sdk.ListCertificatesResponse> {
  const scope = scopeOf(context);
  const { CertificateStatuses: statuses = [], Includes: includes = {}, MaxItems: limit = mostItems, SortBy, SortOrder } = input;
  if (limit < 1 || limit > mostItems) throw acmErrors.validation(`Value '${limit}' at 'maxItems' must be between 1 and ${mostItems}`);
  if ((SortBy === undefined) !== (SortOrder === undefined)) throw acmErrors.args("SortBy and SortOrder must be specified together.");
  const users = await usersOf(readerOf(deps), scope);
  const keyTypes: readonly string[] = includes.keyTypes ?? usualKeys;
  const among = (wanted: readonly string[] | undefined, own: readonly string[] = []) =>
    wanted === undefined || wanted.length === 0 || wanted.some((each) => own.includes(each) || each === "ANY");
  const found = (await deps.store.list<CertificateRecord>(acmKeys.certificates(scope))).entries
    .map(({ value }) => value)
    .filter((each) => statuses.length === 0 || statuses.includes(statusOf(each, context.now)))
    .filter(({ keyAlgorithm }) => keyTypes.length === 0 || keyTypes.includes(keyAlgorithm))
    .map((each) => summaryOf(each, users.has(each.arn), context.now))
    .filter((each) => among(includes.keyUsage, each.KeyUsages) && among(includes.extendedKeyUsage, each.ExtendedKeyUsages))
    .filter(() => includes.managedBy === undefined && includes.exportOption !== "ENABLED");
  const position = ({ CreatedAt, CertificateArn = "" }: Sdk.CertificateSummary) => {
    const time = CreatedAt!.getTime();
    return `${String(SortOrder === "DESCENDING" ? 1e16 - time : time).padStart(16, "0")} ${CertificateArn}`;
  };
  const sorted = found.toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { items, nextToken } = pageOf(deps.sealer, sorted, position, {
    scope: JSON.stringify(["ListCertificates", scope, statuses, includes, SortOrder]),
    limit,
    token: input.NextToken,
    badToken: () => acmErrors.validation("The NextToken is not valid."),
  });
  return { CertificateSummaryList: [...items], ...(nextToken === undefined ? {} : { NextToken: nextToken }) };
}
