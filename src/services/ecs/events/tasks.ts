import type { Task } from "@aws-sdk/client-ecs";
import { ecsKeys, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DraftEvent } from "#reconcilers/events/deliveries.ts";
import type { EventSource, Reading } from "#reconcilers/events/publishing.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import { taskView } from "../tasks/view.ts";

const detailType = "ECS Task State Change";

/** One for each transaction that raises a task's version. Source: ECS Developer Guide, "Amazon ECS task state change events". */
export const taskEvents: EventSource = {
  concerns: (key) => /^\/ecs\/[^/]+\/[^/]+\/task(-observed)?\//.test(key),
  async eventsOf(reading) {
    const tasks = new Map<string, { readonly scope: Scope; readonly cluster: string; readonly id: string }>();
    for (const key of reading.keys) {
      const { scope, names } = parseEcsKey(key)!;
      const [cluster = "", id = ""] = names;
      tasks.set(ecsKeys.task(scope, cluster, id), { scope, cluster, id });
    }
    const events: DraftEvent[] = [];
    for (const { scope, cluster, id } of tasks.values()) {
      if (!reading.wanted(scope, "aws.ecs", detailType)) continue;
      const before = await viewOf(scope, cluster, id, reading.before);
      const after = await viewOf(scope, cluster, id, reading.after);
      // ECS forgets a stopped task without a word.
      if (!after || (before && before.version === after.version && before.lastStatus === after.lastStatus)) continue;
      events.push({ ...scope, source: "aws.ecs", detailType, resources: [after.taskArn!], detail: detailOf(after, reading.now) });
    }
    return events;
  },
};

async function viewOf(scope: Scope, cluster: string, id: string, read: Reading["before"]): Promise<Task | undefined> {
  const task = await read<TaskRecord>(ecsKeys.task(scope, cluster, id));
  const observed = await read<TaskObservation>(ecsKeys.taskObserved(scope, cluster, id));
  return task && taskView(task, observed, { clusterArn: ecsArn.cluster(scope, cluster), tags: false });
}

/** As DescribeTasks has it, but for what events leave out, and the attachment's type, which is another word here. */
function detailOf(task: Task, now: number): Readonly<Record<string, unknown>> {
  const { tags: _, inferenceAccelerators: __, healthStatus: ___, attachments = [], containers = [], ...rest } = task;
  return {
    attachments: attachments.map((attachment) => ({
      ...attachment,
      type: attachment.type === "ElasticNetworkInterface" ? "eni" : attachment.type,
    })),
    ...rest,
    containers: containers.map(({ healthStatus: ____, ...container }) => container),
    updatedAt: new Date(now),
  };
}
