import { Agent, request as httpRequest } from "node:http";
import { Agent as TlsAgent, request as httpsRequest } from "node:https";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import type { AwsCredentials } from "../config.ts";
import { sign } from "./sigv4.ts";

/** A client of one AWS service in the JSON 1.1 protocol: what the agent needs of an SDK, without its weight. */
export interface AwsClient {
  /** One attempt. Throws AwsError. */
  send<T>(operation: string, input: unknown, signal?: AbortSignal): Promise<T>;
  /** Up to `attempts`, with back-off, as long as the error is worth repeating. Throws the last AwsError. */
  call<T>(operation: string, input: unknown, options?: { attempts?: number; signal?: AbortSignal }): Promise<T>;
}

export interface AwsClientOptions {
  readonly service: keyof typeof targets;
  readonly endpoint: string;
  readonly region: string;
  /** Or what gives those of the moment. */
  readonly credentials: AwsCredentials | (() => AwsCredentials);
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs?: number;
}

const targets = {
  ecs: "AmazonEC2ContainerServiceV20141113",
  ecr: "AmazonEC2ContainerRegistry_V20150921",
  logs: "Logs_20140328",
  secretsmanager: "secretsmanager",
  ssm: "AmazonSSM",
  kms: "TrentService",
} as const;

/** The service's answer was an error, or there was none (`code` is then `NetworkError`, `status` 0). */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;
  readonly requestId: string;
  constructor(code: string, message: string, status: number, requestId = "") {
    super(message);
    this.name = "AwsError";
    this.code = code;
    this.status = status;
    this.requestId = requestId;
  }

  /** Sending the same again may help: no answer, a fault of the service, throttling. */
  get retryable(): boolean {
    return (
      this.status === 0 ||
      this.status >= 500 ||
      this.status === 429 ||
      /Throttl|ServerException|TooManyRequests|ServiceUnavailable/.test(this.code)
    );
  }
}

const plainAgent = new Agent({ keepAlive: true, maxSockets: 32 });
const tlsAgent = new TlsAgent({ keepAlive: true, maxSockets: 32 });

export function createAwsClient(options: AwsClientOptions): AwsClient {
  const { clock, random } = options;
  const send = async <T>(operation: string, input: unknown, signal?: AbortSignal): Promise<T> => {
    const url = new URL(`${options.endpoint}/`);
    const body = JSON.stringify(input);
    const headers = sign({
      method: "POST",
      url,
      headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `${targets[options.service]}.${operation}` },
      body,
      service: options.service,
      region: options.region,
      credentials: typeof options.credentials === "function" ? options.credentials() : options.credentials,
      now: clock.now(),
    });
    const { status, text, requestId } = await post(url, headers, body, options.timeoutMs ?? 30_000, signal);
    let answer: unknown;
    try {
      answer = text === "" ? {} : JSON.parse(text);
    } catch {
      answer = undefined;
    }
    if (status === 200 && answer !== undefined) return answer as T;
    const error = (answer ?? {}) as { __type?: string; message?: string; Message?: string };
    const code = (error.__type ?? `HTTP${status}`).replace(/^.*#/, "").replace(/:.*$/, "");
    throw new AwsError(code, error.message ?? error.Message ?? text.slice(0, 200), status, requestId);
  };
  return {
    send,
    async call<T>(
      operation: string,
      input: unknown,
      { attempts = 4, signal }: { attempts?: number; signal?: AbortSignal } = {},
    ): Promise<T> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await send<T>(operation, input, signal);
        } catch (error) {
          if (!(error instanceof AwsError) || !error.retryable || attempt >= attempts || signal?.aborted) throw error;
          await sleep(clock, Math.min(20_000, 100 * 2 ** attempt) * (0.5 + random.next() / 2), signal);
        }
      }
    },
  };
}

function post(url: URL, headers: Record<string, string>, body: string, timeoutMs: number, signal?: AbortSignal) {
  return new Promise<{ status: number; text: string; requestId: string }>((resolve, reject) => {
    const secure = url.protocol === "https:";
    const fail = (error: Error) => reject(new AwsError("NetworkError", error.message || "no answer", 0));
    const request = (secure ? httpsRequest : httpRequest)(
      url,
      {
        method: "POST",
        headers: { ...headers, "content-length": Buffer.byteLength(body) },
        agent: secure ? tlsAgent : plainAgent,
        timeout: timeoutMs,
        signal,
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("error", fail);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(pieces).toString("utf8"),
            requestId: String(response.headers["x-amzn-requestid"] ?? ""),
          }),
        );
      },
    );
    request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on("error", fail);
    request.end(body);
  });
}
