import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadBalancerRecord, TargetGroupRecord } from "#model/elb-records.ts";
import type { Measurement } from "#platform/metric-sink.ts";
import { type GroupPicture, hostsOf, trafficOf } from "./measure.ts";

const arn = (rest: string) => `arn:aws:elasticloadbalancing:eu-west-1:123456789012:${rest}`;
const balancer = (type: "application" | "network") =>
  ({
    arn: arn(`loadbalancer/${type === "application" ? "app" : "net"}/web/b1`),
    type,
    zones: [{ zoneName: "eu-west-1a" }],
  }) as unknown as LoadBalancerRecord;
const group = { arn: arn("targetgroup/tasks/g1") } as TargetGroupRecord;
const host = (zone: string | undefined, healthy: boolean) => ({ zone, healthy });
const picture = (hosts: GroupPicture["hosts"]): GroupPicture => ({ group, balancer: balancer("application"), hosts });
const text = ({ name, unit, dimensions, values, counts }: Measurement) =>
  `${name} ${Object.values(dimensions).join(" ")} ${values.join(",")}${counts ? ` x ${counts.join(",")}` : ""} ${unit}`;

test("hosts: by group, and by the zones of their targets; a group without any has none", () => {
  const [said] = hostsOf(picture([host("eu-west-1a", true), host("eu-west-1b", false), host(undefined, true)]), 5);
  assert.deepEqual([said!.scope, said!.namespace], [{ account: "123456789012", region: "eu-west-1" }, "AWS/ApplicationELB"]);
  assert.deepEqual(said!.data.map(text), [
    "HealthyHostCount app/web/b1 targetgroup/tasks/g1 2 Count",
    "UnHealthyHostCount app/web/b1 targetgroup/tasks/g1 1 Count",
    "HealthyHostCount app/web/b1 targetgroup/tasks/g1 eu-west-1a 2 Count",
    "UnHealthyHostCount app/web/b1 targetgroup/tasks/g1 eu-west-1a 0 Count",
    "HealthyHostCount app/web/b1 targetgroup/tasks/g1 eu-west-1b 0 Count",
    "UnHealthyHostCount app/web/b1 targetgroup/tasks/g1 eu-west-1b 1 Count",
  ]);
  assert.deepEqual(
    hostsOf(picture([]), 5)[0]!.data.map(({ values }) => values),
    [[0], [0]],
  );
});

test("an application load balancer's minute: what is zero is not said, but for the requests that each target had", () => {
  const web = balancer("application");
  const traffic = {
    loadBalancers: [
      { id: web.arn, newConnections: 3, activeConnections: 1, rejectedConnections: 0, bytes: 900, answers: { "5XX": 2, "503": 2 } },
    ],
    targetGroups: [
      {
        ...{ id: group.arn, loadBalancerId: web.arn, requests: 10, answers: { "2XX": 9, "4XX": 1 } },
        ...{
          newConnections: 2,
          activeConnections: 1,
          connectionErrors: 0,
          times: [
            [0.01, 8],
            [0.5, 2],
          ] as [number, number][],
        },
      },
    ],
  };
  const groups = new Map([[group.arn, picture([host("a", true), host("b", true), host("b", false)])]]);
  const said = trafficOf(traffic, [web], groups, 7).flatMap(({ data }) => data);
  assert.ok(said.every(({ at }) => at === 7));
  const whole = said.filter(({ dimensions }) => Object.keys(dimensions).join() === "LoadBalancer");
  assert.deepEqual(whole.map(text), [
    "ActiveConnectionCount app/web/b1 2 Count",
    "NewConnectionCount app/web/b1 5 Count",
    "ProcessedBytes app/web/b1 900 Bytes",
    "HTTPCode_ELB_503_Count app/web/b1 2 Count",
    "HTTPCode_ELB_5XX_Count app/web/b1 2 Count",
    "RequestCount app/web/b1 10 Count",
    "HTTPCode_Target_2XX_Count app/web/b1 9 Count",
    "HTTPCode_Target_4XX_Count app/web/b1 1 Count",
    "TargetResponseTime app/web/b1 0.01,0.5 x 8,2 Seconds",
  ]);
  const both = said.filter(({ dimensions }) => Object.keys(dimensions).join() === "LoadBalancer,TargetGroup");
  assert.deepEqual(both.map(text), [
    "RequestCountPerTarget app/web/b1 targetgroup/tasks/g1 5 Count",
    "RequestCount app/web/b1 targetgroup/tasks/g1 10 Count",
    "HTTPCode_Target_2XX_Count app/web/b1 targetgroup/tasks/g1 9 Count",
    "HTTPCode_Target_4XX_Count app/web/b1 targetgroup/tasks/g1 1 Count",
    "TargetResponseTime app/web/b1 targetgroup/tasks/g1 0.01,0.5 x 8,2 Seconds",
  ]);
  // Each of them in the load balancer's zone, too.
  const zoned = said.filter(({ dimensions }) => dimensions["AvailabilityZone"] === "eu-west-1a");
  assert.equal(zoned.length, said.length / 2);
  const quiet = trafficOf({ loadBalancers: [], targetGroups: [] }, [web], groups, 7).flatMap(({ data }) => data);
  assert.deepEqual([...new Set(quiet.map(({ name, values }) => `${name} ${values[0]}`))], ["RequestCountPerTarget 0"]);
  assert.deepEqual(trafficOf(traffic, [], groups, 7), [], "of one that is gone nobody can be told");
  const left = trafficOf(traffic, [web], new Map(), 7).flatMap(({ data }) => data);
  assert.ok(
    left.some(({ name, dimensions }) => name === "RequestCount" && dimensions["TargetGroup"]),
    "its listener has gone meanwhile",
  );
});

test("a network load balancer's flows and bytes, whole and by protocol", () => {
  const net = balancer("network");
  const counts = { newConnections: 4, activeConnections: 0, bytes: 70 };
  const traffic = {
    loadBalancers: [{ id: net.arn, ...counts, rejectedConnections: 0, answers: {}, protocols: { TLS: counts } }],
    targetGroups: [],
  };
  const [said] = trafficOf(traffic, [net], new Map(), 7);
  assert.equal(said!.namespace, "AWS/NetworkELB");
  assert.deepEqual(said!.data.filter(({ dimensions }) => !dimensions["AvailabilityZone"]).map(text), [
    "NewFlowCount net/web/b1 4 Count",
    "ProcessedBytes net/web/b1 70 Bytes",
    "NewFlowCount_TLS net/web/b1 4 Count",
    "ProcessedBytes_TLS net/web/b1 70 Bytes",
  ]);
});
