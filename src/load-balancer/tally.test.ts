import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Tally } from "./tally.ts";

/** Processes that count, are read, replace each other, lose a server and get it back, while whoever reads is now and then another. */
type Step =
  | { readonly kind: "request"; readonly process: number; readonly scope: number; readonly times: number }
  | { readonly kind: "read"; readonly process: number; readonly scope: number }
  | { readonly kind: "remove"; readonly process: number; readonly scope: number }
  | { readonly kind: "begin"; readonly process: number }
  | { readonly kind: "end"; readonly process: number }
  | { readonly kind: "drain" }
  | { readonly kind: "restart" };

const index = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("request" as const), process: index, scope: index, times: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("read" as const, "remove" as const), process: index, scope: index }) as fc.Arbitrary<Step>,
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("begin" as const, "end" as const), process: index }) as fc.Arbitrary<Step> },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("drain" as const, "restart" as const) }) as fc.Arbitrary<Step> },
);

test("whatever happens between, all that was there to be read is counted once", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let tally = new Tally();
      const lives: (Map<string, number> | undefined)[] = [undefined, undefined, undefined];
      const names = [0, 0, 0];
      const nameOf = (process: number) => `${process} ${names[process]}`;
      let made = 0;
      let counted = 0;
      const drain = () => {
        for (const counters of tally.drain().values()) counted += counters["n"] ?? 0;
      };
      const read = (process: number, scope: number) => {
        const life = lives[process];
        if (life?.has(`s${scope}`)) tally.take(nameOf(process), `s${scope}`, { n: life.get(`s${scope}`)! });
      };
      for (const each of steps) {
        if (each.kind === "drain") drain();
        else if (each.kind === "restart") tally = new Tally(structuredClone(tally.save()));
        else if (each.kind === "begin") {
          if (lives[each.process]) continue;
          lives[each.process] = new Map();
          names[each.process]!++;
          tally.begin(nameOf(each.process));
        } else {
          const life = lives[each.process];
          if (!life) continue;
          if (each.kind === "end") {
            // Heard to the last, then over.
            for (const scope of [0, 1, 2]) read(each.process, scope);
            tally.end(nameOf(each.process));
            lives[each.process] = undefined;
          } else if (each.kind === "request") {
            life.set(`s${each.scope}`, (life.get(`s${each.scope}`) ?? 0) + each.times);
            made += each.times;
          } else if (each.kind === "read") read(each.process, each.scope);
          else {
            read(each.process, each.scope);
            life.delete(`s${each.scope}`);
            tally.forget(nameOf(each.process), `s${each.scope}`);
          }
        }
      }
      for (const process of [0, 1, 2]) for (const scope of [0, 1, 2]) read(process, scope);
      drain();
      assert.equal(counted, made);
    }),
  );
});

test("of a process whose beginning nobody saw, only what comes after the first look counts; a counter that fell began anew", () => {
  const tally = new Tally();
  assert.equal(tally.knows("1"), false);
  tally.assume("1", "g", { n: 100 });
  tally.take("1", "g", { n: 103 });
  tally.take("1", "g", { n: 2 });
  assert.deepEqual([...tally.drain()], [["g", { n: 5 }]]);
});
