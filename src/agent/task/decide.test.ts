import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { imageNamed } from "#test/agent/scripted-runtime.ts";
import { decide, findCycle, type Action, type Progress } from "./decide.ts";
import { reduce } from "./reduce.ts";
import type { ContainerRules, TaskEvent, TaskState } from "./state.ts";

const conditions = ["START", "COMPLETE", "SUCCESS", "HEALTHY", "CREATED"] as const;

/** Up to five containers; each depends on earlier ones only, so there is no circle. */
const rulesArbitrary: fc.Arbitrary<readonly ContainerRules[]> = fc
  .array(
    fc.record({
      essential: fc.boolean(),
      links: fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...conditions)), { maxLength: 3 }),
      startTimeoutMs: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
      stopTimeoutMs: fc.integer({ min: 1, max: 20 }),
      restart: fc.option(fc.record({ ignoredExitCodes: fc.constant([3]), periodMs: fc.integer({ min: 2, max: 10 }) }), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((list) =>
    list.map(({ links, ...rest }, index) => ({
      ...rest,
      name: `c${index}`,
      essential: index === 0 || rest.essential,
      dependsOn: index === 0 ? [] : links.map(([other, condition]) => ({ container: `c${other % index}`, condition })),
    })),
  );

function firstState(rules: readonly ContainerRules[]): TaskState {
  return {
    arn: "arn:task/x",
    acceptedAt: 0,
    desired: "RUNNING",
    status: "PENDING",
    containers: rules.map(({ name }) => ({ name, id: name, metadataId: name, status: "NONE", restarts: 0 })),
  };
}

/**
 * A world that answers every action sooner or later, as `next` (a stream of small numbers) has it: late, failing, exiting, unhealthy.
 * Checks the safety rules at every step.
 */
class Simulation {
  state: TaskState;
  now = 0;
  readonly rules: readonly ContainerRules[];
  readonly #progress = new Map<string, Progress & { inHand: Set<"pull" | "prepare" | "launch" | "signal">; prepared: boolean }>();
  readonly #pending: { at: number; run: () => void }[] = [];
  readonly #next: () => number;
  readonly launched = new Map<string, number>();

  constructor(rules: readonly ContainerRules[], next: () => number) {
    this.rules = rules;
    this.#next = next;
    this.state = firstState(rules);
    for (const { name } of rules) this.#progress.set(name, { inHand: new Set(), prepared: false });
  }

  apply(event: TaskEvent): void {
    const before = this.state;
    this.state = reduce(this.rules, before, event);
    const rank = ["PENDING", "RUNNING", "STOPPED"];
    assert.ok(rank.indexOf(this.state.status) >= rank.indexOf(before.status), "the task's status never falls");
    if (before.desired === "STOPPED") assert.equal(this.state.desired, "STOPPED");
    for (const [index, container] of before.containers.entries()) {
      if (container.status === "STOPPED") assert.equal(this.state.containers[index]?.status, "STOPPED", "stopped never runs again");
    }
    const essentialStopped = this.rules.some(({ essential }, index) => essential && this.state.containers[index]?.status === "STOPPED");
    if (essentialStopped) assert.equal(this.state.desired, "STOPPED", "the end of an essential container ends the task");
  }

  step(): boolean {
    const { actions, wakeAt } = decide(this.rules, this.state, this.#progress, this.now);
    for (const action of actions) {
      const before = this.state;
      this.#act(action);
      if (this.state !== before) break;
    }
    if (actions.some(({ type }) => type !== "cancel")) return true;
    const due = this.#pending.toSorted((a, b) => a.at - b.at)[0];
    if (!due && wakeAt === undefined) return false;
    if (due && (wakeAt === undefined || due.at <= wakeAt)) {
      this.#pending.splice(this.#pending.indexOf(due), 1);
      this.now = Math.max(this.now, due.at);
      due.run();
    } else this.now = Math.max(this.now, wakeAt ?? 0);
    return true;
  }

  #later(run: () => void): void {
    this.#pending.push({ at: this.now + 1 + (this.#next() % 7), run });
  }

  #act(action: Action): void {
    const name = action.container;
    const progress = this.#progress.get(name);
    const rule = this.rules.find((each) => each.name === name);
    assert.ok(progress && rule);
    const container = () => this.state.containers.find((each) => each.name === name);
    switch (action.type) {
      case "pull":
      case "prepare":
        assert.ok(!progress.inHand.has(action.type), "one at a time");
        assert.equal(this.state.desired, "RUNNING", "nothing begins in a task that is to stop");
        progress.inHand.add(action.type);
        this.#later(() => {
          progress.inHand.delete(action.type as "pull");
          if (this.#next() % 23 === 0) this.apply({ type: "failed", container: name, at: this.now, reason: "no" });
          else if (action.type === "prepare") progress.prepared = true;
          else this.apply({ type: "pulled", container: name, image: imageNamed("x"), at: this.now });
        });
        return;
      case "launch":
        assert.equal(this.state.desired, "RUNNING");
        assert.ok(!progress.inHand.has("launch") && container()?.status === "NONE" && progress.prepared && container()?.image);
        if (container()?.startedAt === undefined) this.#checkDependencies(rule);
        progress.inHand.add("launch");
        this.apply({ type: "created", container: name, at: this.now });
        this.#later(() => {
          progress.inHand.delete("launch");
          if (this.#next() % 19 === 0) {
            this.apply({ type: "failed", container: name, at: this.now, reason: "no" });
            return;
          }
          this.launched.set(name, (this.launched.get(name) ?? 0) + 1);
          this.apply({ type: "started", container: name, at: this.now });
          const life = this.#next();
          if (life % 3 === 0) this.#later(() => this.apply({ type: "exited", container: name, at: this.now, exitCode: life % 4 }));
          else {
            const status = life % 2 === 0 ? "HEALTHY" : "UNHEALTHY";
            this.#later(() => this.apply({ type: "health", container: name, health: { status, since: this.now } }));
          }
        });
        return;
      case "signal":
        for (const { name: other, dependsOn } of this.rules) {
          if (!dependsOn.some(({ container: on }) => on === name)) continue;
          const state = this.state.containers.find((each) => each.name === other)?.status;
          assert.equal(state, "STOPPED", "whoever depends on it has stopped before");
        }
        if (action.kill) assert.ok(this.now >= (container()?.signalledAt ?? Infinity) + rule.stopTimeoutMs, "not killed before its time");
        this.apply({ type: "signalled", container: name, kill: action.kill, at: this.now });
        if (action.kill || this.#next() % 2 === 0) {
          const exitCode = action.kill ? 137 : 143;
          this.#later(() => this.apply({ type: "exited", container: name, at: this.now, exitCode }));
        }
        return;
      case "cancel":
        return;
      case "abandon":
        assert.equal(progress.inHand.size, 0, "nothing is in hand any more");
        this.apply({ type: "abandoned", container: name, at: this.now });
        return;
      case "fail":
        this.apply({ type: "failed", container: name, at: this.now, reason: action.reason, exitCode: action.exitCode });
    }
  }

  #checkDependencies(rule: ContainerRules): void {
    for (const { container: name, condition } of rule.dependsOn) {
      const other = this.state.containers.find((each) => each.name === name);
      assert.ok(other);
      if (condition === "START") assert.notEqual(other.startedAt, undefined);
      if (condition === "COMPLETE") assert.equal(other.status, "STOPPED");
      if (condition === "SUCCESS") assert.equal(other.status === "STOPPED" && other.exitCode, 0);
      if (condition === "HEALTHY") assert.equal(other.health?.status, "HEALTHY");
      if (condition === "CREATED") assert.ok(other.status !== "NONE" || other.startedAt !== undefined);
    }
  }
}

it("a stop that says how long its containers may take counts before the definition", () => {
  const rules: ContainerRules[] = [{ name: "c0", essential: true, dependsOn: [], stopTimeoutMs: 30_000 }];
  const running: TaskState = {
    ...firstState(rules),
    status: "RUNNING",
    containers: [{ ...firstState(rules).containers[0]!, status: "RUNNING", startedAt: 1, signalledAt: 1000 }],
  };
  const kill = { type: "signal", container: "c0", kill: true };
  const plain = reduce(rules, running, { type: "stop", at: 1000 });
  assert.deepEqual(decide(rules, plain, new Map(), 31_000).actions, [kill]);
  const longer = reduce(rules, running, { type: "stop", stopTimeouts: { c0: 120_000 }, at: 1000 });
  assert.deepEqual(decide(rules, longer, new Map(), 31_000), { actions: [], wakeAt: 121_000 });
  assert.deepEqual(decide(rules, longer, new Map(), 121_000).actions, [kill]);
});

describe("decide and reduce", () => {
  it("keep the rules of order, and every task that is told to stop comes to rest STOPPED", () => {
    fc.assert(
      fc.property(rulesArbitrary, fc.infiniteStream(fc.nat(1000)), fc.nat(120), (rules, numbers, stopAfter) => {
        const iterator = numbers[Symbol.iterator]();
        const simulation = new Simulation(rules, () => iterator.next().value as number);
        for (let steps = 0; steps < stopAfter && simulation.step(); steps++);
        simulation.apply({ type: "stop", at: simulation.now });
        let steps = 0;
        while (simulation.step()) assert.ok(++steps < 2_000, "comes to rest");
        assert.equal(simulation.state.status, "STOPPED");
      }),
      { numRuns: 400 },
    );
  });

  it("start each container once unless a restart policy says otherwise", () => {
    fc.assert(
      fc.property(rulesArbitrary, fc.infiniteStream(fc.nat(1000)), (rules, numbers) => {
        const iterator = numbers[Symbol.iterator]();
        const simulation = new Simulation(rules, () => iterator.next().value as number);
        for (let steps = 0; steps < 300 && simulation.step(); steps++);
        for (const { name, restart } of rules) {
          const restarts = simulation.state.containers.find((each) => each.name === name)?.restarts ?? 0;
          if (!restart) assert.equal(restarts, 0);
          assert.ok((simulation.launched.get(name) ?? 0) <= restarts + 1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("findCycle finds circles and nothing else", () => {
    const rule = (name: string, ...others: string[]): ContainerRules => ({
      name,
      essential: true,
      stopTimeoutMs: 1,
      dependsOn: others.map((container) => ({ container, condition: "START" })),
    });
    assert.equal(findCycle([rule("a", "b"), rule("b", "c"), rule("c")]), undefined);
    assert.deepEqual(findCycle([rule("a", "b"), rule("b", "c"), rule("c", "b")]), ["b", "c", "b"]);
    assert.deepEqual(findCycle([rule("a", "a")]), ["a", "a"]);
  });
});
