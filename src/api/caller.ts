import type { Config } from "#platform/config.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { createAuthorizer } from "./authorize.ts";
import type { Need } from "./authorization/table.ts";
import { ApiError, type Handler, type Principal, type ServerPart } from "./contract.ts";
import { notImplemented } from "./errors.ts";
import { readInput } from "./protocols.ts";
import { serviceTable } from "./schema.ts";

/** A call of an AWS operation that comes from no socket: a service of AWS that acts for a user, by a role or by its own name. */
export interface ServiceCall {
  readonly principal: Principal;
  readonly region: string;
  /** As in the schemas: `ecs`. */
  readonly service: string;
  readonly operation: string;
  /** As JSON has it. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Who calls, e.g. `events.amazonaws.com`: the trail's user agent and source. */
  readonly by: string;
}

export interface Caller {
  /** The same as at the front door: input checked, authorized, in the trail. Throws ApiError. */
  call(call: ServiceCall): Promise<Readonly<Record<string, unknown>>>;
  /** AWS's sentence, or undefined when it is allowed. */
  denial(principal: Principal, need: Need, region: string): Promise<string | undefined>;
}

export interface CallerOptions {
  readonly parts: readonly ServerPart[];
  readonly config: Pick<Config, "open" | "port">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export function createCaller({ parts, config, clock, random, log }: CallerOptions): Caller {
  const handlers = new Map<string, Record<string, Handler>>();
  for (const { service, handlers: more } of parts.flatMap((part) => part.registrations ?? []))
    handlers.set(service, { ...handlers.get(service), ...more });
  const authorizer = createAuthorizer({
    open: config.open,
    policies: parts.find((part) => part.policies)?.policies,
    resourcePolicies: parts.flatMap((part) => part.resourcePolicies ?? []),
    resources: parts.flatMap((part) => part.resources ?? []),
  });
  const auditor = parts.find((part) => part.auditor)?.auditor;
  const factsAt = (now: number, region: string) => ({ now, region, secure: true });

  async function answer({ principal, region, service, operation, input: given, by }: ServiceCall, requestId: string, now: number) {
    const table = serviceTable(service);
    const handler = handlers.get(service)?.[operation];
    if (!handler) throw notImplemented(table.serviceId, operation);
    const call = { table, protocol: "awsJson1_1", operation } as const;
    const input = readInput(call, Buffer.from(JSON.stringify(given)), new URLSearchParams(), {});
    await authorizer.authorize(principal, { service, operation, protocol: "awsJson1_1", input }, factsAt(now, region));
    const context = {
      requestId,
      account: principal.account,
      region,
      principal,
      now,
      endpoint: `http://127.0.0.1:${config.port}`,
      sourceIp: by,
      userAgent: by,
      signal: new AbortController().signal,
      log,
    };
    return ((await handler(input as never, context)) ?? {}) as Readonly<Record<string, unknown>>;
  }

  return {
    denial: (principal, need, region) => authorizer.denial(principal, need, factsAt(clock.now(), region)),
    async call(call) {
      const { principal, region, service, operation, input, by } = call;
      const requestId = random.uuid();
      const at = clock.now();
      const record = (output: Readonly<Record<string, unknown>> | undefined, error: ApiError | undefined) =>
        auditor?.record({
          requestId,
          at,
          service,
          operation,
          principal,
          account: principal.account,
          region,
          input,
          output,
          error,
          sourceIp: by,
          userAgent: by,
          host: "",
          accessKeyId: undefined,
          tls: undefined,
        });
      try {
        const output = await answer(call, requestId, at);
        record(output, undefined);
        return output;
      } catch (error) {
        if (error instanceof ApiError) record(undefined, error);
        throw error;
      }
    },
  };
}
