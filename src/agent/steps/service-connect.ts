import type { ContainerPlan, TaskPlan } from "../task/plan.ts";
import { isProxy, redirectsOf, type ProxyPlace } from "../service-connect/service-connect.ts";
import type { ContainerState } from "../task/state.ts";
import { connectDirectory, type TaskContext, type World } from "../task/world.ts";
import { isolationOf } from "./sandbox.ts";
import { StepError } from "./step-error.ts";

/**
 * Where the task's proxy listens. In a namespace of Linux's that it shares with the task's programs, one of these may want the same port at every address, so
 * connections are redirected to others; gVisor's network lets both have it, and knows no nftables; in mode bridge the proxy is alone.
 */
function placeOf(world: World, plan: TaskPlan): ProxyPlace {
  return plan.networkMode === "awsvpc" && isolationOf(world, plan).runtime.name === "runc" ? "redirected" : "aliases";
}

/** For the proxy's container: its configuration. */
export async function openProxy({ world, plan }: TaskContext, container: ContainerPlan): Promise<void> {
  if (!isProxy(plan, container)) return;
  if (plan.networkMode === "host" || plan.networkMode === "none")
    throw new StepError(`ResourceInitializationError: Service Connect is not there in network mode ${plan.networkMode}`);
  await world.connect.open(plan, connectDirectory(world, plan), placeOf(world, plan));
}

/** For each container, before its process runs: the way to the proxy. */
export async function connectContainer({ world, plan, state }: TaskContext, container: ContainerPlan, own: ContainerState): Promise<void> {
  const connect = plan.payload.serviceConnect;
  if (!connect || !own.network) return;
  const proxy = isProxy(plan, container);
  if (plan.networkMode === "awsvpc") {
    if (proxy && placeOf(world, plan) === "redirected")
      await world.network.serviceConnect(own.network, { kind: "redirect", redirects: redirectsOf(connect) });
    return;
  }
  if (proxy) return world.network.serviceConnect(own.network, { kind: "proxy" });
  const address = state().containers.find(({ name }) => name === connect.container)?.network?.address;
  if (address !== undefined) await world.network.serviceConnect(own.network, { kind: "client", proxy: address });
}
