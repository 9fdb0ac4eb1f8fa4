/** Launch template, Auto Scaling group, capacity provider and instance. */
import assert from "node:assert/strict";
import { everyInstanceObeys } from "../../support/instances.ts";
import { fileOf, keysBelow, type Lesson } from "./lesson.ts";

const over = new AbortController();
let machine: Promise<void> | undefined;

export const capacity: Lesson = {
  name: "capacity",
  services: ["ec2", "autoscaling", "ecs"],
  configuration: () => fileOf("capacity.tf"),
  changed: (text) =>
    text
      .replace('instance_type          = "t3.small"', 'instance_type          = "t3.medium"')
      .replace("max_size              = 3", "max_size              = 5")
      .replace("desired_capacity      = 1", "desired_capacity      = 2")
      .replace("target_capacity = 100", "target_capacity = 90")
      .replace('{ Name = "one" }', '{ Name = "two" }'),
  async before({ deps }) {
    machine = everyInstanceObeys(deps.store, over.signal);
  },
  applied(outputs) {
    assert.match(outputs.instance as string, /^i-[0-9a-f]{17}$/);
    assert.equal(outputs.public, true);
  },
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/autoscaling/"), []);
  },
  async close() {
    over.abort();
    await machine;
  },
};
