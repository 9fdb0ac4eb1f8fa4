/**
 * Network set-up of a task in mode awsvpc: from the decision to a namespace whose interface has its address, routes and rules. The bound: a
 * median of 15 ms. Then the same without anything prepared, fifty at once, and how soon a changed security group is in force.
 * `node bench/network.ts`, as root.
 */
import { instanceOf } from "#agent/config.ts";
import { createNetwork } from "#agent/network/network.ts";
import type { ContainerPlan } from "#agent/task/plan.ts";
import type { Attachment } from "#agent/task/state.ts";
import type { VpcInterface } from "#agent-protocol/vpc.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { anything, interfaceOf, open, planOf, vpcOf } from "../test/network/vpc-support.ts";
import { container } from "../test/agent/payloads.ts";
import { median, report, round } from "./support.ts";

const memory = new Map<string, string>();
const network = createNetwork({
  instance: instanceOf(`/tmp/bench-network-${process.pid}`),
  dynamicPorts: { first: 50_600, last: 50_700 },
  metadataPort: () => 1,
  memory: { get: (key) => memory.get(key), set: (key, value) => void (value === undefined ? memory.delete(key) : memory.set(key, value)) },
  random: systemRandom,
  clock: systemClock,
  log: silentLogger,
});
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const web = { name: "web", definition: container("web"), config: {} } as ContainerPlan;
const addressOf = (index: number) => `10.0.${1 + Math.floor(index / 200)}.${10 + (index % 200)}`;

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

try {
  await network.reconcile();
  const list: VpcInterface[] = Array.from({ length: 100 }, (_, index) => interfaceOf(addressOf(index)));
  const groups = [open, { groupId: "sg-web", ingress: [{ protocol: "tcp", fromPort: 80, toPort: 80, group: "sg-all" }], egress: anything }];
  const state = (groupsNow = groups) => [
    vpcOf("b", list, { groups: groupsNow, members: { "sg-all": list.map(({ address }) => address) } }),
  ];
  const first = await timed(() => network.updateVpcs(state()));
  const attachments: Attachment[] = [];
  const attach = async (each: VpcInterface) => {
    const attachment = network.allocate(planOf(each), web);
    attachments.push(attachment);
    await network.attach(attachment);
  };
  // As it is with a task's start: the control plane's word of the interface comes while the task is being prepared.
  const told: number[] = [];
  for (let index = 0; index < 25; index++) {
    await pause(350);
    const next = interfaceOf(`10.0.9.${10 + index}`);
    list.push(next);
    told.push(await timed(() => Promise.all([attach(next), network.updateVpcs(state())]).then(() => {})));
  }
  report({
    bench: "awsvpc: network set-up of one task, with a new table",
    ours: median(told),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 15 },
  });
  await pause(600);
  const one: number[] = [];
  for (const each of list.slice(0, 25)) {
    one.push(await timed(() => attach(each)));
    await pause(350);
  }
  report({
    bench: "awsvpc: network set-up of one task",
    ours: median(one),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 15 },
  });
  const bare: number[] = [];
  for (const each of list.slice(25, 50)) bare.push(await timed(() => attach(each)));
  process.stdout.write(`     one after the other, faster than spares are made: median ${round(median(bare))} ms\n`);
  await pause(600);
  const many = await timed(() => Promise.all(list.slice(50, 100).map((each) => attach(each))).then(() => {}));
  process.stdout.write(`     50 at once: ${round(many)} ms, ${round(many / 50)} ms each\n`);
  const change: number[] = [];
  for (let index = 0; index < 11; index++)
    change.push(await timed(() => network.updateVpcs(state(index % 2 ? groups : groups.slice(0, 1)))));
  report({
    bench: "awsvpc: a changed group in force",
    ours: median(change),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 1_000 },
  });
  process.stdout.write(`     the VPC's first namespace: ${round(first)} ms\n`);
  const gone = await timed(() => Promise.all(attachments.map((each) => network.detach(each))).then(() => {}));
  process.stdout.write(`     100 given back at once: ${round(gone)} ms\n`);
} finally {
  await network.tearDown();
}
