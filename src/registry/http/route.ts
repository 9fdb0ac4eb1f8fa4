import type { IncomingMessage, ServerResponse } from "node:http";
import type { Principal, RawRequestInfo, RawRoute } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { RegistryError, repositoryUnknown } from "../errors.ts";
import { identify } from "../identify.ts";
import { isPublicHost, publicRegion, publicTarget } from "../public.ts";
import { isRepositoryName } from "../names.ts";
import { repositoryNameInvalid } from "../repositories.ts";
import type { RegistryId, RepositoryRecord } from "../records.ts";
import type { RegistryCore } from "../registry.ts";
import { handleBlob } from "./blobs.ts";
import { actionOf, needOf, publicNeedOf } from "./access.ts";
import { answerError, asOciError, isDiskFull, OciError } from "./errors.ts";
import { answerJson, ClientGone, type Exchange, methodNotAllowed } from "./exchange.ts";
import { handleReferrers, handleTags } from "./lists.ts";
import { handleManifest } from "./manifests.ts";
import { parsePath, parseReference, type Target } from "./path.ts";
import { identifyPublic, unauthorized } from "./public.ts";
import { handleUpload, handleUploads } from "./uploads.ts";

/** OCI's distribution API. Every request is authenticated before anything else of it is looked at. */
export function createRoute({ store, sealer, config, log }: ServerDeps, core: RegistryCore): RawRoute {
  const identifyOptions = { sealer, open: config.open, account: config.account, region: config.region };

  async function answer(request: IncomingMessage, response: ServerResponse, info: RawRequestInfo): Promise<void> {
    const target = parsePath(info.path);
    const open = target && target.kind !== "base" ? publicTarget(request.headers.host, target.name) : undefined;
    if (isPublicHost(request.headers.host) || open) return answerPublic(request, response, info, target, open);
    const identified = identify(identifyOptions, request.headers, info.now);
    // A password that is good opens whatever others tried from here.
    if ("refused" in identified && identified.guessed) slowDown(request, info);
    if ("refused" in identified)
      throw new OciError(401, "UNAUTHORIZED", identified.refused, {
        "www-authenticate": `Basic realm="${info.endpoint.replaceAll(/["\\]/g, "")}/",service="ecr.amazonaws.com"`,
      });
    if ("denied" in identified) throw new OciError(403, "DENIED", identified.denied);
    if (!target) throw new OciError(404, "UNSUPPORTED", "There is nothing at this path.");
    if (target.kind === "base") {
      if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed("GET, HEAD");
      answerJson({ request, response }, {});
      return;
    }
    const { registry, principal } = identified;
    // Its repositories are to be had by their own names only, where ECR Public's permissions are asked for.
    if (registry.region === publicRegion)
      throw new OciError(403, "DENIED", "The login is for public repositories. Log in with the password of ecr get-login-password.");
    if (!isRepositoryName(target.name)) throw repositoryNameInvalid(target.name.slice(0, 300));
    const may: Exchange["may"] = async (action, name) =>
      principal === undefined ? undefined : info.denial(principal, needOf(registry, action, name), registry.region);
    const must: Must = async (action, name) => {
      const denied = await may(action, name);
      if (denied !== undefined) throw new OciError(403, "DENIED", denied);
    };
    // Before anything is said of the repository, even whether it is there.
    await carryOut({ request, response, info, registry, principal, may, must, path: target.name, service: "ecr" }, target);
  }

  /** Whoever it is may read; who writes has to say who they are and be allowed to. */
  async function answerPublic(
    request: IncomingMessage,
    response: ServerResponse,
    info: RawRequestInfo,
    target: Target | undefined,
    found: ReturnType<typeof publicTarget>,
  ): Promise<void> {
    const principal = identifyPublic(sealer, request, info);
    if (!target) throw new OciError(404, "UNSUPPORTED", "There is nothing at this path.");
    if (target.kind === "base") {
      if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed("GET, HEAD");
      // Clients learn here how to come by a token.
      if (request.headers.authorization === undefined) throw unauthorized(request, info, "Not Authorized");
      answerJson({ request, response }, {});
      return;
    }
    if (!found) throw new OciError(404, "NAME_UNKNOWN", `There is no public registry of this alias: ${target.name.slice(0, 300)}`);
    const { registry, name } = found;
    if (!isRepositoryName(name)) throw repositoryNameInvalid(name.slice(0, 300));
    const reads = (request.method === "GET" || request.method === "HEAD") && target.kind !== "upload";
    if (!reads && !principal && !config.open) throw unauthorized(request, info, "Not Authorized");
    const may: Exchange["may"] = async (action, each) =>
      reads || principal === undefined ? undefined : info.denial(principal, publicNeedOf(registry, action, each), publicHome);
    const must: Must = async (action, each) => {
      const denied = await may(action, each);
      if (denied !== undefined) throw new OciError(403, "DENIED", denied);
    };
    await carryOut(
      { request, response, info, registry, principal, may, must, path: target.name, service: "ecr-public" },
      { ...target, name },
    );
  }

  async function carryOut(asked: Asked, target: Exclude<Target, { kind: "base" }>): Promise<void> {
    const { request, response, info, registry, principal, may, must, path, service } = asked;
    const action = actionOf(target.kind, request.method ?? "GET");
    const audit = (error?: OciError) => {
      // As CloudTrail: images are management events, their layers are not. The audit has what was refused, whatever it was.
      if (target.kind !== "manifest" && error?.code !== "DENIED") return;
      const input = {
        repositoryName: target.name,
        ...("reference" in target ? { imageIds: [parseReference(target.reference) ?? {}] } : {}),
      };
      const said = error && { code: error.code === "DENIED" ? "AccessDenied" : error.code, message: error.message };
      info.audit({
        service,
        operation: action.slice(4),
        principal,
        account: registry.account,
        region: service === "ecr" ? registry.region : publicHome,
        input,
        output: undefined,
        error: said,
      });
    };
    try {
      await must(action, target.name);
      const repository = await repositoryOf(registry, target, request.method ?? "GET", must);
      await handle({ request, response, info, core, registry, repository, path, may }, target);
      audit();
    } catch (error) {
      const known = asOciError(error);
      if (known) audit(known);
      throw error;
    }
  }

  async function repositoryOf(
    registry: RegistryId,
    target: Exclude<Target, { kind: "base" }>,
    method: string,
    must: Must,
  ): Promise<RepositoryRecord> {
    const repository = await core.repositories.find(registry, target.name);
    if (repository) return repository;
    const push = (target.kind === "uploads" && method === "POST") || (target.kind === "manifest" && method === "PUT");
    if (!push || !config.createOnPush) throw repositoryUnknown({ name: target.name, account: registry.account });
    await must("ecr:CreateRepository", target.name);
    try {
      return await core.repositories.create(registry, target.name, {});
    } catch (error) {
      // Another layer of the same push was faster.
      if (error instanceof RegistryError && error.kind === "RepositoryExists") return core.repositories.get(registry, target.name);
      throw error;
    }
  }

  function handle(exchange: Exchange, target: Exclude<Target, { kind: "base" }>): Promise<void> {
    switch (target.kind) {
      case "manifest":
        return handleManifest(exchange, target.reference);
      case "blob":
        return handleBlob(exchange, target.digest);
      case "uploads":
        return handleUploads(exchange);
      case "upload":
        return handleUpload(exchange, target.id);
      case "tags":
        return handleTags(exchange, store);
      case "referrers":
        return handleReferrers(exchange, store, target.digest);
    }
  }

  return {
    prefix: "/v2/",
    async handle(request, response, info) {
      response.setHeader("docker-distribution-api-version", "registry/2.0");
      try {
        await answer(request, response, info);
      } catch (error) {
        // A cut-off upload keeps its bytes; whoever sent them asks how far it came.
        if (error instanceof ClientGone || response.destroyed || (request.destroyed && !request.complete)) {
          response.destroy();
          return;
        }
        const known = asOciError(error);
        if (!known) log.error({ err: error, requestId: info.requestId, path: info.path }, "a request to the registry failed");
        if (response.headersSent) {
          response.destroy();
          return;
        }
        // What is left of the body is read and dropped: closing on a client that still writes would cost it our answer.
        request.resume();
        answerError(response, known ?? failure(error));
      }
    },
  };
}

/** Passwords are told apart by who asks only: all have the same user name. Throws TOOMANYREQUESTS. */
function slowDown(request: IncomingMessage, { attempts, now }: RawRequestInfo): void {
  const source = request.socket.remoteAddress ?? "";
  const wait = attempts.wait(source, passwords, now);
  if (wait > 0)
    throw new OciError(429, "TOOMANYREQUESTS", "Too many requests with wrong credentials. Try again later.", {
      "retry-after": String(Math.ceil(wait / 1000)),
    });
  attempts.failed(source, passwords, now);
}

/** Stands for an access key. */
const passwords = "ecr-password";

/** The region in which ECR Public is. */
const publicHome = "us-east-1";

interface Asked extends Pick<Exchange, "request" | "response" | "info" | "registry" | "may" | "path"> {
  readonly principal: Principal | undefined;
  readonly must: Must;
  readonly service: "ecr" | "ecr-public";
}

/** Throws DENIED. */
type Must = (action: string, name: string) => Promise<void>;

function failure(error: unknown): OciError {
  return isDiskFull(error)
    ? new OciError(507, "UNKNOWN", "The registry's disk is full.")
    : new OciError(500, "UNKNOWN", "The registry failed to answer. Its log says why.");
}
