import assert from "node:assert/strict";
import { test } from "node:test";
import { connectMeasurements } from "./connect-totals.ts";

const dimensions = [
  { key: "ClusterName", value: "main" },
  { key: "ServiceName", value: "web" },
  { key: "DiscoveryName", value: "web" },
];

test("what a proxy counted: by discovery name alone and with its service, the targets' share under the target's name and with the service that asks", () => {
  const said = connectMeasurements(
    [
      {
        metricType: "2",
        dimensions,
        generalMetrics: [
          { metricName: "RequestCount", metricValues: [7], metricCounts: [1] },
          { metricName: "ProcessedBytes", metricValues: [900], metricCounts: [1] },
          { metricName: "HTTPCode_Target_2XX_Count", metricValues: [6], metricCounts: [1] },
          { metricName: "TargetResponseTime", metricValues: [12.5], metricCounts: [7] },
        ],
      },
    ],
    { ServiceName: "front", ClusterName: "edge" },
    9,
  );
  const whole = { ServiceName: "web", ClusterName: "main" };
  const asking = { ServiceName: "front", ClusterName: "edge" };
  assert.deepEqual(
    said.map(({ name, unit, dimensions: own, values, counts }) => [name, unit, own, values[0], counts![0]]),
    [
      ["RequestCount", "Count", { DiscoveryName: "web" }, 7, 1],
      ["RequestCount", "Count", { DiscoveryName: "web", ...whole }, 7, 1],
      ["ProcessedBytes", "Bytes", { DiscoveryName: "web" }, 900, 1],
      ["ProcessedBytes", "Bytes", { DiscoveryName: "web", ...whole }, 900, 1],
      ["HTTPCode_Target_2XX_Count", "Count", { TargetDiscoveryName: "web" }, 6, 1],
      ["HTTPCode_Target_2XX_Count", "Count", { TargetDiscoveryName: "web", ...asking }, 6, 1],
      ["TargetResponseTime", "Milliseconds", { TargetDiscoveryName: "web" }, 12.5, 7],
      ["TargetResponseTime", "Milliseconds", { TargetDiscoveryName: "web", ...asking }, 12.5, 7],
    ],
  );
});

test("what an agent sends malformed is passed over", () => {
  const wrong = [
    { metricType: "2", dimensions: [], generalMetrics: [{ metricName: "RequestCount", metricValues: [1], metricCounts: [1] }] },
    {
      metricType: "2",
      dimensions,
      generalMetrics: [
        { metricName: "RequestCount", metricValues: ["1"], metricCounts: [1] },
        { metricName: 4, metricValues: [1], metricCounts: [1] },
        { metricName: "RequestCount" },
      ],
    },
  ];
  assert.deepEqual(connectMeasurements(wrong as never, { ServiceName: "front", ClusterName: "edge" }, 9), []);
});
