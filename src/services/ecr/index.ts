import { statfs } from "node:fs/promises";
import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createRegistry, type RegistryOptions } from "#registry/registry.ts";
import { ecrAccess } from "./access.ts";
import { downloadRoute } from "./download.ts";
import { asApiError } from "./errors.ts";
import { imageHandlers } from "./images.ts";
import { layerHandlers } from "./layers.ts";
import { lifecycleHandlers } from "./lifecycle/operations.ts";
import { createLifecycle } from "./lifecycle/reconciler.ts";
import type { EcrPart } from "./part.ts";
import { policyHandlers } from "./policies.ts";
import { ecrPublicHandlers } from "./public/index.ts";
import { putImageHandlers } from "./put-image.ts";
import { repositoryHandlers } from "./repositories.ts";
import { scanHandlers } from "./scanning/operations.ts";
import { createScanner } from "./scanning/reconciler.ts";
import { scanningConfigurationHandlers } from "./scanning/configuration.ts";
import { settingsHandlers } from "./settings.ts";
import { tagHandlers } from "./tags.ts";
import { tokenHandlers } from "./token.ts";

/**
 * Amazon ECR: its operations, and behind the same repositories OCI's distribution API under `/v2/`. What an image is, who may see a layer and
 * when it goes is decided in src/registry; here is ECR's way of saying it. Source: Amazon ECR API Reference.
 */
export function createEcr(deps: ServerDeps, options: RegistryOptions = {}): ServerPart {
  const registry = createRegistry(deps, options);
  const { config, sealer, random, clock, store } = deps;
  const part: EcrPart = { registry, config, sealer, random, clock, store };
  const access = ecrAccess(part);
  const publicAccess = ecrAccess(part, "ecr-public");
  const lifecycle = createLifecycle({ store, images: registry.images, clock, log: deps.log.child({ part: "registry" }) });
  const scanner = createScanner({ store, registry, clock, random, config, log: deps.log.child({ part: "registry" }) });
  const handlers = {
    ...repositoryHandlers(part),
    ...settingsHandlers(part),
    ...tagHandlers(part),
    ...tokenHandlers(part),
    ...imageHandlers(part),
    ...putImageHandlers(part),
    ...layerHandlers(part),
    ...policyHandlers(part),
    ...lifecycleHandlers(part),
    ...scanHandlers(part),
    ...scanningConfigurationHandlers(part),
  } as Readonly<Record<string, Handler>>;

  return {
    registrations: [
      { service: "ecr", handlers: allTranslated(handlers) },
      { service: "ecr-public", handlers: allTranslated(ecrPublicHandlers(part)) },
    ],
    resourcePolicies: [access.policies, publicAccess.policies],
    resources: [access.facts, publicAccess.facts],
    routes: [...registry.routes, downloadRoute(part)],
    async start() {
      await registry.start();
      lifecycle.start();
      scanner.start();
    },
    async stop() {
      await scanner.stop();
      await lifecycle.stop();
      await registry.stop();
    },
    reset: () => registry.reset(),
    async status() {
      try {
        const { bavail, bsize } = await statfs(registry.root);
        return { name: "registry", detail: `blobs in ${registry.root}, ${((bavail * bsize) / 2 ** 30).toFixed(1)} GiB free` };
      } catch (error) {
        return { name: "registry", detail: `blobs in ${registry.root}`, problem: `the directory cannot be read: ${String(error)}` };
      }
    },
  };
}

const allTranslated = (handlers: Readonly<Record<string, Handler>>) =>
  Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, translated(handler)]));

/** The registry's errors leave as ECR's. */
function translated(handler: Handler): Handler {
  return async (input: never, context: RequestContext) => {
    try {
      return await handler(input, context);
    } catch (error) {
      throw asApiError(error);
    }
  };
}
