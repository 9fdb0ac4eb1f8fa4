import type { ContainerPlan, TaskPlan } from "../task/plan.ts";
import type { TaskState } from "../task/state.ts";

/** The variables by which a container finds its metadata and credentials. A task in host mode can't use 169.254.170.2, which belongs to the bridge. */
export function metadataVariables(
  plan: TaskPlan,
  task: TaskState,
  container: ContainerPlan,
  port: number,
  /** Of the instance metadata, where there is any. */
  instancePort?: number,
): Record<string, string> {
  const id = task.containers.find(({ name }) => name === container.name)?.metadataId ?? "";
  const host = plan.networkMode === "host";
  const base = host ? `http://127.0.0.1:${port}` : "http://169.254.170.2";
  const role = plan.payload.roleCredentials?.credentialsId;
  const credentials: Record<string, string> = !role
    ? {}
    : host
      ? { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${base}/v2/credentials/${role}` }
      : { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: `/v2/credentials/${role}` };
  const endpoint = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
  // In mode host 169.254.169.254 is whatever it is to the machine.
  const instance: Record<string, string> =
    host && instancePort !== undefined && container.definition.environment?.[endpoint] === undefined
      ? { [endpoint]: `http://127.0.0.1:${instancePort}` }
      : {};
  return {
    ...instance,
    ECS_CONTAINER_METADATA_URI: `${base}/v3/${id}`,
    ECS_CONTAINER_METADATA_URI_V4: `${base}/v4/${id}`,
    ECS_AGENT_URI: `${base}/api/${id}`,
    ...credentials,
  };
}
