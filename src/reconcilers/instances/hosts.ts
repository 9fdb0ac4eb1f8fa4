import { instancesAttribute } from "#agent-protocol/instances.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";

/** Whether local instances can run on the machine of this container instance: its agent says so when it registers. */
export const runsInstances = ({ attributes }: Pick<ContainerInstanceRecord, "attributes">): boolean =>
  attributes.some(({ name, value }) => name === instancesAttribute && value === "true");
