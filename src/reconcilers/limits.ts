/** AWS keeps a stopped task describable for at least an hour. */
export const stoppedTaskRetentionMs = 60 * 60 * 1000;

/** More stopped tasks than this are forgotten before their hour is over, the oldest first: memory stays bounded. */
export const maxStoppedTasks = 5000;

/** A deleted service stays describable as INACTIVE for so long. */
export const serviceRetentionMs = 60 * 60 * 1000;

/** RunTask's clientToken is remembered for so long. */
export const clientTokenRetentionMs = 24 * 60 * 60 * 1000;

/** A server that starts again gives the agents so long to come back before it calls them disconnected. */
export const reconnectGraceMs = 10_000;

/** Time between two full passes over all records, in case a wake-up was lost. */
export const fullPassMs = 60_000;

/** Time between two looks for what has expired. */
export const expiryPassMs = 15_000;

/** After so many connections that stood but never acknowledged a task's payload, the task is stopped rather than sent once more. */
export const maxUnacknowledgedDeliveries = 3;

/** A payload that a connection did not acknowledge within this time counts as refused when the connection ends. */
export const acknowledgeMs = 30_000;
