export { evaluateLifecycle, type Evaluation, type Expiring, type LifecycleImage, selects } from "./evaluate.ts";
export { parseLifecyclePolicy } from "./parse.ts";
export { dayMs, LifecyclePolicyError, type LifecycleRule } from "./policy.ts";
