import { passRoles } from "./pass-role.ts";
import {
  each,
  type Input,
  type Keys,
  lastPart,
  none,
  type OperationRule,
  type Resources,
  type ServiceActions,
  textAt,
  type Where,
} from "./table.ts";

const tasksService = "ecs-tasks.amazonaws.com";
const cluster = "cluster/{cluster=default}";
const instance = "container-instance/{cluster=default}/{containerInstance}";

const nameOf = (text: string) => (text.startsWith("arn:") ? lastPart(text) : text);
const clusterName = (input: Input) => nameOf(textAt(input, "cluster") ?? "default");
const arn = ({ region, account }: Where, resource: string) => `arn:aws:ecs:${region}:${account}:${resource}`;
const clusterArn = (input: Input, where: Where) => arn(where, `cluster/${clusterName(input)}`);

/** `family`, `family:revision` or the ARN. A family alone means its latest revision, which the service is asked for before this is compared. */
const definition: Resources = (input, where) => {
  const given = textAt(input, "taskDefinition");
  return given === undefined ? [] : [given.startsWith("arn:") ? given : arn(where, `task-definition/${given}`)];
};

const inCluster = (input: Input, where: Where): Keys => ({ "ecs:cluster": clusterArn(input, where) });

/** `ecs:container-name` is what the caller says; of one that says nothing, the service adds what it means (ecsFacts). */
const inContainer = (input: Input, where: Where): Keys => ({
  ...inCluster(input, where),
  "ecs:container-name": textAt(input, "container"),
  "ecs:task": taskArn(input, where),
});

const taskArn = (input: Input, where: Where) => {
  const task = textAt(input, "task");
  return task === undefined || task.startsWith("arn:") ? task : arn(where, `task/${clusterName(input)}/${task}`);
};

const serviceArn = (input: Input, where: Where) => {
  const service = textAt(input, "service");
  return service === undefined || service.startsWith("arn:") ? service : arn(where, `service/${clusterName(input)}/${service}`);
};

const inService = (input: Input, where: Where): Keys => ({ ...inCluster(input, where), "ecs:service": serviceArn(input, where) });

/** Of what CreateService, RunTask and their kin ask for. */
const launch = (input: Input, where: Where): Keys => {
  const strategy = input["capacityProviderStrategy"];
  const network = input["networkConfiguration"] as
    | { awsvpcConfiguration?: { assignPublicIp?: string; subnets?: readonly string[] } }
    | undefined;
  const connect = input["serviceConnectConfiguration"] as { enabled?: boolean; namespace?: string } | undefined;
  return {
    ...inCluster(input, where),
    "ecs:capacity-provider": Array.isArray(strategy)
      ? (strategy as { capacityProvider?: string }[]).flatMap((item) =>
          item.capacityProvider ? [arn(where, `capacity-provider/${nameOf(item.capacityProvider)}`)] : [],
        )
      : undefined,
    "ecs:enable-execute-command": input["enableExecuteCommand"] === true,
    "ecs:enable-ebs-volumes": Array.isArray(input["volumeConfigurations"]) && input["volumeConfigurations"].length > 0,
    "ecs:enable-ecs-managed-tags": input["enableECSManagedTags"] === true,
    "ecs:propagate-tags": textAt(input, "propagateTags"),
    "ecs:auto-assign-public-ip": network?.awsvpcConfiguration ? network.awsvpcConfiguration.assignPublicIp === "ENABLED" : undefined,
    "ecs:subnet": network?.awsvpcConfiguration?.subnets,
    "ecs:enable-service-connect": connect ? connect.enabled === true : undefined,
    "ecs:namespace": connect?.namespace,
  };
};

const started = (keys: NonNullable<OperationRule["keys"]>): OperationRule => ({
  on: definition,
  keys,
  also: (input, where) => passRoles(input, where, tasksService, "overrides.taskRoleArn", "overrides.executionRoleArn"),
  tagging: { action: "TagResource", on: "task/{cluster=default}/*" },
});

const withKeys = (on: Resources, keys: NonNullable<OperationRule["keys"]>, operations: string): Record<string, OperationRule> =>
  Object.fromEntries(operations.split(" ").map((name) => [name, { on, keys }]));

const definitionKeys = (input: Input, where: Where): Keys => ({ "ecs:task-definition": definitionOf(input, where) });
const definitionOf = (input: Input, where: Where) => (typeof definition === "function" ? definition(input, where)[0] : undefined);

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Container Service". */
export const ecs: ServiceActions = {
  prefix: "ecs",
  createAction: true,
  operations: {
    ...each(
      none,
      `DeregisterTaskDefinition DescribeTaskDefinition DiscoverPollEndpoint ListAccountSettings ListClusters ListTaskDefinitionFamilies
      ListTaskDefinitions`,
    ),
    ...withKeys(
      none,
      (input) => ({ "ecs:account-setting": textAt(input, "name") }),
      "DeleteAccountSetting PutAccountSetting PutAccountSettingDefault",
    ),
    ...each(
      cluster,
      `DeleteCluster UpdateCluster UpdateClusterSettings DeregisterContainerInstance ListAttributes ListContainerInstances
      SubmitAttachmentStateChanges SubmitContainerStateChange SubmitTaskStateChange`,
    ),
    ...each("{resourceArn}", "ListTagsForResource TagResource UntagResource"),
    ...each("capacity-provider/{capacityProvider}", "DeleteCapacityProvider"),
    ...each("capacity-provider/{name}", "UpdateCapacityProvider"),
    ...each("task-definition/{taskDefinitions}", "DeleteTaskDefinitions"),
    ...withKeys(
      "container-instance/{cluster=default}/{containerInstances}",
      inCluster,
      "DescribeContainerInstances UpdateContainerInstancesState",
    ),
    ...withKeys(instance, inCluster, "UpdateContainerAgent"),
    ...withKeys("container-instance/{cluster=default}/{attributes.targetId=*}", inCluster, "PutAttributes DeleteAttributes"),
    ...withKeys("container-instance/{cluster=default}/{containerInstance=*}", inCluster, "ListTasks"),
    ...withKeys("task/{cluster=default}/{tasks=*}", inCluster, "DescribeTasks GetTaskProtection UpdateTaskProtection"),
    ...withKeys("task/{cluster=default}/{task}", inCluster, "StopTask"),
    ...withKeys("task/{cluster=default}/{task}", inContainer, "ExecuteCommand"),
    ...withKeys("service/{cluster=default}/{services}", inCluster, "DescribeServices"),
    ...withKeys("service/{cluster=default}/{service}", inCluster, "DeleteService ListServiceDeployments"),
    ...withKeys(
      "service/{cluster=default}/{service}",
      (input, where) => ({ ...launch(input, where), ...definitionKeys(input, where) }),
      "UpdateService",
    ),
    ...withKeys("service/{cluster=default}/{service}", inService, "UpdateServicePrimaryTaskSet"),
    ...withKeys("task-set/{cluster=default}/{service}/{taskSet}", inService, "DeleteTaskSet UpdateTaskSet"),
    ...withKeys("task-set/{cluster=default}/{service}/{taskSets=*}", inService, "DescribeTaskSets"),
    ...withKeys(none, inCluster, "ListServices"),
    ...withKeys(none, (input) => ({ "ecs:namespace": textAt(input, "namespace") }), "ListServicesByNamespace"),
    ...each("{serviceDeploymentArns}", "DescribeServiceDeployments"),
    ...each("{serviceDeploymentArn}", "StopServiceDeployment"),
    ...each("{serviceDeploymentArn}", "ContinueServiceDeployment"),
    ...each("{serviceRevisionArns}", "DescribeServiceRevisions"),
    DescribeClusters: "cluster/{clusters=default}",
    DescribeCapacityProviders: "capacity-provider/{capacityProviders=*}",
    PutClusterCapacityProviders: {
      on: cluster,
      keys: (input, where) => ({ "ecs:capacity-provider": providers(input, where) }),
    },
    CreateCluster: {
      on: "cluster/{clusterName=default}",
      keys: (input, where) => ({ "ecs:capacity-provider": providers(input, where) }),
      tagging: { action: "TagResource" },
    },
    CreateCapacityProvider: { on: "capacity-provider/{name}", tagging: { action: "TagResource" } },
    CreateService: {
      on: "service/{cluster=default}/{serviceName}",
      keys: (input, where) => ({ ...launch(input, where), ...definitionKeys(input, where) }),
      also: (input, where) => passRoles(input, where, "ecs.amazonaws.com", "role"),
      tagging: { action: "TagResource" },
    },
    CreateTaskSet: {
      on: "task-set/{cluster=default}/{service}/*",
      keys: (input, where) => ({ ...launch(input, where), ...inService(input, where), ...definitionKeys(input, where) }),
      tagging: { action: "TagResource" },
    },
    RegisterContainerInstance: { on: cluster, tagging: { action: "TagResource", on: "container-instance/{cluster=default}/*" } },
    RegisterTaskDefinition: {
      // ECS names the family's revisions; a policy for `task-definition/family:*` is for them, one for `*` as well.
      on: "task-definition/{family}:*",
      keys: (input) => ({
        "ecs:task-cpu": textAt(input, "cpu"),
        "ecs:task-memory": textAt(input, "memory"),
        "ecs:compute-compatibility": input["requiresCompatibilities"] as readonly string[] | undefined,
        "ecs:privileged": (input["containerDefinitions"] as readonly { privileged?: boolean }[] | undefined)?.some(
          (each) => each.privileged === true,
        ),
      }),
      also: (input, where) => passRoles(input, where, tasksService, "taskRoleArn", "executionRoleArn"),
      tagging: { action: "TagResource" },
    },
    RunTask: started(launch),
    StartTask: started((input, where) => ({
      ...launch(input, where),
      "ecs:container-instances": (input["containerInstances"] as readonly string[] | undefined)?.map((each) =>
        each.startsWith("arn:") ? each : arn(where, `container-instance/${clusterName(input)}/${each}`),
      ),
    })),
  },
};

const providers = (input: Input, where: Where) =>
  (input["capacityProviders"] as readonly string[] | undefined)?.map((each) => arn(where, `capacity-provider/${nameOf(each)}`));
