import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "#api/body.ts";
import { ApiError, type RawRequestInfo, type RawRoute } from "#api/contract.ts";
import { reply } from "#api/own-routes.ts";
import { issueSession } from "#identity/sessions.ts";
import { type JoinTokenRecord, machineKeys, type MachineRecord } from "#model/machine-records.ts";
import { isLoopback } from "#platform/config.ts";
import { tlsFiles } from "#platform/tls.ts";
import type { EcsDeps } from "../context.ts";
import { admit, hashOf, machineIdOf, parseJoin, refusals, sameHash } from "./rules.ts";
import { machinesQueue } from "./tokens.ts";

/** A machine renews them each hour; they hold for as long as it may not reach the server. */
const credentialsSeconds = 7 * 86_400;
const longestBody = 16 * 1024;

/** What a machine is told when it joins, and when it renews its credentials. */
export interface JoinAnswer {
  readonly machine: string;
  readonly cluster: string;
  readonly account: string;
  readonly region: string;
  /** The registry's name in images is `localhost:<port>`, whatever port the server is reached by. */
  readonly port: number;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken: string };
}

/**
 * How a machine comes in that has nothing yet but a token:
 *
 *     GET  /_gantry/join/authority     { authority: PEM }: the caller compares its fingerprint with the token's
 *     POST /_gantry/join               { token, secret, key, hostname } → JoinAnswer
 *     POST /_gantry/join/credentials   { machine, key } → JoinAnswer: by the machine's own key, however long it was away
 *
 * Nobody signs here: secret and key are the proof. Errors are JSON with `__type` and `message`. TLS only, except from this machine itself.
 */
export function joinRoute(deps: EcsDeps): RawRoute {
  const { store, writer, config } = deps;
  const get = async <T>(key: string) => (await store.get<T>(key))?.value;

  const join: Work = async (body, now) => {
    const request = parseJoin(body);
    if (!request) throw new ApiError("InvalidParameterException", "This is no request to join.");
    return writer.run(machinesQueue, async (unit) => {
      const tokenKey = machineKeys.token(request.token);
      const token = await unit.get<JoinTokenRecord>(tokenKey);
      const key = machineKeys.machine(machineIdOf(hashOf(request.key)));
      const next = admit(request, token, await unit.get<MachineRecord>(key), now);
      unit.put(tokenKey, next.token);
      unit.put(key, next.machine);
      return next.machine;
    });
  };

  const renew: Work = async (body) => {
    const { machine = "", key = "" } = (body ?? {}) as { machine?: unknown; key?: unknown };
    if (typeof machine !== "string" || typeof key !== "string" || key.length > 256)
      throw new ApiError("InvalidParameterException", "This is no request for credentials.");
    const record = await get<MachineRecord>(machineKeys.machine(machine));
    if (!record || !sameHash(hashOf(key), record.keyHash)) throw refusals.gone();
    return record;
  };

  function answerOf({ id, account, region, cluster }: MachineRecord, now: number): JoinAnswer {
    const holder = { kind: "Agent" as const, node: id, cluster, machine: id };
    const { accessKeyId, secretAccessKey, sessionToken } = issueSession(deps, account, holder, credentialsSeconds, now);
    return { machine: id, cluster, account, region, port: config.port, credentials: { accessKeyId, secretAccessKey, sessionToken } };
  }

  async function post(name: string, work: Work, request: IncomingMessage, info: RawRequestInfo): Promise<JoinAnswer> {
    const source = request.socket.remoteAddress ?? "";
    if (!("encrypted" in request.socket) && !isLoopback(source.replace(/^::ffff:/, ""))) throw refusals.plain();
    const wait = info.attempts.wait(source, joiners, info.now);
    if (wait > 0) throw new ApiError("ThrottlingException", "Too many wrong tokens from this address. Try again later.", 429);
    const read = await readBody(request, longestBody);
    let input: Readonly<Record<string, unknown>> = {};
    const call = { service: "gantry", operation: name, principal: undefined, account: config.account, region: config.region };
    try {
      const body = "bytes" in read ? jsonOf(read.bytes) : undefined;
      // Of what was sent, the trail has the names alone.
      const { token, machine, hostname } = (body ?? {}) as Record<string, unknown>;
      input = Object.fromEntries(Object.entries({ token, machine, hostname }).filter(([, value]) => typeof value === "string"));
      const record = await work(body, info.now);
      info.attempts.succeeded(source, joiners);
      if (name === "JoinMachine") {
        info.audit({ ...call, input, output: { machine: record.id, cluster: record.cluster }, error: undefined });
        info.log.info({ machine: record.id, hostname: record.hostname, cluster: record.cluster }, "a machine has joined");
      }
      return answerOf(record, info.now);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 403) info.attempts.failed(source, joiners, info.now);
      info.audit({ ...call, input, output: undefined, error });
      throw error;
    }
  }

  const answer = async (request: IncomingMessage, info: RawRequestInfo): Promise<unknown> => {
    const asked = `${request.method} ${info.path.replace(/\/$/, "")}`;
    if (asked === `POST ${path}`) return post("JoinMachine", join, request, info);
    if (asked === `POST ${path}/credentials`) return post("RenewMachineCredentials", renew, request, info);
    if (asked !== `GET ${path}/authority`) throw new ApiError("NotFound", `There is no ${asked}.`, 404);
    const file = tlsFiles(config)?.authority;
    return { authority: file === undefined ? null : await readFile(file, "utf8").catch(() => null) };
  };

  return {
    prefix: `${path}/`,
    async handle(request: IncomingMessage, response: ServerResponse, info) {
      try {
        reply(response, 200, JSON.stringify(await answer(request, info)));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        request.resume();
        reply(response, error.status, JSON.stringify({ __type: error.code, message: error.message }));
      }
    },
  };
}

type Work = (body: unknown, now: number) => Promise<MachineRecord>;

const path = "/_gantry/join";
/** Stands for an access key where wrong attempts are counted. */
const joiners = "join";

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
