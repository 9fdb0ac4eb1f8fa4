import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { GroupRecord, MemberRecord } from "#model/autoscaling-records.ts";
import type { InstanceState } from "#model/instance-records.ts";
import { decideGroup, victims } from "./decide.ts";

const subnets = ["a", "b", "c"].map((zone) => ({ id: `subnet-${zone}`, zone }));
const group = (changes: Partial<GroupRecord> = {}): GroupRecord =>
  ({ name: "g", min: 0, max: 10, desired: 0, suspended: [], ...changes }) as unknown as GroupRecord;
const member = (id: string, zone: string, changes: Partial<MemberRecord> = {}): MemberRecord =>
  ({
    id,
    zone,
    group: "g",
    lifecycle: "InService",
    protected: false,
    joinedAt: 0,
    template: { version: 1 },
    ...changes,
  }) as unknown as MemberRecord;
const decide = (each: GroupRecord, members: readonly MemberRecord[], states: Record<string, InstanceState> = {}, now = 0) =>
  decideGroup({ group: each, members, subnets, hooks: new Set(["h"]), stateOf: (id) => states[id] ?? "running" }, now);

describe("an Auto Scaling group", () => {
  test("launches where there are fewest", () => {
    assert.deepEqual(decide(group({ desired: 3 }), [member("1", "a")]).launches, ["subnet-b", "subnet-c"]);
  });
  test("takes from the zone with the most, the older template first, then the older instance; never the protected", () => {
    const members = [
      member("1", "a", { protected: true }),
      member("2", "a", { template: { id: "", name: "", version: 2 } }),
      member("3", "a", { joinedAt: 5 }),
      member("4", "b"),
    ];
    assert.deepEqual(
      victims(members, 2).map(({ id }) => id),
      ["3", "2"],
    );
    assert.deepEqual(victims([member("1", "a", { protected: true })], 1), []);
  });
  test("replaces what EC2 ended, and does not where that is suspended", () => {
    const members = [member("1", "a"), member("2", "b")];
    const decided = decide(group({ desired: 2 }), members, { 1: "terminated", 2: "stopped" });
    assert.deepEqual(
      [decided.gone.map(({ id }) => id), decided.leaving.map(({ member: { id }, cause }) => [id, cause]), decided.launches.length],
      [["1"], [["2", "unhealthy"]], 2],
    );
    const held = decide(
      group({
        desired: 2,
        suspended: [
          { name: "ReplaceUnhealthy", reason: "" },
          { name: "Launch", reason: "" },
        ],
      }),
      members,
      { 2: "stopped" },
    );
    assert.deepEqual([held.leaving.length, held.launches.length], [0, 0]);
  });
  test("hooks hold an instance until their time is over", () => {
    const waiting = member("1", "a", { lifecycle: "Terminating:Wait", waiting: { token: "t", hooks: [{ name: "h", until: 100 }] } });
    assert.deepEqual([decide(group(), [waiting]).terminate.length, decide(group(), [waiting]).wakeAt], [0, 100]);
    assert.equal(decide(group(), [waiting], {}, 100).terminate.length, 1);
  });
  test("whatever happens it comes to rest at what is desired, balanced over its zones", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 20 })), { minLength: 1, maxLength: 12 }),
        (steps) => {
          let members: MemberRecord[] = [];
          const states: Record<string, InstanceState> = {};
          let next = 0;
          for (const [desired, casualty] of [...steps, steps.at(-1)!]) {
            const victim = members[casualty];
            if (victim) states[victim.id] = "terminated";
            for (let round = 0; round < 8; round++) {
              const decided = decide(group({ desired }), members, states, round);
              const gone = new Set(decided.gone.map(({ id }) => id));
              const leaving = new Set([...decided.leaving.map(({ member: each }) => each.id), ...decided.terminate.map(({ id }) => id)]);
              for (const id of leaving) states[id] = "terminated";
              members = members
                .filter(({ id }) => !gone.has(id))
                .map((each) =>
                  leaving.has(each.id)
                    ? { ...each, lifecycle: "Terminating" }
                    : { ...each, lifecycle: each.lifecycle === "Pending" ? "InService" : each.lifecycle },
                );
              for (const place of decided.launches)
                members.push(member(String(next++), place.slice(-1), { lifecycle: "Pending", joinedAt: next }));
              assert.ok(decided.leaving.length === 0 || decided.launches.length === 0, "never both at once");
            }
          }
          const [desired] = steps.at(-1)!;
          assert.equal(members.length, desired);
          const counts = subnets.map(({ zone }) => members.filter((each) => each.zone === zone).length);
          assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, counts.join());
        },
      ),
    );
  });
});
