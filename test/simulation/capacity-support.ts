import assert from "node:assert/strict";
import type { InstanceReport, InstanceReportMessage, InstanceStateMessage, LocalInstance } from "#agent-protocol/instances.ts";
import { ApiError } from "#api/contract.ts";
import { autoscalingKeys, type GroupRecord } from "#model/autoscaling-records.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { WatchBatch } from "#store/store.ts";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import type { Channel } from "#services/ecs/agent-endpoint/channel.ts";
import type { ScriptedAgent } from "./agent.ts";
import type { Picture } from "./picture.ts";
import { clusterRecord, hex, instanceRecord, scope } from "./records.ts";
import { serviceDefinitions } from "./services-definitions.ts";
import { World } from "./world.ts";

const machines = "machines";
const hostId = hex(0xfeed);
const bootMs = 3_000;
const shutdownMs = 1_000;
export const group = "nodes";
export const most = 6;

/** The machine beneath the instances: it boots what it is told of, ends what it is told of no more, and reports both, whatever becomes of the server. */
class Host {
  readonly agents = new Map<string, ScriptedAgent>();
  readonly #reports = new Map<string, InstanceReport>();
  readonly #world: World;
  #send: ((message: InstanceReportMessage) => void) | undefined;
  #seed: number;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#seed = seed;
  }

  connect(part: Parameters<NonNullable<ConstructorParameters<typeof World>[1]["started"]>>[0]): void {
    let open = true;
    let receive = (_text: string) => {};
    let alive = () => {};
    let closed = () => {};
    const end = () => {
      if (!open) return;
      open = false;
      closed();
    };
    const later = (action: () => void) => void this.#world.clock.after(1, () => open && this.#world.serverAlive && action());
    const channel: Channel = {
      send: (text) => {
        const { type, message } = JSON.parse(text) as { type: string; message: InstanceStateMessage };
        if (type === "InstanceStateMessage") later(() => this.#take(message.instances));
      },
      ping: () => queueMicrotask(() => open && this.#world.serverAlive && alive()),
      close: end,
      terminate: end,
      onMessage: (listener) => (receive = listener),
      onAlive: (listener) => (alive = listener),
      onClose: (listener) => (closed = listener),
    };
    part.acs.accept(channel, ecsKeys.containerInstance(scope, machines, hostId), "http://localhost:4566");
    this.#send = (message) => later(() => receive(JSON.stringify({ type: "InstanceReportMessage", message })));
    // The server learns first that this machine is there.
    this.#world.clock.after(5, () => open && this.#say());
  }

  #say(): void {
    this.#send?.({ messageId: "r", instances: [...this.#reports.values()] });
  }

  #report(report: InstanceReport): void {
    this.#reports.set(report.instanceId, report);
    this.#say();
  }

  #take(wanted: readonly LocalInstance[]): void {
    const named = new Set(wanted.map(({ instanceId }) => instanceId));
    for (const { instanceId, boot } of wanted) {
      if (this.#reports.has(instanceId)) continue;
      this.#report({ instanceId, boot, state: "pending", ready: false });
      this.#world.clock.after(bootMs, () => {
        if (this.#reports.get(instanceId)?.state !== "pending") return;
        this.#report({ instanceId, boot, state: "running", ready: true });
        const agent = this.#world.addInstance(this.#seed++, 0, instanceId);
        this.agents.set(instanceId, agent);
        agent.start();
      });
    }
    for (const report of this.#reports.values()) {
      if (named.has(report.instanceId) || report.state === "stopping") continue;
      this.#report({ ...report, state: "stopping", ready: false });
      this.agents.get(report.instanceId)?.fallSilent();
      this.#world.clock.after(shutdownMs, () => {
        this.#reports.delete(report.instanceId);
        this.#say();
      });
    }
  }
}

/** A cluster without an instance and a capacity provider that may bring some, with EC2 and Auto Scaling as they are, and a scripted machine beneath. */
export class CapacityWorld {
  readonly world: World;
  readonly host: Host;

  constructor(seed: number) {
    this.world = new World(seed, {
      instances: 0,
      chaos: 0,
      definitions: serviceDefinitions,
      beside: (deps) => [createEc2(deps), createAutoScaling(deps)],
      started: (part) => this.host.connect(part),
      check: checkDrained,
    });
    this.host = new Host(this.world, seed * 1000);
    const big = { cpu: 65_536, memory: 262_144, attributes: { "gantry.instances": "true" } };
    this.world.disk.apply({
      writes: [
        { put: ecsKeys.cluster(scope, machines), value: clusterRecord(machines) },
        { put: ecsKeys.containerInstance(scope, machines, hostId), value: instanceRecord(machines, hostId, big) },
      ],
    });
  }

  async call<T>(operation: string, input: object): Promise<T> {
    for (let tries = 0; ; tries++) {
      const answer = await this.world.call<T>(operation, input);
      if (answer instanceof ApiError) throw answer;
      if (answer !== undefined) return answer;
      assert.ok(tries < 50, `${operation} was not answered`);
      if (!this.world.serverAlive) await this.world.startServer();
      await this.pass(500);
    }
  }

  async prepare(): Promise<void> {
    await this.world.startServer();
    await this.pass(1_000);
    const { Subnets } = await this.call<{ Subnets: { SubnetId: string }[] }>("ec2:DescribeSubnets", {});
    await this.call("ec2:CreateLaunchTemplate", {
      LaunchTemplateName: "nodes",
      LaunchTemplateData: { ImageId: "ami-0ec5000000000a001", InstanceType: "t3.medium" },
    });
    await this.call("autoscaling:CreateAutoScalingGroup", {
      AutoScalingGroupName: group,
      MinSize: 0,
      MaxSize: most,
      VPCZoneIdentifier: Subnets.map(({ SubnetId }) => SubnetId).join(","),
      LaunchTemplate: { LaunchTemplateName: "nodes", Version: "$Latest" },
      NewInstancesProtectedFromScaleIn: true,
    });
    const autoScalingGroupProvider = {
      autoScalingGroupArn: (await this.group()).AutoScalingGroupARN,
      managedScaling: { status: "ENABLED", targetCapacity: 100 },
      managedTerminationProtection: "ENABLED",
      managedDraining: "ENABLED",
    };
    await this.call("CreateCapacityProvider", { name: "cp", autoScalingGroupProvider });
    const strategy = [{ capacityProvider: "cp", weight: 1 }];
    await this.call("PutClusterCapacityProviders", {
      cluster: "sim",
      capacityProviders: ["cp"],
      defaultCapacityProviderStrategy: strategy,
    });
  }

  async group() {
    type Group = { AutoScalingGroupARN: string; Instances: { LifecycleState: string }[] };
    const { AutoScalingGroups } = await this.call<{ AutoScalingGroups: Group[] }>("autoscaling:DescribeAutoScalingGroups", {});
    return AutoScalingGroups[0]!;
  }

  /** Instances of EC2 that have not ended. */
  instances(): readonly InstanceRecord[] {
    return this.world.records<InstanceRecord>(vpcKeys.of(scope, "instance")).filter(({ terminatedAt }) => terminatedAt === undefined);
  }

  async pass(ms: number): Promise<void> {
    await this.world.clock.advance(ms);
    if (this.world.violations.length > 0) throw this.world.violations[0]!;
  }

  /** Milliseconds until it holds. */
  async until(holds: () => boolean | Promise<boolean>, withinMs: number, what: () => string): Promise<number> {
    const begun = this.world.clock.now();
    while (!(await holds())) {
      if (this.world.clock.now() - begun >= withinMs) assert.fail(what());
      await this.pass(500);
    }
    return this.world.clock.now() - begun;
  }
}

/** No instance of the group goes while a task is on it; the group never wants more than it may have. */
function checkDrained({ events }: WatchBatch, picture: Picture): void {
  for (const event of events) {
    if (event.type !== "put") continue;
    if (event.key === autoscalingKeys.group(scope, group)) {
      const { desired } = event.entry.value as GroupRecord;
      assert.ok(desired >= 0 && desired <= most, `the group wants ${desired}`);
    }
    if (!event.key.startsWith(vpcKeys.of(scope, "instance")) || event.key.split("/").length !== 6) continue;
    const { id, desired } = event.entry.value as InstanceRecord;
    if (desired !== "terminated") continue;
    const there = [...picture.instances.values()].find(({ ec2InstanceId }) => ec2InstanceId === id);
    if (there && there.status !== "INACTIVE") assert.deepEqual(picture.liveOn(there.id), [], `${id} goes with tasks on it`);
  }
}
