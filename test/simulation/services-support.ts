import assert from "node:assert/strict";
import type { CreateServiceRequest, Service, Task, UpdateServiceRequest } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import { isHealthy } from "./services-checks.ts";
import { serviceDefinitions } from "./services-definitions.ts";
import { World, type WorldOptions } from "./world.ts";

const cluster = "sim";

/** A cluster whose agents behave, and a caller who waits for answers. Every step checks the invariants. */
export class ServiceWorld {
  readonly world: World;

  constructor(instances: number, fargate = false, more: Pick<WorldOptions, "balanced" | "callHook" | "beside"> = {}) {
    this.world = new World(1, { instances, chaos: 0, fargate, definitions: serviceDefinitions, ...more });
  }

  static async with(
    instances: number,
    fargate = false,
    more: Pick<WorldOptions, "balanced" | "callHook" | "beside"> = {},
  ): Promise<ServiceWorld> {
    const self = new ServiceWorld(instances, fargate, more);
    await self.world.startServer();
    for (const agent of self.world.agents) agent.start();
    await self.pass(2000);
    return self;
  }

  async pass(ms: number): Promise<void> {
    await this.world.clock.advance(ms);
    if (this.world.violations.length > 0) throw this.world.violations[0]!;
  }

  /** Throws the API's error. */
  async call<T>(operation: string, input: object): Promise<T> {
    const answer = await this.world.call<T>(operation, { cluster, ...input });
    if (answer instanceof ApiError) throw answer;
    assert.ok(answer !== undefined, `${operation} was not answered`);
    return answer;
  }

  async create(
    serviceName: string,
    taskDefinition: string,
    desiredCount: number,
    more: Partial<CreateServiceRequest> = {},
  ): Promise<Service> {
    const count = more.schedulingStrategy === "DAEMON" ? {} : { desiredCount };
    const input = { serviceName, taskDefinition, launchType: "EC2", ...count, ...more };
    return (await this.call<{ service: Service }>("CreateService", input)).service;
  }

  async update(service: string, changes: Omit<UpdateServiceRequest, "service">): Promise<Service> {
    return (await this.call<{ service: Service }>("UpdateService", { service, ...changes })).service;
  }

  async describe(service: string): Promise<Service> {
    const { services } = await this.call<{ services: Service[] }>("DescribeServices", { services: [service] });
    assert.equal(services.length, 1);
    return services[0]!;
  }

  async stopTask(task: string): Promise<Task> {
    return (await this.call<{ task: Task }>("StopTask", { task })).task;
  }

  async setStatus(instance: string, status: "ACTIVE" | "DRAINING"): Promise<void> {
    await this.call("UpdateContainerInstancesState", { containerInstances: [instance], status });
  }

  /** Its tasks that are not STOPPED, oldest first. */
  live(service: string): TaskRecord[] {
    return this.world.picture.liveOf(service).toSorted((a, b) => a.createdAt - b.createdAt);
  }

  healthy(service: string): TaskRecord[] {
    return this.live(service).filter((task) => isHealthy(this.world.picture, task));
  }

  /** Every task it ever had that is still known. */
  all(service: string): TaskRecord[] {
    return this.world.picture.allOf(service);
  }

  on(instance: string, service: string): TaskRecord[] {
    return this.live(service).filter(({ containerInstanceId }) => containerInstanceId === instance);
  }

  /** `revision` as in `app:2`. */
  of(service: string, revision: string): TaskRecord[] {
    return this.live(service).filter(({ taskDefinitionArn }) => taskDefinitionArn.endsWith(`/${revision}`));
  }

  /** What the waiter `services-stable` asks for. */
  async stable(service: string, withinMs = 120_000): Promise<Service> {
    let last: Service | undefined;
    await this.until(
      async () => {
        last = await this.describe(service);
        return last.deployments!.length === 1 && last.runningCount === last.desiredCount;
      },
      withinMs,
      () => `${service} is not stable: ${JSON.stringify({ ...last, events: last?.events?.slice(0, 4) })}`,
    );
    return last!;
  }

  async until(
    holds: () => boolean | Promise<boolean>,
    withinMs = 60_000,
    what: string | (() => string) = "it never came",
  ): Promise<number> {
    const begun = this.world.clock.now();
    while (!(await holds())) {
      if (this.world.clock.now() - begun >= withinMs) assert.fail(typeof what === "string" ? what : what());
      await this.pass(100);
    }
    return this.world.clock.now() - begun;
  }

  /** Looks at every tenth of a second until it is stable: the fewest healthy and the most not STOPPED that there were. */
  async watchRollout(service: string, withinMs = 180_000): Promise<{ fewest: number; most: number }> {
    const seen = { fewest: Infinity, most: 0 };
    await this.until(
      async () => {
        seen.fewest = Math.min(seen.fewest, this.healthy(service).length);
        seen.most = Math.max(seen.most, this.live(service).length);
        const { deployments, desiredCount, runningCount } = await this.describe(service);
        return deployments!.length === 1 && runningCount === desiredCount;
      },
      withinMs,
      `${service} is never rolled out`,
    );
    return seen;
  }

  /** Nothing is written any more. */
  async rests(ms = 300_000): Promise<void> {
    // What runs is ready a second later, and said to be.
    await this.pass(2000);
    const { revision } = this.world.disk;
    await this.pass(ms);
    assert.equal(this.world.disk.revision, revision, "the system does not come to rest");
  }
}

export const percents = (minimumHealthyPercent: number, maximumPercent: number, breaker?: { enable: boolean; rollback: boolean }) => ({
  deploymentConfiguration: { minimumHealthyPercent, maximumPercent, ...(breaker ? { deploymentCircuitBreaker: breaker } : {}) },
});

export const messages = (service: Service): string[] => service.events!.map(({ message }) => message!);
