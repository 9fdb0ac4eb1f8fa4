import type * as Sdk from "@aws-sdk/client-iam";
import { iamArn, iamKeys } from "#model/iam-keys.ts";
import type { OidcProviderRecord } from "#model/iam-records.ts";
import type { Change, Question, Records } from "./context.ts";
import { errors } from "./errors.ts";
import { checkText, mergedTags, quotas } from "./rules.ts";
import { tagsView } from "./views.ts";

/**
 * OpenID Connect providers, for AssumeRoleWithWebIdentity. AWS takes https only; here an issuer on one's own network may speak http.
 * Source: IAM API Reference, "CreateOpenIDConnectProvider" and its kin.
 */

const mostClientIds = 100;
const mostThumbprints = 5;

/** Host and path, which name the provider in its ARN. */
export const providerName = (url: string) => url.replace(/^https?:\/\//, "");

export const providerKey = ({ account }: Records, { url }: Pick<OidcProviderRecord, "url">) =>
  iamKeys.oidcProvider(account, providerName(url));

const arnOf = (account: string, url: string) => iamArn(account, `oidc-provider/${providerName(url)}`);

/** By ARN. Throws NoSuchEntity, InvalidInput. */
export async function needProvider(records: Records, arn: string): Promise<OidcProviderRecord> {
  const prefix = iamArn(records.account, "oidc-provider/");
  if (!/^arn:aws:iam::\d{12}:oidc-provider\/./.test(arn)) throw errors.validation(`Invalid ARN: ${arn}`);
  const found = arn.startsWith(prefix)
    ? await records.get<OidcProviderRecord>(iamKeys.oidcProvider(records.account, arn.slice(prefix.length)))
    : undefined;
  if (!found) throw errors.noProvider(arn);
  return found;
}

function urlOf(given: string): string {
  checkText("url", given, { max: 255 });
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "" || url.username !== "")
    throw errors.validation("Invalid Open ID Connect Provider URL");
  return given.replace(/\/$/, "");
}

function checkClientIds(ids: readonly string[]): void {
  for (const id of ids) checkText("clientID", id, { max: 255 });
  if (ids.length > mostClientIds) throw errors.quota("ClientIdsPerOpenIdConnectProvider", mostClientIds);
}

function checkThumbprints(thumbprints: readonly string[]): void {
  if (thumbprints.length > mostThumbprints) throw errors.invalidInput("Thumbprint list must contain fewer than 5 entries.");
  for (const each of thumbprints)
    if (!/^[0-9a-fA-F]{40}$/.test(each)) throw errors.validation(`Thumbprint ${each} must be 40 hexadecimal digits.`);
}

export async function createProvider(
  change: Change,
  input: Sdk.CreateOpenIDConnectProviderRequest,
): Promise<Sdk.CreateOpenIDConnectProviderResponse> {
  const { account, now } = change;
  const url = urlOf(input.Url!);
  const clientIds = [...new Set(input.ClientIDList)];
  const thumbprints = input.ThumbprintList ?? [];
  checkClientIds(clientIds);
  checkThumbprints(thumbprints);
  const tags = mergedTags([], input.Tags);
  const key = providerKey(change, { url });
  if (await change.get(key)) throw errors.exists(`Provider with url ${url} already exists.`);
  if ((await change.list(iamKeys.oidcProviders(account))).length >= quotas.oidcProviders)
    throw errors.quota("OpenIdConnectProvidersPerAccount", quotas.oidcProviders);
  const record: OidcProviderRecord = { url, clientIds, thumbprints, createdAt: now, tags };
  change.unit.put(key, record);
  return { OpenIDConnectProviderArn: arnOf(account, url), ...(tags.length > 0 ? { Tags: tagsView(tags) } : {}) };
}

export async function getProvider(
  question: Question,
  input: Sdk.GetOpenIDConnectProviderRequest,
): Promise<Sdk.GetOpenIDConnectProviderResponse> {
  const provider = await needProvider(question, input.OpenIDConnectProviderArn!);
  return {
    Url: providerName(provider.url),
    ClientIDList: [...provider.clientIds],
    ThumbprintList: [...provider.thumbprints],
    CreateDate: new Date(provider.createdAt),
    Tags: tagsView(provider.tags),
  };
}

export async function listProviders(question: Question): Promise<Sdk.ListOpenIDConnectProvidersResponse> {
  const all = await question.list<OidcProviderRecord>(iamKeys.oidcProviders(question.account));
  return { OpenIDConnectProviderList: all.map(({ url }) => ({ Arn: arnOf(question.account, url) })) };
}

export async function deleteProvider(change: Change, input: Sdk.DeleteOpenIDConnectProviderRequest): Promise<void> {
  change.unit.delete(providerKey(change, await needProvider(change, input.OpenIDConnectProviderArn!)));
}

async function alter(change: Change, arn: string | undefined, altered: (record: OidcProviderRecord) => OidcProviderRecord) {
  const provider = await needProvider(change, arn ?? "");
  change.unit.put(providerKey(change, provider), altered(provider));
}

export function addClientId(change: Change, input: Sdk.AddClientIDToOpenIDConnectProviderRequest): Promise<void> {
  return alter(change, input.OpenIDConnectProviderArn, (record) => {
    const clientIds = [...new Set([...record.clientIds, input.ClientID!])];
    checkClientIds(clientIds);
    return { ...record, clientIds };
  });
}

export function removeClientId(change: Change, input: Sdk.RemoveClientIDFromOpenIDConnectProviderRequest): Promise<void> {
  return alter(change, input.OpenIDConnectProviderArn, (record) => ({
    ...record,
    clientIds: record.clientIds.filter((id) => id !== input.ClientID),
  }));
}

export function updateThumbprints(change: Change, input: Sdk.UpdateOpenIDConnectProviderThumbprintRequest): Promise<void> {
  const thumbprints = input.ThumbprintList ?? [];
  checkThumbprints(thumbprints);
  return alter(change, input.OpenIDConnectProviderArn, (record) => ({ ...record, thumbprints }));
}
