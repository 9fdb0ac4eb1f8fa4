import { factsOf } from "#api/authorize-context.ts";
import { ApiError, type RequestContext } from "#api/contract.ts";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { evaluate, parsePolicy, type PolicyDocument } from "#model/policy/index.ts";
import { registryPolicyKey } from "#registry/keys.ts";
import type { RegistryPolicyRecord, RepositoryRecord } from "#registry/records.ts";
import { invalidParameter } from "./errors.ts";
import type { EcrPart } from "./part.ts";
import { registryOf, repositoryName } from "./validate.ts";
import { repositoryArn } from "./views.ts";

const longestRepositoryPolicy = 10_240;

/** Who else may use a repository, or the whole registry. Source: Amazon ECR API Reference, SetRepositoryPolicy and PutRegistryPolicy. */
export function policyHandlers({ registry, store }: EcrPart, service: "ecr" | "ecr-public" = "ecr") {
  return {
    async SetRepositoryPolicy({ registryId, repositoryName: name, policyText = "", force = false }, context) {
      const where = registryOf(registryId, context);
      const repository = await registry.repositories.get(where, repositoryName(name));
      if (policyText.length > longestRepositoryPolicy)
        throw invalidParameter("policyText", `must have length less than or equal to ${longestRepositoryPolicy}`);
      const document = checked(service, policyText, "Invalid repository policy provided");
      // A repository policy is about the repository that it hangs on.
      if (document.statements.some(({ resource }) => resource)) throw invalidParameter("PolicyText", "Invalid repository policy provided");
      if (!force && locksOut(service, document, repository, context))
        throw invalidParameter("PolicyText", "The policy would keep you from setting another policy; set force to set it all the same");
      await registry.repositories.update(where, repository.name, (known) => ({ ...known, policy: policyText }));
      return answerOf(repository, policyText);
    },

    async GetRepositoryPolicy({ registryId, repositoryName: name }, context) {
      const repository = await registry.repositories.get(registryOf(registryId, context), repositoryName(name));
      return answerOf(repository, policyOf(repository));
    },

    async DeleteRepositoryPolicy({ registryId, repositoryName: name }, context) {
      const where = registryOf(registryId, context);
      let text = "";
      const repository = await registry.repositories.update(where, repositoryName(name), (known) => {
        text = policyOf(known);
        const { policy: _policy, ...rest } = known;
        return rest;
      });
      return answerOf(repository, text);
    },

    async PutRegistryPolicy({ policyText = "" }, context) {
      const where = registryOf(undefined, context);
      const document = checked(service, policyText, "Invalid registry policy provided");
      if (document.statements.some(({ resource }) => !resource)) throw invalidParameter("PolicyText", "Invalid registry policy provided");
      await store.transaction({
        writes: [{ put: registryPolicyKey(where), value: { policy: policyText } satisfies RegistryPolicyRecord }],
      });
      return { registryId: where.account, policyText };
    },

    async GetRegistryPolicy(_input, context) {
      const where = registryOf(undefined, context);
      const record = await store.get<RegistryPolicyRecord>(registryPolicyKey(where));
      if (!record) throw noRegistryPolicy(where.account);
      return { registryId: where.account, policyText: record.value.policy };
    },

    async DeleteRegistryPolicy(_input, context) {
      const where = registryOf(undefined, context);
      const key = registryPolicyKey(where);
      for (;;) {
        const record = await store.get<RegistryPolicyRecord>(key);
        if (!record) throw noRegistryPolicy(where.account);
        const { ok } = await store.transaction({ compare: [{ key, revision: record.revision }], writes: [{ delete: key }] });
        if (ok) return { registryId: where.account, policyText: record.value.policy };
      }
    },
  } satisfies Handlers<EcrOperations>;
}

function checked(service: string, text: string, rule: string): PolicyDocument {
  const { document } = parsePolicy(text, "resource");
  if (
    !document ||
    document.statements.some(({ action }) => !action.patterns.every((each) => each === "*" || each.toLowerCase().startsWith(`${service}:`)))
  )
    throw invalidParameter("PolicyText", rule);
  return document;
}

/** Whether whoever sets it could never set another one. */
function locksOut(service: string, document: PolicyDocument, repository: RepositoryRecord, { principal }: RequestContext): boolean {
  const resource = repositoryArn(repository);
  const asked = {
    principal: factsOf(principal),
    action: `${service}:SetRepositoryPolicy`,
    resource,
    resourceAccount: repository.account,
    context: {},
  };
  return evaluate(asked, { identity: [], resource: [{ name: resource, document }] }).outcome === "explicitDeny";
}

function policyOf({ policy, name, account }: RepositoryRecord): string {
  if (policy !== undefined) return policy;
  const message = `Repository policy does not exist for the repository with name '${name}' in the registry with id '${account}'`;
  throw new ApiError("RepositoryPolicyNotFoundException", message);
}

const answerOf = ({ account, name }: RepositoryRecord, policyText: string) => ({ registryId: account, repositoryName: name, policyText });

const noRegistryPolicy = (account: string) =>
  new ApiError("RegistryPolicyNotFoundException", `Registry policy does not exist in the registry with id '${account}'`);
