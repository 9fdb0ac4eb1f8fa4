import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Input } from "./authorization/table.ts";
import type { Principal } from "./contract.ts";
import { anonymousPrincipal } from "./credentials.ts";

/** A call that was answered, whatever the answer was. Whoever takes it must not change it. */
export interface AuditedCall extends CallOrigin {
  readonly requestId: string;
  /** Milliseconds since the epoch at which it came. */
  readonly at: number;
  /** As in the schemas; `gantry` for Gantry's own questions. */
  readonly service: string;
  readonly operation: string;
  /** Undefined: nobody proved who they are. */
  readonly principal: Principal | undefined;
  /** Whose call it is: of who asked, else this Gantry's account. */
  readonly account: string;
  readonly region: string;
  readonly input: Input | undefined;
  readonly output: Input | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface CallOrigin {
  readonly sourceIp: string;
  readonly userAgent: string;
  readonly host: string;
  /** That was claimed; with a `principal`, that was proved. */
  readonly accessKeyId: string | undefined;
  /** Undefined: not encrypted. */
  readonly tls: { readonly version: string; readonly cipher: string } | undefined;
}

/** Takes note of every call. `record` returns at once and never throws. */
export interface Auditor {
  record(call: AuditedCall): void;
}

const handshakes = new WeakMap<object, CallOrigin["tls"]>();

export function originOf(request: IncomingMessage, accessKeyId: string | undefined): CallOrigin {
  const { headers, socket } = request;
  return {
    sourceIp: (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/i, ""),
    userAgent: (headers["user-agent"] ?? "").slice(0, 512),
    host: (headers.host ?? "").slice(0, 255),
    accessKeyId: accessKeyId !== undefined && /^\w{12,128}$/.test(accessKeyId) ? accessKeyId : undefined,
    tls: tlsOf(socket as Partial<TLSSocket> & object),
  };
}

function tlsOf(socket: Partial<TLSSocket> & object): CallOrigin["tls"] {
  if (socket.encrypted !== true) return undefined;
  if (!handshakes.has(socket))
    handshakes.set(socket, { version: socket.getProtocol?.() ?? "", cipher: socket.getCipher?.().standardName ?? "" });
  return handshakes.get(socket);
}

/** Who asks when nobody proved it: the record belongs to this Gantry's own account. */
export const accountOf = (principal: Principal | undefined, ours: string) => (principal ?? anonymousPrincipal(ours)).account || ours;
