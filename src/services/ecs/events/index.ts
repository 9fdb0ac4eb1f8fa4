import type { EventSource } from "#reconcilers/events/publishing.ts";
import { instanceEvents } from "./instances.ts";
import { serviceEvents } from "./services.ts";
import { taskEvents } from "./tasks.ts";

/** ECS's word to EventBridge. Source: ECS Developer Guide, "Amazon ECS events". */
export const ecsEvents: readonly EventSource[] = [taskEvents, instanceEvents, serviceEvents];
