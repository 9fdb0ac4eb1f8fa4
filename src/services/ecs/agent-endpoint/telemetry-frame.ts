/**
 * A telemetry frame of an agent: a block of HTTP headers (its signature), an empty line, the JSON envelope. Plain JSON is taken as well. The
 * signature is not checked again: the upgrade that opened the connection was verified. Undefined when it is neither.
 */
export function parseTelemetryFrame(text: string): { readonly type: string; readonly message: Record<string, unknown> } | undefined {
  const end = /\r?\n\r?\n/.exec(text);
  const json = text.startsWith("{") ? text : end ? text.slice(end.index + end[0].length) : undefined;
  if (json === undefined) return undefined;
  try {
    const frame = JSON.parse(json) as { type?: unknown; message?: unknown } | null;
    if (typeof frame?.type !== "string" || typeof frame.message !== "object" || frame.message === null) return undefined;
    return { type: frame.type, message: frame.message as Record<string, unknown> };
  } catch {
    return undefined;
  }
}
