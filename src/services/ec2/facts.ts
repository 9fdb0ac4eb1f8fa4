import { passRole } from "#api/authorization/pass-role.ts";
import { type Need, textAt } from "#api/authorization/table.ts";
import type { ResourceFacts } from "#api/authorize.ts";
import { tagFacts } from "#api/tag-facts.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { instancesService } from "#reconcilers/instances/credentials.ts";
import { passedRole, templateNamed } from "#reconcilers/instances/passed.ts";
import { launchOf } from "#reconcilers/instances/template.ts";
import type { Store } from "#store/store.ts";
import { isProfiled } from "./instances/profiles.ts";
import { kindOf, typeOf } from "./kinds.ts";

/** What policies may ask about EC2's resources: their tags, the instance of an association, and the role that an instance profile hands to instances. */
export function ec2Facts(store: Store): ResourceFacts {
  /** By the id alone, which says its kind. */
  const tags = tagFacts(store, "ec2", ({ account, region, resource }) => {
    const id = resource.slice(resource.indexOf("/") + 1);
    const kind = kindOf(id);
    return kind && typeOf(kind) === resource.slice(0, resource.indexOf("/")) ? vpcKeys.one({ account, region }, kind, id) : undefined;
  });
  return {
    ...tags,
    async resourcesOf(operation, input, where) {
      const id = textAt(input, "AssociationId");
      if (!ofAssociations.has(operation) || id === undefined) return undefined;
      const { entries } = await store.list<InstanceRecord>(vpcKeys.of(where, "instance"));
      const found = entries.map(({ value }) => value).find((each) => isProfiled(each) && each.instanceProfile.associationId === id);
      return found && [`arn:aws:ec2:${where.region}:${where.account}:instance/${found.id}`];
    },
    async needsOf(operation, input, where): Promise<readonly Need[]> {
      if (!launching.has(operation)) return [];
      const template = operation === "RunInstances" ? templateNamed(input["LaunchTemplate"]) : undefined;
      const role = await passedRole(store, where, { profile: launchOf(input).instanceProfile, template });
      return role === undefined ? [] : [passRole(role, where, instancesService)];
    },
  };
}

const launching: ReadonlySet<string> = new Set(["RunInstances", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"]);
const ofAssociations: ReadonlySet<string> = new Set(["DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"]);
