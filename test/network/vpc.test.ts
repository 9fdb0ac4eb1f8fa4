import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { interfaceOf, Machine, needsRoot, vpcOf } from "./vpc-support.ts";

describe("VPCs", { skip: needsRoot, timeout: 60_000 }, () => {
  const machine = new Machine();
  before(() => machine.network.reconcile());
  after(() => machine.end());

  it("lead between subnets of a VPC and never across VPCs of the same blocks", async () => {
    const [a, b, c] = [interfaceOf("10.0.1.5"), interfaceOf("10.0.2.6"), interfaceOf("10.0.2.6")];
    await machine.network.updateVpcs([vpcOf("a", [a, b]), vpcOf("b", [c])]);
    const [one, two, other] = [await machine.attach(a), await machine.attach(b), await machine.attach(c)];
    await machine.serve(one, 80);
    assert.equal(await machine.ask(two, "10.0.1.5", 80), "from ::ffff:10.0.2.6");
    assert.equal(await machine.ask(two, "10.0.1.5", 80, { udp: true }), "from 10.0.2.6");
    assert.equal(await machine.ask(other, "10.0.1.5", 80), "");
    for (const each of [one, two, other]) await machine.network.detach(each);
  });
});
