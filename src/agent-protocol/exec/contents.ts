/**
 * What the JSON payloads of a data channel carry, and how the agent is told of a session.
 * Source: aws/session-manager-plugin, message; aws/amazon-ssm-agent, session/contracts.
 */

/** The first, a text: `OpenDataChannelInput`. */
export interface OpenDataChannel {
  readonly MessageSchemaVersion?: string;
  readonly RequestId?: string;
  readonly TokenValue?: string;
  readonly ClientId?: string;
  readonly ClientVersion?: string;
}

export interface ChannelClosed {
  readonly MessageType: "channel_closed";
  readonly MessageId: string;
  readonly DestinationId: string;
  readonly SessionId: string;
  readonly SchemaVersion: 1;
  /** ISO 8601. */
  readonly CreatedDate: string;
  /** What the plugin shows; empty: the session has ended as it should. */
  readonly Output: string;
}

export interface HandshakeRequest {
  readonly AgentVersion: string;
  readonly RequestedClientActions: readonly {
    readonly ActionType: "SessionType" | "KMSEncryption";
    readonly ActionParameters: unknown;
  }[];
}

export interface HandshakeResponse {
  readonly ClientVersion: string;
  readonly ProcessedClientActions: readonly {
    readonly ActionType: string;
    /** 1 success, 2 failed, 3 unsupported. */
    readonly ActionStatus: number;
    readonly ActionResult?: unknown;
    readonly Error?: string;
  }[];
  readonly Errors?: readonly string[] | null;
  /** Ours (`./gantry exec`): at the end the exit code comes, which the plugin would print; without a terminal standard error comes by itself. */
  readonly Gantry?: { readonly terminal: boolean };
}

export interface HandshakeComplete {
  /** Nanoseconds, as Go writes durations. */
  readonly HandshakeTimeToComplete: number;
  readonly CustomerMessage: string;
}

export interface Size {
  readonly cols: number;
  readonly rows: number;
}

/** Of `agent_task_complete`. */
export interface TaskComplete {
  readonly Output: string;
}

/** In ACS, ours, which standard agents ignore: connect to `<endpoint>/exec/ws?session=…` and run this. */
export interface ExecSessionMessage {
  readonly messageId: string;
  readonly sessionId: string;
  readonly taskArn: string;
  readonly container: string;
  readonly command: string;
  /** `ecs:<cluster>_<task>_<runtime id>`. */
  readonly target: string;
  /** Who asked: the transcript says it. */
  readonly owner: string;
  readonly logging: ExecLogging;
}

/** Where the transcript goes. DEFAULT: with the container's own log, where that is CloudWatch Logs. */
export interface ExecLogging {
  readonly kind: "NONE" | "DEFAULT" | "OVERRIDE";
  readonly logGroup?: string;
  /** The group has to be encrypted, or there is no session. */
  readonly logGroupEncrypted?: boolean;
  readonly bucket?: string;
  readonly keyPrefix?: string;
  readonly kmsKeyId?: string;
}
