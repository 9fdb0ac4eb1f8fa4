import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AwsClient } from "#agent/aws/client.ts";
import type { Config } from "#platform/config.ts";
import { example } from "./image.ts";
import { startLoad } from "./load.ts";
import { all, only, type QueryClient } from "./query-client.ts";
import { executionRole } from "./role.ts";
import { type CleanUps, read, show, step, until } from "./steps.ts";

interface Service {
  readonly runningCount: number;
  readonly deployments: readonly { readonly status: string; readonly rolloutState?: string; readonly rolloutStateReason?: string }[];
  readonly events: readonly { readonly message: string }[];
}

/** How many requests a second the update must stand. */
const perSecond = 100;

/** A service of three on Fargate behind a load balancer, and an update that loses no request. Whether it was so; the URL answers until `cleanUps` run. */
export async function serviceRoad(
  tools: {
    readonly config: Config;
    readonly ecs: AwsClient;
    readonly ec2: QueryClient;
    readonly elb: QueryClient;
    readonly iam: QueryClient;
    /** Of the repository, without a tag. */
    readonly repository: string;
    readonly name: string;
    /** Builds and pushes `repository:version`. */
    readonly publish: (version: string) => Promise<void>;
  },
  cleanUps: CleanUps,
): Promise<{ readonly good: boolean; readonly url: string }> {
  const { config, ecs, ec2, elb, name } = tools;
  const cluster = config.cluster;
  const definitionOf = (version: string) => `sed s#localhost:4566/hello:1#${tools.repository}:${version}# examples/hello/service.json`;

  step("Make a load balancer in the default VPC: open on port 80, and nothing but it may reach the tasks", [
    "vpc=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text)",
    `subnets=$(aws ec2 describe-subnets --filters Name=vpc-id,Values=$vpc --query 'Subnets[].SubnetId' --output text)`,
    `front=$(aws ec2 create-security-group --group-name ${name}-lb --description "port 80 for all" --vpc-id $vpc --query GroupId --output text)`,
    "aws ec2 authorize-security-group-ingress --group-id $front --protocol tcp --port 80 --cidr 0.0.0.0/0",
    `back=$(aws ec2 create-security-group --group-name ${name}-tasks --description "port 8080 for the load balancer" --vpc-id $vpc --query GroupId --output text)`,
    "aws ec2 authorize-security-group-ingress --group-id $back --protocol tcp --port 8080 --source-group $front",
    `group=$(aws elbv2 create-target-group --name ${name} --protocol HTTP --port 8080 --target-type ip --vpc-id $vpc --health-check-interval-seconds 5 --health-check-timeout-seconds 2 --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn' --output text)`,
    "aws elbv2 modify-target-group-attributes --target-group-arn $group --attributes Key=deregistration_delay.timeout_seconds,Value=3",
    `balancer=$(aws elbv2 create-load-balancer --name ${name} --subnets $subnets --security-groups $front --query 'LoadBalancers[0].LoadBalancerArn' --output text)`,
    "aws elbv2 create-listener --load-balancer-arn $balancer --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn=$group",
  ]);
  const vpc = only(await ec2.call("DescribeVpcs", { "Filter.1.Name": "is-default", "Filter.1.Value.1": "true" }), "vpcId");
  const subnets = all(await ec2.call("DescribeSubnets", { "Filter.1.Name": "vpc-id", "Filter.1.Value.1": vpc }), "subnetId");
  const group = async (suffix: string, description: string, port: number, source: Readonly<Record<string, string>>) => {
    const made = await ec2.call("CreateSecurityGroup", { GroupName: `${name}-${suffix}`, GroupDescription: description, VpcId: vpc });
    const GroupId = only(made, "groupId");
    // The interfaces of what has just gone may still be on their way out.
    cleanUps.add(() =>
      until(
        () =>
          ec2.call("DeleteSecurityGroup", { GroupId }).then(
            () => true,
            () => false,
          ),
        (gone) => gone,
        20,
      ),
    );
    const rule = { IpProtocol: "tcp", FromPort: String(port), ToPort: String(port), ...source };
    const parameters = Object.entries(rule).map(([key, value]) => [`IpPermissions.1.${key}`, value]);
    await ec2.call("AuthorizeSecurityGroupIngress", { GroupId, ...Object.fromEntries(parameters) });
    return GroupId;
  };
  const front = await group("lb", "port 80 for all", 80, { "IpRanges.1.CidrIp": "0.0.0.0/0" });
  const back = await group("tasks", "port 8080 for the load balancer", 8080, { "Groups.1.GroupId": front });
  const TargetGroupArn = only(
    await elb.call("CreateTargetGroup", {
      Name: name,
      Protocol: "HTTP",
      Port: "8080",
      TargetType: "ip",
      VpcId: vpc,
      HealthCheckIntervalSeconds: "5",
      HealthCheckTimeoutSeconds: "2",
      HealthyThresholdCount: "2",
    }),
    "TargetGroupArn",
  );
  cleanUps.add(() => elb.call("DeleteTargetGroup", { TargetGroupArn }));
  const balancer = await elb.call("CreateLoadBalancer", {
    Name: name,
    "SecurityGroups.member.1": front,
    ...Object.fromEntries(subnets.map((subnet, index) => [`Subnets.member.${index + 1}`, subnet])),
  });
  const LoadBalancerArn = only(balancer, "LoadBalancerArn");
  cleanUps.add(() => elb.call("DeleteLoadBalancer", { LoadBalancerArn }));
  const url = `http://${only(balancer, "DNSName")}/`;
  await elb.call("ModifyTargetGroupAttributes", {
    TargetGroupArn,
    "Attributes.member.1.Key": "deregistration_delay.timeout_seconds",
    "Attributes.member.1.Value": "3",
  });
  await elb.call("CreateListener", {
    LoadBalancerArn,
    Protocol: "HTTP",
    Port: "80",
    "DefaultActions.member.1.Type": "forward",
    "DefaultActions.member.1.TargetGroupArn": TargetGroupArn,
  });
  show(url);

  const executionRoleArn = await executionRole(tools.iam, cleanUps);

  const register = async (version: string): Promise<string> => {
    const input = JSON.parse(await readFile(join(example, "service.json"), "utf8")) as {
      family: string;
      executionRoleArn: string;
      containerDefinitions: [{ image: string }];
    };
    input.executionRoleArn = executionRoleArn;
    input.containerDefinitions[0].image = `${tools.repository}:${version}`;
    const { taskDefinition } = await ecs.call<{ taskDefinition: { taskDefinitionArn: string } }>("RegisterTaskDefinition", input);
    cleanUps.add(() => ecs.call("DeregisterTaskDefinition", { taskDefinition: taskDefinition.taskDefinitionArn }));
    return taskDefinition.taskDefinitionArn;
  };
  const look = async () => (await ecs.call<{ services: [Service] }>("DescribeServices", { cluster, services: [name] })).services[0];
  const done = async (): Promise<Service> => {
    const service = await until(
      look,
      ({ deployments: [first, ...older] }) =>
        first?.rolloutState === "FAILED" || (first?.rolloutState === "COMPLETED" && older.length === 0),
      180,
    );
    if (service.deployments[0]?.rolloutState !== "COMPLETED")
      throw new Error(`the deployment failed: ${service.deployments[0]?.rolloutStateReason}; ${service.events[0]?.message}`);
    return service;
  };

  step("Run three of it as a Fargate service behind the load balancer", [
    `${definitionOf("1")} >one.json; aws ecs register-task-definition --cli-input-json file://one.json`,
    `aws ecs create-service --service-name ${name} --task-definition hello-service --desired-count 3 --launch-type FARGATE --load-balancers targetGroupArn=$group,containerName=web,containerPort=8080 --network-configuration "awsvpcConfiguration={subnets=[${"${subnets//[[:space:]]/,}"}],securityGroups=[$back]}" --deployment-configuration 'deploymentCircuitBreaker={enable=true,rollback=true}'`,
    `aws ecs wait services-stable --services ${name}`,
  ]);
  const began = performance.now();
  await ecs.call("CreateService", {
    cluster,
    serviceName: name,
    taskDefinition: await register("1"),
    desiredCount: 3,
    launchType: "FARGATE",
    loadBalancers: [{ targetGroupArn: TargetGroupArn, containerName: "web", containerPort: 8080 }],
    networkConfiguration: { awsvpcConfiguration: { subnets, securityGroups: [back] } },
    deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } },
  });
  cleanUps.add(async () => {
    await ecs.call("DeleteService", { cluster, service: name, force: true });
    await until(look, ({ runningCount }) => runningCount === 0);
    await until(
      async () => (await ecs.call<{ taskArns: string[] }>("ListTasks", { cluster, serviceName: name })).taskArns.length,
      (count) => count === 0,
    );
  });
  const { runningCount } = await done();
  show(`${runningCount} tasks are healthy after ${((performance.now() - began) / 1000).toFixed(1)} s`);

  step("Ask it at its URL: three tasks answer in turn", [`for i in 1 2 3; do curl ${url}; done`]);
  const pages = new Set<string>();
  await until(
    async () => pages.add((await read(url)).trimEnd() || "nothing").size,
    (count) => count >= 3,
  );
  for (const page of [...pages].toSorted()) show(page);

  step(`Update it to version 2 under ${perSecond} requests a second, and count what is lost`, [
    `buildah bud --build-arg VERSION=2 -t ${tools.repository}:2 examples/hello && buildah push --tls-verify=false ${tools.repository}:2`,
    `${definitionOf("2")} >two.json; aws ecs register-task-definition --cli-input-json file://two.json`,
    `aws ecs update-service --service ${name} --task-definition hello-service`,
  ]);
  await tools.publish("2");
  const second = await register("2");
  const load = startLoad(url, perSecond, 180);
  try {
    await ecs.call("UpdateService", { cluster, service: name, taskDefinition: second });
    await done();
  } finally {
    await load.stop();
  }
  const of = (version: string) =>
    [...load.answers].filter(([text]) => text.endsWith(`version ${version}`)).reduce((sum, [, count]) => sum + count, 0);
  show(`${load.sent} requests: ${of("1")} answered by version 1, ${of("2")} by version 2, ${load.failures.length} lost`);
  for (const failure of load.failures.slice(0, 5)) show(failure);
  const now = (await read(url)).trimEnd();
  show(`now: ${now}`);
  return { good: load.failures.length === 0 && of("2") > 0 && now.endsWith("version 2"), url };
}
