import { parseArn } from "#model/arn.ts";
import { type ApiDestinationRecord, type ConnectionRecord, eventKeys } from "#model/events/records.ts";
import { sleep } from "#platform/clock.ts";
import { asRole } from "../as-role.ts";
import { openSecrets } from "../connections.ts";
import { DeliveryFailure } from "../failure.ts";
import { type Deliver, serviceOf, type TargetDeps } from "./target.ts";

interface HttpParameters {
  readonly PathParameterValues?: readonly string[];
  readonly HeaderParameters?: Readonly<Record<string, string>>;
  readonly QueryStringParameters?: Readonly<Record<string, string>>;
}

/** Source: EventBridge User Guide, "API destinations as targets": requests that take longer are ended. */
const answerWithinMs = 5000;

/** A webhook, by the target's role. */
export const apiDestination: Deliver = async (deps, record, payload) => {
  const { store, caller, clock } = deps;
  const { target, region, account, origin } = record;
  const service = serviceOf(record);
  const now = clock.now();
  const principal = await asRole(store, target.RoleArn ?? "", {
    service,
    sessionName: origin.name,
    now,
    source: origin.arn,
    account,
    region,
  });
  const need = { action: "events:InvokeApiDestination", resources: [target.Arn], account, keys: {} };
  const denied = await caller.denial(principal, need, region);
  if (denied !== undefined) throw new DeliveryFailure(denied, false);
  const destination = await destinationAt(deps, target.Arn);
  await takeTurn(deps, target.Arn, destination.ratePerSecond);
  const request = await requestOf(deps, destination, (target["HttpParameters"] ?? {}) as HttpParameters, payload);
  let response: Response;
  try {
    response = await fetch(request.url, {
      method: destination.method,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      signal: AbortSignal.timeout(answerWithinMs),
      redirect: "manual",
    });
  } catch (error) {
    const { cause } = error as Error;
    throw new DeliveryFailure(
      `${destination.endpoint} did not answer: ${cause instanceof Error ? cause.message : (error as Error).message}`,
      true,
    );
  }
  await response.body?.cancel();
  if (response.ok) return;
  const retry = [401, 407, 409, 429].includes(response.status) || response.status >= 500;
  throw new DeliveryFailure(`${destination.endpoint} answered ${response.status}`, retry, retryAfterMs(response, clock.now()));
};

async function destinationAt({ store }: TargetDeps, text: string): Promise<ApiDestinationRecord> {
  const arn = parseArn(text)!;
  const [, name = "", id = ""] = arn.resource.split("/");
  const found = (await store.get<ApiDestinationRecord>(eventKeys.apiDestination(arn, name)))?.value;
  if (found?.id !== id) throw new DeliveryFailure(`The API destination ${text} does not exist.`, false);
  return found;
}

async function requestOf({ store, vault }: TargetDeps, destination: ApiDestinationRecord, http: HttpParameters, payload: string) {
  const arn = parseArn(destination.connectionArn)!;
  const [, name = "", id = ""] = arn.resource.split("/");
  const key = eventKeys.connection(arn, name);
  const connection = (await store.get<ConnectionRecord>(key))?.value;
  if (connection?.id !== id || connection.sealed === undefined)
    throw new DeliveryFailure(`The connection ${destination.connectionArn} does not exist or is not authorized.`, false);
  const secrets = openSecrets(vault, key, connection.sealed);
  const { shown, authorization } = connection;

  const values = [...(http.PathParameterValues ?? [])];
  const url = new URL(destination.endpoint.replaceAll("*", () => encodeURIComponent(values.shift() ?? "")));
  for (const [name_, value] of Object.entries(http.QueryStringParameters ?? {})) url.searchParams.set(name_, value);
  for (const { Key, Value } of shown.query) url.searchParams.set(Key, secrets.query[Key] ?? Value);
  const headers: Record<string, string> = {
    "content-type": "application/json; charset=utf-8",
    "user-agent": "Amazon/EventBridge/ApiDestinations",
  };
  for (const [name_, value] of Object.entries(http.HeaderParameters ?? {})) headers[name_.toLowerCase()] = value;
  // What the connection says counts more than what the target says.
  for (const { Key, Value } of shown.headers) headers[Key.toLowerCase()] = secrets.headers[Key] ?? Value;
  if (authorization === "BASIC")
    headers["authorization"] = `Basic ${Buffer.from(`${shown.username ?? ""}:${secrets.password ?? ""}`).toString("base64")}`;
  else headers[(shown.apiKeyName ?? "").toLowerCase()] = secrets.apiKeyValue ?? "";
  const body = ["GET", "HEAD"].includes(destination.method)
    ? undefined
    : withParameters(
        payload,
        shown.body.map(({ Key, Value }) => [Key, secrets.body[Key] ?? Value]),
      );
  return { url, headers, body };
}

function withParameters(payload: string, parameters: readonly (readonly [string, string])[]): string {
  if (parameters.length === 0) return payload;
  try {
    const given: unknown = JSON.parse(payload);
    if (typeof given === "object" && given !== null && !Array.isArray(given))
      return JSON.stringify({ ...given, ...Object.fromEntries(parameters) });
  } catch {
    // A body that is no object has no room for them.
  }
  return payload;
}

function retryAfterMs({ headers }: Response, now: number): number {
  const text = headers.get("retry-after");
  if (text === null) return 0;
  const seconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds), 3_600_000) : 0;
}

/** By destination: when the next call may begin. */
const turns = new WeakMap<object, Map<string, number>>();

async function takeTurn({ clock, index }: TargetDeps, arn: string, ratePerSecond: number): Promise<void> {
  let own = turns.get(index);
  if (!own) turns.set(index, (own = new Map()));
  const now = clock.now();
  const at = Math.max(now, own.get(arn) ?? 0);
  own.set(arn, at + 1000 / ratePerSecond);
  if (at > now) await sleep(clock, at - now);
}
