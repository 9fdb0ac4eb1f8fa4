/** Stages of a deployment that shifts traffic, in their order. Source: ECS API Reference, DeploymentLifecycleHook and ServiceDeployment. */
export type LifecycleStage =
  | "RECONCILE_SERVICE"
  | "PRE_SCALE_UP"
  | "SCALE_UP"
  | "POST_SCALE_UP"
  | "TEST_TRAFFIC_SHIFT"
  | "POST_TEST_TRAFFIC_SHIFT"
  /** Before each step of the production traffic's shift. */
  | "PRE_PRODUCTION_TRAFFIC_SHIFT"
  | "PRODUCTION_TRAFFIC_SHIFT"
  | "POST_PRODUCTION_TRAFFIC_SHIFT"
  | "BAKE_TIME"
  | "CLEAN_UP";

/** Those that a lifecycle hook may be for. */
export const hookStages: readonly LifecycleStage[] = [
  "RECONCILE_SERVICE",
  "PRE_SCALE_UP",
  "POST_SCALE_UP",
  "TEST_TRAFFIC_SHIFT",
  "POST_TEST_TRAFFIC_SHIFT",
  "PRE_PRODUCTION_TRAFFIC_SHIFT",
  "PRODUCTION_TRAFFIC_SHIFT",
  "POST_PRODUCTION_TRAFFIC_SHIFT",
];

/** Those that a deployment cannot be paused at: traffic is on its way. */
export const unpausableStages: readonly LifecycleStage[] = ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"];

export type ShiftStrategy = "BLUE_GREEN" | "LINEAR" | "CANARY";

export const shiftsTraffic = (strategy: string | undefined): strategy is ShiftStrategy =>
  strategy === "BLUE_GREEN" || strategy === "LINEAR" || strategy === "CANARY";
