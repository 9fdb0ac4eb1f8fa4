import assert from "node:assert/strict";
import type { Service } from "@aws-sdk/client-ecs";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { TaskProtectionRecord } from "#model/service-records.ts";
import { scope } from "./records.ts";
import type { World } from "./world.ts";

/** What must be true of the services of a cluster that has healed. */
export function checkServiceEnds(world: World, services: readonly Service[]): void {
  const { picture } = world;
  for (const agent of world.agents) {
    for (const [arn, count] of agent.starts) assert.ok(count <= 1, `${arn} was started ${count} times`);
    for (const arn of agent.dismissed ? [] : agent.running)
      assert.ok(picture.live(arn.split("/").at(-1)!), `${arn} runs, and nobody wants it`);
  }
  for (const { id, arn, containerInstanceId } of picture.tasks.values()) {
    if (!picture.live(id)) continue;
    const agent = world.agents.find(({ instance }) => instance === containerInstanceId)!;
    assert.ok(agent.running.includes(arn), `${arn} is ${picture.observed.get(id)?.lastStatus}, and does not run`);
  }
  for (const service of services) {
    const name = service.serviceName!;
    const events = service.events ?? [];
    assert.ok(events.length <= 100, `${name} has ${events.length} events`);
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length, "an event's id twice");
    assert.ok(
      events.every(({ createdAt }, i) => i === 0 || createdAt! <= events[i - 1]!.createdAt!),
      "events are newest first",
    );
    for (const [key, deployment] of picture.deployments)
      if (key.startsWith(`${name}/`)) assert.ok(deployment.timeline.length <= 200, `the timeline of ${key}`);
    if (service.status !== "ACTIVE") continue;
    if (service.schedulingStrategy === "DAEMON") {
      const live = picture.liveOf(name).map(({ containerInstanceId }) => containerInstanceId);
      const homes = world.agents.map(({ instance }) => instance).filter((instance) => picture.connected(instance));
      if (!/ported:/.test(service.taskDefinition!))
        assert.deepEqual(live.toSorted(), homes.toSorted(), `${name}: one daemon on each instance`);
    }
    const primary = service.deployments!.find(({ status }) => status === "PRIMARY")!;
    if (primary.rolloutState !== "COMPLETED" || service.runningCount !== service.desiredCount || service.desiredCount === 0) continue;
    const steady = events.findIndex(({ message }) => /has reached a steady state\.$/.test(message!));
    const started = events.findIndex(({ message }) => /has started \d+ tasks/.test(message!));
    if (started >= 0) assert.ok(steady >= 0 && steady < started, `${name} is steady and no event says so: ${events[0]?.message}`);
  }
}

/** Nothing is written and nobody is told anything for five minutes. */
export async function checkServiceRest(world: World): Promise<void> {
  // A protection that ends lets go of a task that was to leave.
  const protections = world.records<TaskProtectionRecord>(`${ecsKeys.root(scope)}/task-protection/`).map(({ expiresAt }) => expiresAt);
  await world.clock.advance(Math.max(0, Math.max(0, ...protections) - world.clock.now()) + 30_000);
  const before = { revision: world.disk.revision, payloads: world.payloads };
  await world.clock.advance(5 * 60_000);
  const after = { revision: world.disk.revision, payloads: world.payloads };
  assert.deepEqual(after, before, "the system does not come to rest");
}
