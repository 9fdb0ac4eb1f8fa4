import type { ExecSessionMessage, HandshakeComplete, HandshakeRequest, HandshakeResponse } from "#agent-protocol/exec/contents.ts";

/** Newer than what the plugin asks for before it ends sessions by a flag. */
const agentVersion = "3.3.0.0";

/** What the client is asked for: the kind of session, and where the cluster names a key, a data key of it. */
export function handshakeRequest({ command, logging }: ExecSessionMessage): HandshakeRequest {
  const session = { SessionType: "InteractiveCommands", Properties: { linux: { commands: command } } };
  return {
    AgentVersion: agentVersion,
    RequestedClientActions: [
      ...(logging.kmsKeyId ? [{ ActionType: "KMSEncryption" as const, ActionParameters: { KMSKeyId: logging.kmsKeyId } }] : []),
      { ActionType: "SessionType", ActionParameters: session },
    ],
  };
}

export interface Agreed {
  /** The client is `./gantry exec`. */
  readonly ours: boolean;
  readonly terminal: boolean;
  /** The data key as KMS encrypted it; empty without one. */
  readonly ciphertextKey: string;
}

/** Throws what the client could not do. */
export function agreedOf(response: HandshakeResponse | undefined): Agreed {
  const actions = response?.ProcessedClientActions;
  const failed = actions?.find(({ ActionStatus }) => ActionStatus !== 1);
  if (!response || !Array.isArray(actions) || failed)
    throw new Error(`Handshake with the client failed: ${failed?.Error || response?.Errors?.join("; ") || "an answer that is none"}`);
  const { ActionResult } = actions.find(({ ActionType }) => ActionType === "KMSEncryption") ?? {};
  const { KMSCipherTextKey = "" } = (ActionResult ?? {}) as { KMSCipherTextKey?: string };
  return { ours: response.Gantry !== undefined, terminal: response.Gantry?.terminal !== false, ciphertextKey: KMSCipherTextKey };
}

export const handshakeComplete = (tookMs: number, encrypted: boolean): HandshakeComplete => ({
  HandshakeTimeToComplete: Math.max(1, Math.round(tookMs * 1e6)),
  CustomerMessage: encrypted ? "This session is encrypted using AWS KMS." : "",
});
