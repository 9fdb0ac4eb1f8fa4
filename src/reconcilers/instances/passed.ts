import type { Scope } from "#model/ecs-keys.ts";
import { iamArn, iamKeys } from "#model/iam-keys.ts";
import type { RoleRecord } from "#model/iam-records.ts";
import type { Store } from "#store/store.ts";
import { LaunchError } from "./launch.ts";
import { findProfile, type ProfileName } from "./profile.ts";
import { launchOf, type TemplateName, templateVersion } from "./template.ts";

/** ARN of the role that instances get by this profile, or else by the launch template: whoever has them launched must be free to pass it (iam:PassRole). Undefined: none. */
export async function passedRole(
  store: Store,
  scope: Scope,
  { profile, template }: { readonly profile?: ProfileName | undefined; readonly template?: TemplateName | undefined },
): Promise<string | undefined> {
  const reading = {
    get: async <T>(key: string) => (await store.get<T>(key))?.value,
    list: async <T>(prefix: string) => new Map((await store.list<T>(prefix)).entries.map(({ key, value }) => [key, value])),
  };
  const named = profile ?? (template && (await profileOfTemplate()));
  const name = named && (await findProfile(reading, scope, named))?.record.role;
  if (name === undefined) return undefined;
  const role = await reading.get<RoleRecord>(iamKeys.entity(scope.account, "role", name));
  return iamArn(scope.account, `role${role?.path ?? "/"}${name}`);

  async function profileOfTemplate(): Promise<ProfileName | undefined> {
    try {
      return launchOf((await templateVersion(reading, scope, template!)).version.data as object).instanceProfile;
    } catch (error) {
      // The operation itself says that there is no such template.
      if (error instanceof LaunchError) return undefined;
      throw error;
    }
  }
}

/** As requests name a launch template; undefined: they name none. */
export function templateNamed(given: unknown): TemplateName | undefined {
  const {
    LaunchTemplateId: id,
    LaunchTemplateName: name,
    Version: version,
  } = (given ?? {}) as Readonly<Record<string, string | undefined>>;
  if (!id && !name) return undefined;
  return { ...(id ? { id } : { name: name! }), ...(version ? { version } : {}) };
}
