import { connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { anyPack, type Any } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { RuntimeError, type RuntimeErrorCode } from "#agent/runtime.ts";
import { Containers } from "./generated/api/services/containers/v1/containers_pb.ts";
import { Content } from "./generated/api/services/content/v1/content_pb.ts";
import { Diff } from "./generated/api/services/diff/v1/diff_pb.ts";
import { Images } from "./generated/api/services/images/v1/images_pb.ts";
import { Leases } from "./generated/api/services/leases/v1/leases_pb.ts";
import { Namespaces } from "./generated/api/services/namespaces/v1/namespace_pb.ts";
import { Snapshots } from "./generated/api/services/snapshots/v1/snapshots_pb.ts";
import { Tasks } from "./generated/api/services/tasks/v1/tasks_pb.ts";
import { Version } from "./generated/api/services/version/v1/version_pb.ts";
import { OptionsSchema } from "./generated/runtime/v2/runc/options/oci_pb.ts";

/** containerd's services, bound to one socket and one containerd namespace. One HTTP/2 connection, made at the first call and again when it broke. */
export interface Containerd {
  readonly namespace: string;
  readonly snapshotter: string;
  readonly containers: Client<typeof Containers>;
  readonly content: Client<typeof Content>;
  readonly diff: Client<typeof Diff>;
  readonly images: Client<typeof Images>;
  readonly leases: Client<typeof Leases>;
  readonly namespaces: Client<typeof Namespaces>;
  readonly snapshots: Client<typeof Snapshots>;
  readonly tasks: Client<typeof Tasks>;
  readonly version: Client<typeof Version>;
  close(): void;
}

export function connectContainerd(options: { socket: string; namespace: string; snapshotter: string }): Containerd {
  const session = new Http2SessionManager("http://containerd", {}, { createConnection: () => connect(options.socket) });
  const inNamespace: Interceptor = (next) => (request) => {
    request.header.set("containerd-namespace", options.namespace);
    return next(request);
  };
  const transport = createGrpcTransport({ baseUrl: "http://containerd", sessionManager: session, interceptors: [inNamespace] });
  return {
    namespace: options.namespace,
    snapshotter: options.snapshotter,
    containers: createClient(Containers, transport),
    content: createClient(Content, transport),
    diff: createClient(Diff, transport),
    images: createClient(Images, transport),
    leases: createClient(Leases, transport),
    namespaces: createClient(Namespaces, transport),
    snapshots: createClient(Snapshots, transport),
    tasks: createClient(Tasks, transport),
    version: createClient(Version, transport),
    close: () => session.abort(),
  };
}

/** Call options that put what the call makes under a lease, so that the garbage collector spares it. */
export function leased(lease: string, signal?: AbortSignal): { headers: Record<string, string>; signal?: AbortSignal } {
  return signal ? { headers: { "containerd-lease": lease }, signal } : { headers: { "containerd-lease": lease } };
}

export function isCode(error: unknown, ...codes: Code[]): boolean {
  return error instanceof ConnectError && codes.includes(error.code);
}

export const isNotFound = (error: unknown): boolean => isCode(error, Code.NotFound);
export const isAlreadyExists = (error: unknown): boolean => isCode(error, Code.AlreadyExists);
export const isUnavailable = (error: unknown): boolean => isCode(error, Code.Unavailable);

/** Runs `action`, taking "not found" as done. */
export async function unlessGone(action: Promise<unknown>): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** The error as the runner sees it: containerd's own text without the transport's decoration. */
export function runtimeError(code: RuntimeErrorCode, error: unknown, prefix = ""): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const actual = isUnavailable(error)
    ? "Unavailable"
    : isNotFound(error) && code !== "CannotPull" && code !== "CannotStart"
      ? "NotFound"
      : code;
  return new RuntimeError(actual, prefix + messageOf(error), { cause: error });
}

export function messageOf(error: unknown): string {
  if (error instanceof ConnectError) return error.rawMessage;
  return error instanceof Error ? error.message : String(error);
}

/** JSON bytes under a type URL that is no protobuf name: containerd's form for OCI documents. */
export function jsonAny(typeUrl: string, value: unknown): Any {
  return { $typeName: "google.protobuf.Any", typeUrl, value: new TextEncoder().encode(JSON.stringify(value)) };
}

/** Options of the runc shim. containerd writes its type URLs without a host. */
export function runcOptions(options: { readonly binary?: string; readonly root: string }): Any {
  const any = anyPack(OptionsSchema, create(OptionsSchema, { root: options.root, binaryName: options.binary ?? "" }));
  return { ...any, typeUrl: OptionsSchema.typeName };
}

export { Code };
