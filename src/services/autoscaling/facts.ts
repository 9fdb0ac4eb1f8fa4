import { passRole } from "#api/authorization/pass-role.ts";
import type { ResourceFacts } from "#api/authorize.ts";
import { instancesService } from "#reconcilers/instances/credentials.ts";
import { passedRole, templateNamed } from "#reconcilers/instances/passed.ts";
import type { Store } from "#store/store.ts";

/** Who gives a group its launch template passes the role of the template's instance profile. Source: EC2 Auto Scaling User Guide, "Control Amazon EC2 launch template usage". */
export const autoscalingFacts = (store: Store): ResourceFacts => ({
  service: "autoscaling",
  describe: async () => undefined,
  async needsOf(operation, input, where) {
    if (operation !== "CreateAutoScalingGroup" && operation !== "UpdateAutoScalingGroup") return [];
    const mixed = input["MixedInstancesPolicy"] as { LaunchTemplate?: { LaunchTemplateSpecification?: unknown } } | undefined;
    const template = templateNamed(input["LaunchTemplate"] ?? mixed?.LaunchTemplate?.LaunchTemplateSpecification);
    const role = await passedRole(store, where, { template });
    return role === undefined ? [] : [passRole(role, where, instancesService)];
  },
});
