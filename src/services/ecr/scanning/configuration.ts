import type { RegistryScanningRule, RepositoryScanningConfiguration, RepositoryScanningConfigurationFailure } from "@aws-sdk/client-ecr";
import { ApiError } from "#api/contract.ts";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { registryScanningKey } from "#registry/keys.ts";
import type { RegistryId, RegistryScanningRecord, ScanningRule } from "#registry/records.ts";
import { appliedScanning } from "#registry/scanning.ts";
import { invalidParameter, notYet } from "../errors.ts";
import type { EcrPart } from "../part.ts";
import { listOf, oneOf, repositoryName } from "../validate.ts";
import { repositoryArn } from "../views.ts";

/** Account settings of ECR that concern scans: there is one implementation here, AWS_NATIVE's. */
const scanTypeVersion = "BASIC_SCAN_TYPE_VERSION";

/** Which repositories are scanned on push. Source: Amazon ECR API Reference, PutRegistryScanningConfiguration, BatchGetRepositoryScanningConfiguration, PutAccountSetting. */
export function scanningConfigurationHandlers({ registry, store }: EcrPart) {
  const recordOf = async (where: RegistryId) => (await store.get<RegistryScanningRecord>(registryScanningKey(where)))?.value;

  return {
    async GetRegistryScanningConfiguration(_input, { account, region }) {
      const rules = (await recordOf({ account, region }))?.rules ?? [];
      return { registryId: account, scanningConfiguration: { scanType: "BASIC", rules: rules.map(ruleView) } };
    },

    async PutRegistryScanningConfiguration(input, { account, region }) {
      const scanType = oneOf("scanType", input.scanType, ["BASIC", "ENHANCED"]) ?? "BASIC";
      if (scanType === "ENHANCED") throw notYet("enhanced scanning, which is Amazon Inspector's");
      const rules = rulesOf(input.rules);
      const put = registryScanningKey({ account, region });
      await store.transaction({
        writes: rules.length > 0 ? [{ put, value: { rules } satisfies RegistryScanningRecord }] : [{ delete: put }],
      });
      return { registryScanningConfiguration: { scanType: "BASIC", rules: rules.map(ruleView) } };
    },

    async BatchGetRepositoryScanningConfiguration(input, { account, region }) {
      const where = { account, region };
      const record = await recordOf(where);
      const scanningConfigurations: RepositoryScanningConfiguration[] = [];
      const failures: RepositoryScanningConfigurationFailure[] = [];
      for (const name of listOf("repositoryNames", input.repositoryNames, 1, 25).map(repositoryName)) {
        const repository = await registry.repositories.find(where, name);
        if (!repository) {
          const failureReason = `The repository with name '${name}' does not exist in the registry with id '${account}'`;
          failures.push({ repositoryName: name, failureCode: "REPOSITORY_NOT_FOUND", failureReason });
          continue;
        }
        const { scanOnPush, scanFrequency, filters } = appliedScanning(repository, record);
        const appliedScanFilters = filters.map((filter) => ({ ...filter }));
        scanningConfigurations.push({
          repositoryArn: repositoryArn(repository),
          repositoryName: name,
          scanOnPush,
          scanFrequency,
          appliedScanFilters,
        });
      }
      return { scanningConfigurations, failures };
    },

    GetAccountSetting(input) {
      if (input.name !== scanTypeVersion) throw unknownSetting(input.name);
      return { name: scanTypeVersion, value: "AWS_NATIVE" };
    },

    PutAccountSetting(input) {
      if (input.name !== scanTypeVersion) throw unknownSetting(input.name);
      const value = oneOf("value", input.value, ["AWS_NATIVE", "CLAIR"]);
      // AWS has taken CLAIR out of use.
      if (value !== "AWS_NATIVE") throw invalidParameter("value", "must be AWS_NATIVE: CLAIR is not supported any more");
      return { name: scanTypeVersion, value };
    },
  } satisfies Handlers<EcrOperations>;
}

const knownSettings = ["REGISTRY_POLICY_SCOPE", "BLOB_MOUNTING"];

function unknownSetting(name: string | undefined): ApiError {
  if (knownSettings.includes(name ?? "")) return notYet(`the account setting ${name}`);
  return invalidParameter("name", `must be one of ${[scanTypeVersion, ...knownSettings].join(", ")}`);
}

/** AWS takes two rules, one for each frequency. */
function rulesOf(given: readonly RegistryScanningRule[] | undefined): readonly ScanningRule[] {
  const rules = listOf("rules", given, 0, 2).map(({ scanFrequency, repositoryFilters }): ScanningRule => {
    const frequency = oneOf("rules.scanFrequency", scanFrequency, ["SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL"]);
    if (frequency !== "SCAN_ON_PUSH" && frequency !== "MANUAL")
      throw invalidParameter("rules.scanFrequency", "BASIC scan type supports the frequencies SCAN_ON_PUSH and MANUAL");
    const filters = listOf("rules.repositoryFilters", repositoryFilters, 1, 100).map(({ filter = "", filterType }) => {
      oneOf("rules.repositoryFilters.filterType", filterType, ["WILDCARD"]);
      if (!/^[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*$/.test(filter) || filter.length > 256)
        throw invalidParameter(
          "rules.repositoryFilters.filter",
          "must satisfy regular expression '^[a-z0-9*](?:[._\\-/a-z0-9*]?[a-z0-9*]+)*$'",
        );
      return { filterType: "WILDCARD", filter } as const;
    });
    return { scanFrequency: frequency, repositoryFilters: filters };
  });
  if (new Set(rules.map(({ scanFrequency }) => scanFrequency)).size < rules.length)
    throw invalidParameter("rules", "must have each scanFrequency once");
  return rules;
}

const ruleView = ({ scanFrequency, repositoryFilters }: ScanningRule) => ({
  scanFrequency,
  repositoryFilters: repositoryFilters.map((filter) => ({ ...filter })),
});
