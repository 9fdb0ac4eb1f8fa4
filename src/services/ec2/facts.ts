import { passRole } from "#api/authorization/pass-role.ts";
import { type Input, type Need, textAt, type Where } from "#api/authorization/table.ts";
import type { ResourceFacts } from "#api/authorize.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { iamArn, iamKeys } from "#model/iam-keys.ts";
import type { RoleRecord } from "#model/iam-records.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { instancesService } from "#reconcilers/instances/credentials.ts";
import { LaunchError } from "#reconcilers/instances/launch.ts";
import { findProfile, type ProfileName } from "#reconcilers/instances/profile.ts";
import { launchOf, templateVersion } from "#reconcilers/instances/template.ts";
import type { Store } from "#store/store.ts";
import { isProfiled } from "./instances/profiles.ts";
import { kindOf, typeOf } from "./kinds.ts";

/** What policies may ask about EC2's resources: their tags, the instance of an association, and the roles that an instance profile hands to instances. */
export function ec2Facts(store: Store): ResourceFacts {
  /** By the id alone, which says its kind. */
  const tags = tagFacts(store, "ec2", ({ account, region, resource }) => {
    const id = resource.slice(resource.indexOf("/") + 1);
    const kind = kindOf(id);
    return kind && typeOf(kind) === resource.slice(0, resource.indexOf("/")) ? vpcKeys.one({ account, region }, kind, id) : undefined;
  });
  const reading = {
    get: async <T>(key: string) => (await store.get<T>(key))?.value,
    list: async <T>(prefix: string) => new Map((await store.list<T>(prefix)).entries.map(({ key, value }) => [key, value])),
  };

  async function passed(operation: string, input: Input, where: Where): Promise<ProfileName | undefined> {
    if (!launching.has(operation)) return undefined;
    const own = launchOf(input).instanceProfile;
    const template = operation === "RunInstances" ? launchTemplateOf(input) : undefined;
    if (own || !template) return own;
    try {
      return launchOf((await templateVersion(reading, where, template)).version.data as object).instanceProfile;
    } catch (error) {
      // The operation itself says that there is no such template.
      if (error instanceof LaunchError) return undefined;
      throw error;
    }
  }

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
      const named = await passed(operation, input, where);
      const role = named && (await findProfile(reading, where, named))?.record.role;
      return role === undefined ? [] : [passRole(await arnOf(role, where), where, instancesService)];
    },
  };

  async function arnOf(name: string, { account }: Where): Promise<string> {
    const role = await reading.get<RoleRecord>(iamKeys.entity(account, "role", name));
    return iamArn(account, `role${role?.path ?? "/"}${name}`);
  }
}

const launching: ReadonlySet<string> = new Set(["RunInstances", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"]);
const ofAssociations: ReadonlySet<string> = new Set(["DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"]);

function launchTemplateOf(input: Input) {
  const [id, name, version] = ["LaunchTemplateId", "LaunchTemplateName", "Version"].map((member) =>
    textAt(input, `LaunchTemplate.${member}`),
  );
  if (id === undefined && name === undefined) return undefined;
  return { ...(id ? { id } : {}), ...(name ? { name } : {}), ...(version ? { version } : {}) };
}
