/** Issue 7 on real containers: a service under wrk, behind a load balancer, scales out by the CPU that it burns, and in when the load is over; another by its requests. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  ApplicationAutoScalingClient,
  DescribeScalingActivitiesCommand,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
} from "@aws-sdk/client-application-auto-scaling";
import { CreateServiceCommand, DescribeServicesCommand, type Service, waitUntilServicesStable } from "@aws-sdk/client-ecs";
import { type Balanced, openBalanced } from "../support/balanced.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { fargateSize, httpd, openClient, openTasks, sh, type Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

const execute = promisify(execFile);
let gantry: RunningGantry;
let work: string;
let t: Tasks;
let scaling: ApplicationAutoScalingClient;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-scaling-"));
  // One period of 20 seconds is enough for an alarm, where AWS waits for 3 of them and for 15 minutes.
  gantry = await startGantry({
    open: true,
    env: { GANTRY_CPU_OVERCOMMIT: "8", GANTRY_FARGATE_RUNTIME: "runc", GANTRY_SCALE_OUT_SECONDS: "60", GANTRY_SCALE_IN_SECONDS: "20" },
  });
  t = await openTasks(gantry, work);
  scaling = new ApplicationAutoScalingClient(openClient(gantry));
});
after(async () => {
  scaling?.destroy();
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

/** Each answer costs some milliseconds of CPU, and says who gave it. */
const busy = sh(
  `mkdir -p /www/cgi-bin && cat >/www/cgi-bin/work <<'END'
#!/bin/sh
i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done
echo "Content-Type: text/plain"; echo; hostname -i
END
chmod +x /www/cgi-bin/work && echo well >/www/index.html && exec httpd -f -p 8080 -h /www`,
);

const network = (balanced: Balanced) => ({ awsvpcConfiguration: { subnets: balanced.subnets, securityGroups: [balanced.group] } });
const service = async (): Promise<Service> => (await t.ecs.send(new DescribeServicesCommand({ services: ["web"] }))).services![0]!;
/** How long it took, ms. */
async function becomes(what: string, good: (now: Service) => boolean): Promise<number> {
  const begun = Date.now();
  let now: Service;
  const seen = async () => `${JSON.stringify(now.events!.slice(0, 5))} ${JSON.stringify(await activities())}`;
  await until(what, async () => good((now = await service())), { ms: 200_000, every: 250, seen });
  return Date.now() - begun;
}
const at = { ServiceNamespace: "ecs", ResourceId: "service/default/web", ScalableDimension: "ecs:service:DesiredCount" } as const;
const activities = async (name = "web") => {
  const asked = { ...at, ResourceId: `service/default/${name}`, IncludeNotScaledActivities: true };
  return (await scaling.send(new DescribeScalingActivitiesCommand(asked))).ScalingActivities!.map(({ Description, Cause, StatusCode }) =>
    `${Description} ${StatusCode}: ${Cause}`.replace(/-[0-9a-f-]{36} /, " "),
  );
};

/** A service of its own beside the other, so that both wait at once: some hundred requests within a moment, for one task that is to have twenty a minute. */
async function startCounted(balanced: Balanced): Promise<{ ask(): Promise<void>; scaledOut(): Promise<void> }> {
  const targetGroupArn = await balanced.targetGroup("counted");
  await balanced.listener(81, targetGroupArn);
  await t.ecs.send(
    new CreateServiceCommand({
      serviceName: "counted",
      taskDefinition: await t.define([{ ...httpd("counted"), portMappings: [{ containerPort: 8080 }] }], fargateSize),
      desiredCount: 1,
      launchType: "FARGATE",
      loadBalancers: [{ targetGroupArn, containerName: "main", containerPort: 8080 }],
      networkConfiguration: network(balanced),
    }),
  );
  const ResourceId = "service/default/counted";
  const ResourceLabel = `${balanced.loadBalancerArn.split(":loadbalancer/")[1]}/${targetGroupArn.split(":").at(-1)}`;
  await scaling.send(new RegisterScalableTargetCommand({ ...at, ResourceId, MinCapacity: 1, MaxCapacity: 2 }));
  await scaling.send(
    new PutScalingPolicyCommand({
      ...{ ...at, ResourceId, PolicyName: "requests", PolicyType: "TargetTrackingScaling" },
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: 20,
        PredefinedMetricSpecification: { PredefinedMetricType: "ALBRequestCountPerTarget", ResourceLabel },
      },
    }),
  );
  return {
    async ask() {
      // A service is stable when its tasks run: the load balancer has them a moment later.
      await until("an answer", async () => (await fetch(`http://${balanced.host}:81/`)).status === 200);
      for (let sent = 0; sent < 200; sent++) assert.equal((await fetch(`http://${balanced.host}:81/`)).status, 200);
    },
    async scaledOut() {
      const alarm = "monitor alarm TargetTracking-service/default/counted-AlarmHigh in state ALARM triggered policy requests";
      const wanted = `Setting desired count to 2. Successful: ${alarm}`;
      let told: string[] = [];
      const scaled = async () => (told = await activities("counted")).includes(wanted);
      // Requests are published when their minute ends.
      await until("requests scale it out", scaled, { ms: 200_000, every: 250, seen: () => told.join("\n") });
    },
  };
}

test("CPU rises, and it scales out; the load stops, and it scales in", { timeout: 690_000 }, async (context) => {
  const balanced = await openBalanced(gantry);
  const targetGroupArn = await balanced.targetGroup("web");
  await balanced.listener(80, targetGroupArn);
  await t.ecs.send(
    new CreateServiceCommand({
      serviceName: "web",
      taskDefinition: await t.define([{ ...busy, portMappings: [{ containerPort: 8080 }] }], fargateSize),
      desiredCount: 1,
      launchType: "FARGATE",
      loadBalancers: [{ targetGroupArn, containerName: "main", containerPort: 8080 }],
      networkConfiguration: network(balanced),
      monitoring: { metricConfigurations: [{ metricNames: ["CPUUtilization"], resolutionSeconds: 20 }] },
    }),
  );
  await scaling.send(new RegisterScalableTargetCommand({ ...at, MinCapacity: 1, MaxCapacity: 2 }));
  await scaling.send(
    new PutScalingPolicyCommand({
      ...at,
      PolicyName: "cpu",
      PolicyType: "TargetTrackingScaling",
      TargetTrackingScalingPolicyConfiguration: {
        // Low, so that a busy machine, where a small task gets less than its share, makes no difference.
        TargetValue: 20,
        ScaleOutCooldown: 0,
        ScaleInCooldown: 0,
        PredefinedMetricSpecification: { PredefinedMetricType: "ECSServiceAverageCPUUtilizationHighResolution" },
      },
    }),
  );
  const counted = await startCounted(balanced);
  await waitUntilServicesStable({ client: t.ecs, maxWaitTime: 200, minDelay: 1, maxDelay: 1 }, { services: ["web", "counted"] });
  await counted.ask();

  const over = new AbortController();
  const url = `http://${balanced.host}/cgi-bin/work`;
  const load = execute("wrk", ["-t1", "-c4", "-d300s", "--timeout", "10s", url], { signal: over.signal }).catch(() => {});
  const out = await becomes("two tasks run", ({ runningCount }) => runningCount === 2);
  const answered = new Set<string>();
  await until("the load is shared", async () => {
    const answer = await fetch(url);
    const text = (await answer.text()).trim();
    if (answer.status === 200) answered.add(text);
    return answered.size === 2;
  });
  over.abort();
  await load;

  const inwards = await becomes("one task is wanted", ({ desiredCount }) => desiredCount === 1);
  context.diagnostic(`out after ${out} ms, in after ${inwards} ms`);
  const told = (await activities()).toReversed();
  const alarm = (which: string) => `monitor alarm TargetTracking-service/default/web-Alarm${which} in state ALARM triggered policy cpu`;
  assert.ok(told.includes(`Setting desired count to 2. Successful: ${alarm("High")}`), told.join("\n"));
  assert.ok(
    told.some((text) => text.startsWith("Setting desired count to 1. ") && text.endsWith(alarm("Low"))),
    told.join("\n"),
  );
  const since = Date.now();
  await counted.scaledOut();
  context.diagnostic(`waited ${Date.now() - since} ms more for the requests' own`);
});
