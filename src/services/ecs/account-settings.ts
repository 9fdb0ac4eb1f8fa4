import type {
  DeleteAccountSettingRequest,
  DeleteAccountSettingResponse,
  ListAccountSettingsRequest,
  ListAccountSettingsResponse,
  PutAccountSettingDefaultRequest,
  PutAccountSettingDefaultResponse,
  PutAccountSettingRequest,
  PutAccountSettingResponse,
  Setting,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { Store } from "#store/store.ts";
import { checkLimit, type EcsDeps, scopeOf } from "./context.ts";
import { ecsErrors } from "./errors.ts";

/** Each setting's values, the first the default. Source: ECS Developer Guide, "Account settings". */
const settings: Readonly<Record<string, readonly string[]>> = {
  awsvpcTrunking: ["disabled", "enabled"],
  containerInsights: ["disabled", "enabled", "enhanced"],
  containerInstanceLongArnFormat: ["enabled", "disabled"],
  defaultLogDriverMode: ["non-blocking", "blocking"],
  dualStackIPv6: ["enabled", "disabled"],
  fargateEventWindows: ["disabled", "enabled"],
  fargateFIPSMode: ["disabled", "enabled"],
  fargateTaskRetirementWaitPeriod: ["7", "0", "14"],
  guardDutyActivate: ["off", "on"],
  serviceLongArnFormat: ["enabled", "disabled"],
  tagResourceAuthorization: ["on", "off"],
  taskLongArnFormat: ["enabled", "disabled"],
};

interface SettingRecord {
  readonly name: string;
  readonly value: string;
  readonly principalArn: string;
}

const rootOf = (scope: Scope) => `arn:aws:iam::${scope.account}:root`;
/** The principal's ARN is one part of the key. */
const keyOf = (scope: Scope, principal: string, name: string) => ecsKeys.accountSetting(scope, encodeURIComponent(principal), name);

/** The principal's own value, else the account's default, else AWS's. */
export async function effectiveSetting(store: Store, scope: Scope, principal: string, name: string): Promise<string> {
  for (const who of [principal, rootOf(scope)]) {
    const entry = await store.get<SettingRecord>(keyOf(scope, who, name));
    if (entry) return entry.value.value;
  }
  return settings[name]?.[0] ?? "";
}

export function putAccountSetting(
  deps: EcsDeps,
  input: PutAccountSettingRequest,
  context: RequestContext,
): Promise<PutAccountSettingResponse> {
  return put(deps, input, input.principalArn ?? context.principal.arn, context);
}

export function putAccountSettingDefault(
  deps: EcsDeps,
  input: PutAccountSettingDefaultRequest,
  context: RequestContext,
): Promise<PutAccountSettingDefaultResponse> {
  return put(deps, input, rootOf(scopeOf(context)), context);
}

async function put(
  deps: EcsDeps,
  { name = "" as never, value = "" }: PutAccountSettingRequest,
  principalArn: string,
  context: RequestContext,
): Promise<{ setting: Setting }> {
  const allowed = Object.hasOwn(settings, name) ? settings[name] : undefined;
  if (!allowed) throw ecsErrors.invalid(`Invalid account setting name: ${String(name)}`);
  if (!allowed.includes(value))
    throw ecsErrors.invalid(`Invalid value for the account setting ${String(name)}: ${value}. Valid values: ${allowed.join(", ")}`);
  // New tasks, services and instances have had long ARNs only since 2021.
  if (name === "guardDutyActivate") throw ecsErrors.invalid("guardDutyActivate is read-only: Amazon GuardDuty controls it.");
  checkPrincipal(scopeOf(context), principalArn);
  if (name.endsWith("LongArnFormat") && value === "disabled") throw ecsErrors.invalid("The long ARN format can't be disabled.");
  const record: SettingRecord = { name, value, principalArn };
  await deps.store.transaction({ writes: [{ put: keyOf(scopeOf(context), principalArn, name), value: record }] });
  return { setting: view(record) };
}

/** A user, a role or the root user of the account. Throws InvalidParameterException. */
function checkPrincipal({ account }: Scope, arn: string): void {
  if (!new RegExp(`^arn:aws[a-z-]*:(iam|sts)::${account}:(root|(user|role|assumed-role|federated-user)/.+)$`).test(arn))
    throw ecsErrors.invalid("Invalid principal ARN.");
}

const view = ({ name, value, principalArn }: SettingRecord): Setting => ({
  name: name as Setting["name"],
  value,
  principalArn,
  type: name === "guardDutyActivate" ? "aws_managed" : "user",
});

export async function deleteAccountSetting(
  deps: EcsDeps,
  input: DeleteAccountSettingRequest,
  context: RequestContext,
): Promise<DeleteAccountSettingResponse> {
  const scope = scopeOf(context);
  const { name = "" as never, principalArn = context.principal.arn } = input;
  if (!Object.hasOwn(settings, name)) throw ecsErrors.invalid(`Invalid account setting name: ${String(name)}`);
  checkPrincipal(scope, principalArn);
  await deps.store.transaction({ writes: [{ delete: keyOf(scope, principalArn, name) }] });
  return { setting: view({ name, value: await effectiveSetting(deps.store, scope, principalArn, name), principalArn }) };
}

export async function listAccountSettings(
  deps: EcsDeps,
  input: ListAccountSettingsRequest,
  context: RequestContext,
): Promise<ListAccountSettingsResponse> {
  const scope = scopeOf(context);
  const principalArn = input.principalArn ?? context.principal.arn;
  if (input.name !== undefined && !Object.hasOwn(settings, input.name))
    throw ecsErrors.invalid(`Invalid account setting name: ${String(input.name)}`);
  checkPrincipal(scope, principalArn);
  if (input.value !== undefined && input.name === undefined) throw ecsErrors.invalid("A value needs the name of its setting.");
  const found: SettingRecord[] = [];
  for (const name of Object.keys(settings).toSorted()) {
    if (input.name !== undefined && input.name !== name) continue;
    const own = await deps.store.get<SettingRecord>(keyOf(scope, principalArn, name));
    const value = own?.value.value ?? (input.effectiveSettings ? await effectiveSetting(deps.store, scope, principalArn, name) : undefined);
    if (value !== undefined && (input.value === undefined || input.value === value)) found.push({ name, value, principalArn });
  }
  const limit = checkLimit(input.maxResults, 10);
  const scopeText = `ListAccountSettings/${ecsKeys.root(scope)}/${principalArn}/${input.effectiveSettings ?? false}/${input.name ?? ""}/${input.value ?? ""}`;
  const { items, nextToken } = pageOf(deps.sealer, found, ({ name }) => name, {
    scope: scopeText,
    limit,
    token: input.nextToken,
    badToken: ecsErrors.badToken,
  });
  return { settings: items.map(view), nextToken };
}
