import { ApiError } from "#api/contract.ts";

/** A target did not take an event. */
export class DeliveryFailure extends Error {
  /** Whether another attempt may succeed without anybody changing anything. */
  readonly retry: boolean;
  /** Not before so long. */
  readonly waitMs: number;

  constructor(message: string, retry: boolean, waitMs = 0) {
    super(message);
    this.retry = retry;
    this.waitMs = waitMs;
  }
}

const throttled = /throttl|TooManyRequests|RequestLimitExceeded|ServiceUnavailable|LimitExceeded/i;

/** What is missing or forbidden is not tried again. Source: EventBridge User Guide, "How EventBridge retries delivering events". */
export function failureOf(error: unknown): DeliveryFailure {
  if (error instanceof DeliveryFailure) return error;
  if (error instanceof ApiError)
    return new DeliveryFailure(
      `${error.code}: ${error.message}`,
      error.status === 429 || (error.status >= 500 && error.status !== 501) || throttled.test(error.code),
    );
  return new DeliveryFailure(error instanceof Error ? error.message : String(error), true);
}
