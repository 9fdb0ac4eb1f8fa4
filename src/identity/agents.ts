import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";

/**
 * What Gantry's own agents may do: what AmazonEC2ContainerServiceforEC2Role allows an instance, for one cluster only. That an agent speaks for its own
 * instance alone is checked beside this, where the instance is known (src/services/ecs/container-instances/owner.ts).
 */
export const agentRole = "GantryAgent";

/** Nobody can make a role in this path: it is that of service-linked roles. */
export const agentRoleArn = (account: string) => `arn:aws:iam::${account}:role/aws-service-role/agent.gantry/${agentRole}`;

const known = new Map<string, { readonly identity: readonly NamedPolicy[] }>();
const mostKnown = 1000;

/** `instanceRole`: the ARN of the role that the machine's operator gave it. */
export function agentPolicies(
  account: string,
  cluster: string,
  instanceRole: string | undefined,
): { readonly identity: readonly NamedPolicy[] } {
  const key = `${account}/${cluster}/${instanceRole ?? ""}`;
  let policies = known.get(key);
  if (!policies) {
    const { document, problem } = parsePolicy(JSON.stringify(agentDocument(account, cluster, instanceRole)), "identity");
    if (problem !== undefined) throw new Error(`the policy of agents cannot be read: ${problem}`);
    policies = { identity: [{ name: agentRole, document }] };
    if (known.size >= mostKnown) known.clear();
    known.set(key, policies);
  }
  return policies;
}

/** Pure. Tasks of Fargate and of other clusters' services come to a machine too: their tags are asked for by any task's ARN. */
function agentDocument(account: string, cluster: string, instanceRole: string | undefined): object {
  const ecs = (resource: string) => `arn:aws:ecs:*:${account}:${resource}`;
  const logs = (resource: string) => `arn:aws:logs:*:${account}:${resource}`;
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: [
          "ecs:CreateCluster",
          "ecs:RegisterContainerInstance",
          "ecs:SubmitAttachmentStateChanges",
          "ecs:SubmitContainerStateChange",
          "ecs:SubmitTaskStateChange",
        ],
        Resource: ecs(`cluster/${cluster}`),
      },
      { Effect: "Allow", Action: ["ecs:Poll", "ecs:StartTelemetrySession"], Resource: ecs(`container-instance/${cluster}/*`) },
      {
        Effect: "Allow",
        Action: "ecs:TagResource",
        Resource: ecs(`container-instance/${cluster}/*`),
        Condition: { StringEquals: { "ecs:CreateAction": "RegisterContainerInstance" } },
      },
      { Effect: "Allow", Action: "ecs:ListTagsForResource", Resource: [ecs("task/*"), ecs(`container-instance/${cluster}/*`)] },
      { Effect: "Allow", Action: ["ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"], Resource: "*" },
      // Of themselves alone: the questions name no machine.
      { Effect: "Allow", Action: ["gantry:DescribeMachine", "gantry:DrainMachine", "gantry:LeaveMachine"], Resource: "*" },
      {
        Effect: "Allow",
        Action: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        Resource: "*",
      },
      { Effect: "Allow", Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], Resource: logs("log-group:*") },
      ...(instanceRole === undefined ? [] : [{ Effect: "Allow", Action: "sts:AssumeRole", Resource: instanceRole }]),
    ],
  };
}
