import type { IncomingMessage, ServerResponse } from "node:http";
import type { Engine, TaskView } from "../task/engine.ts";
import type { ContainerState } from "../task/state.ts";
import type { World } from "../task/world.ts";
import type { Forward } from "./forward.ts";
import { createHttpListeners, type HttpListeners } from "./listeners.ts";
import type { Sampler } from "./sampler.ts";
import { dockerStats } from "./stats.ts";
import { containerDocument, taskDocument } from "./views.ts";

export interface MetadataDeps {
  readonly world: World;
  readonly engine: Engine;
  readonly sampler: Sampler;
  /** Takes what is for the API, not for this agent. */
  readonly forward?: Forward;
  /** The tags of `/taskWithTags`. */
  tags(view: TaskView): Promise<{ readonly TaskTags?: Record<string, string>; readonly ContainerInstanceTags?: Record<string, string> }>;
}

class NotFound extends Error {}

/**
 * The endpoint that containers know as 169.254.170.2. It listens on the bridge's address and on loopback (for tasks in host mode); the ids in
 * its paths can't be guessed, and a caller with an address on the bridge is answered about its own task only.
 */
export function createMetadataServer(deps: MetadataDeps): HttpListeners {
  const { engine, world } = deps;

  const find = (id: string, source: string): { view: TaskView; container: ContainerState } | undefined => {
    for (const view of engine.tasks()) {
      const container = view.state.containers.find(({ metadataId }) => metadataId === id);
      if (container) return belongs(view, source) ? { view, container } : undefined;
    }
    return undefined;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const source = (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    const [, version = "", id = "", ...rest] = (request.url ?? "").split("?")[0]?.split("/") ?? [];
    if (version === "v2" && id === "credentials") {
      credentials(rest[0] ?? "", source, response);
      return;
    }
    if (version === "api") {
      json(response, 404, { error: { Code: "ResourceNotFoundException", Message: `${request.url} is not offered by this agent` } });
      return;
    }
    if (version !== "v3" && version !== "v4") throw new NotFound(`Unable to serve ${request.url}`);
    const found = find(id, source);
    if (!found)
      throw new NotFound(
        `V${version.slice(1)} metadata handler: unable to get task arn from request: unable to get task Arn from v3 endpoint ID: ${id}`,
      );
    json(response, 200, await document(found, rest.filter((part) => part !== "").join("/"), version === "v4" ? 4 : 3));
  };

  const document = async (
    { view, container }: { view: TaskView; container: ContainerState },
    path: string,
    version: 3 | 4,
  ): Promise<unknown> => {
    switch (path) {
      case "":
        return containerDocument(world, view, container, version);
      case "task":
        return taskDocument(world, view, version);
      case "taskWithTags":
        return { ...taskDocument(world, view, version), ...(await deps.tags(view)) };
      case "stats":
        return (await stats(view, container)) ?? {};
      case "task/stats": {
        const all = await Promise.all(view.state.containers.map(async (each) => [each.id, (await stats(view, each)) ?? null] as const));
        return Object.fromEntries(all.filter(([, value]) => value !== null));
      }
      default:
        throw new NotFound(`Unable to serve /${path}`);
    }
  };

  const stats = async (view: TaskView, container: ContainerState) => {
    const sample = await deps.sampler.take(container);
    return sample && dockerStats({ id: container.id, name: `/${container.name}` }, sample.before, sample.now);
  };

  const credentials = (id: string, source: string, response: ServerResponse) => {
    const found = id === "" ? undefined : engine.credentials(id);
    const view = found && engine.tasks().find(({ plan }) => plan.arn === found.arn);
    if (!found || !view || !belongs(view, source)) {
      const code = id === "" ? "NoIdInRequest" : "InvalidIdInRequest";
      json(response, 400, {
        code,
        message: id === "" ? "CredentialsV2Request: No ID in the request" : "CredentialsV2Request: Credentials not found",
        HTTPErrorCode: 400,
      });
      return;
    }
    if (found.credentials.secretAccessKey === "") {
      json(response, 503, {
        code: "CredentialsUninitialized",
        message: "CredentialsV2Request: Credentials uninitialized for ID",
        HTTPErrorCode: 503,
      });
      return;
    }
    const { roleArn, accessKeyId, secretAccessKey, sessionToken, expiration } = found.credentials;
    json(response, 200, {
      RoleArn: roleArn,
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: expiration,
    });
  };

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const { forward } = deps;
    if (forward?.takes(request)) {
      forward.handle(request, response);
      return;
    }
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") {
      json(response, 405, "Method Not Allowed");
      return;
    }
    answer(request, response).catch((error: unknown) => {
      if (error instanceof NotFound) json(response, 404, error.message);
      else {
        world.log.error({ err: error, path: request.url?.replace(/[0-9a-f]{32}/g, "…") }, "metadata request failed");
        json(response, 500, "Internal server error");
      }
    });
  };

  return createHttpListeners(listener);
}

/** Whether the caller is a container of this task: its address is, or, for tasks that share the host's network, it came over loopback. */
function belongs({ plan, state }: TaskView, source: string): boolean {
  if (plan.networkMode === "host") return source.startsWith("127.");
  return state.containers.some(({ network }) => network && !network.released && (network.vpc?.transit ?? network.address) === source);
}

function json(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}
