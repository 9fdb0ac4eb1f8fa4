import assert from "node:assert/strict";
import { describe, it, before, after } from "node:test";
import { command } from "#agent/network/commands.ts";
import type { ContainerPlan } from "#agent/task/plan.ts";
import { container } from "../agent/payloads.ts";
import { namespaces } from "../support/machine-state.ts";
import { eventually, until } from "../support/until.ts";
import { interfaceOf, Machine, needsRoot, planOf, shortly, vpcOf } from "./vpc-support.ts";

const linksIn = async (namespace: string) =>
  (JSON.parse(await command("nsenter", [`--net=/run/netns/${namespace}`, "ip", "-j", "link"])) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => /^t[0-9a-f]{4}$/.test(name));

describe("the life of a VPC's network", { skip: needsRoot, timeout: 600_000 }, () => {
  const machine = new Machine();
  before(() => machine.network.reconcile());
  after(() => machine.end());
  const vpcNamespace = (name: string) => `gantry-${machine.instance}-vpc-${name.padStart(17, "0")}`;

  it("stands unchanged when the agent comes back, without what nobody knows", async () => {
    const publicIp = "203.0.113.90";
    const a = interfaceOf("10.0.1.5", { publicIp, reaches: ["0.0.0.0/0"] });
    const [b, c] = [interfaceOf("10.0.2.6"), interfaceOf("10.0.2.7")];
    await machine.network.updateVpcs([vpcOf("a", [a, b, c])]);
    const [one, two, lost] = [await machine.attach(a), await machine.attach(b), await machine.attach(c)];
    await machine.serve(one, 80);
    const talk = await machine.run(
      two,
      `const s = require("net").connect({ host: "10.0.1.5", port: 80 }); s.on("data", (d) => process.stdout.write(d)); s.on("close", () => process.exit(1)); setInterval(() => s.write("tick "), 50);`,
    );
    await machine.restart([one, two]);
    let heard = "";
    talk.stdout?.on("data", (data) => (heard += String(data)));
    assert.equal(await machine.ask(two, "10.0.1.5", 80), "from ::ffff:10.0.2.6", "without a word of the control plane");
    await until("the connection stands", async () => heard.includes("tick"));
    assert.match(await command("ip", ["route"]), /203\.0\.113\.90 dev/);
    assert.ok(!namespaces().includes(lost.namespace ?? "?"), "what the journal does not know is gone");
    // A new spare may have its address by now; its route can't be anybody's.
    const routes = await command("nsenter", [`--net=/run/netns/${vpcNamespace("a")}`, "ip", "route"]);
    assert.ok(routes.includes("10.0.2.6 ") && !routes.includes("10.0.2.7 "), "nor is a way to it left");
    // Somebody removes the VPC's namespace, and the agent comes back, or looks: links, addresses and rules are made again for the tasks that run.
    for (const mend of [() => machine.restart([one, two]), () => machine.network.refresh()]) {
      await command("ip", ["netns", "del", vpcNamespace("a")]);
      // The kernel takes its time.
      await until("nothing passes", async () => (await machine.ask(two, "10.0.1.5", 80, { ms: shortly })) === "");
      await mend();
      assert.equal(await machine.ask(two, "10.0.1.5", 80), "from ::ffff:10.0.2.6");
    }
    for (const each of [one, two]) await machine.network.detach(each);
    await machine.network.updateVpcs([]);
  });

  it("waits for the control plane's word of an interface, until it is told to stop", async () => {
    const a = interfaceOf("10.0.1.5");
    const attaching = machine.attach(a);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await machine.network.updateVpcs([vpcOf("w", [a])]);
    await machine.network.detach(await attaching);
    const never = interfaceOf("10.0.1.6");
    const attachment = machine.network.allocate(planOf(never), { name: "x", definition: container("x"), config: {} } as ContainerPlan);
    const stop = new AbortController();
    const waiting = machine.network.attach(attachment, stop.signal);
    stop.abort(new Error("stopped"));
    await assert.rejects(waiting, /stopped/);
    await machine.network.detach(attachment);
    await machine.network.updateVpcs([]);
  });

  it("is shared by a task's containers, and goes with the last of them", async () => {
    const a = interfaceOf("10.0.1.5");
    await machine.network.updateVpcs([vpcOf("c", [a])]);
    const [one, two] = await Promise.all([machine.attach(a, "one"), machine.attach(a, "two")]);
    assert.equal(one.namespace, two.namespace);
    assert.equal(one.vpc?.transit, two.vpc?.transit);
    await machine.serve(one, 80);
    assert.equal(await machine.ask(two, "127.0.0.1", 80), "from ::ffff:127.0.0.1");
    await machine.network.detach(one);
    await machine.network.detach(one);
    assert.match(await machine.inside(two, "ip", "addr"), /10\.0\.1\.5/);
    await machine.restart([two]);
    assert.match(await machine.inside(two, "ip", "addr"), /10\.0\.1\.5/);
    await machine.network.detach(two);
    assert.ok(!namespaces().includes(two.namespace ?? "?"));
    await machine.network.updateVpcs([]);
  });

  it("leaves nothing behind after 500 tasks", async () => {
    const rounds = 500;
    const spares = async () => (await linksIn(vpcNamespace("l"))).length;
    const keeper = interfaceOf("10.0.0.9");
    await machine.network.updateVpcs([vpcOf("l", [keeper])]);
    const kept = await machine.attach(keeper);
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (let round = 0; round < rounds;) {
      const several = Array.from({ length: 10 }, (_, index) =>
        interfaceOf(
          `10.0.${1 + (round % 3)}.${10 + index}`,
          index % 2 ? { publicIp: `203.0.113.${100 + index}`, reaches: ["0.0.0.0/0"] } : {},
        ),
      );
      await machine.network.updateVpcs([vpcOf("l", [keeper, ...several])]);
      const attachments = await Promise.all(several.map((each) => machine.attach(each)));
      round += several.length;
      // As it may be: the control plane forgets the interfaces before or after the agent has given them back.
      if (round % 20 === 0) await machine.network.updateVpcs([vpcOf("l", [keeper])]);
      await Promise.all(attachments.map((each) => machine.network.detach(each)));
    }
    await machine.network.updateVpcs([vpcOf("l", [keeper])]);
    await until("the one that stands, and spares", async () => (await spares()) <= 5);
    const inside = (...args: string[]) => command("nsenter", [`--net=/run/netns/${vpcNamespace("l")}`, ...args]);
    await eventually("one route is left", async () => {
      const routes = (await inside("ip", "route"))
        .trim()
        .split("\n")
        .filter((line) => line.startsWith("10.0."));
      assert.deepEqual(
        routes.map((line) => line.split(" ")[0]),
        ["10.0.0.9"],
      );
    });
    const table = await inside("nft", "list", "table", "inet", "gantry");
    assert.ok(!/10\.0\.[123]\./.test(table), "no rule names one of them");
    assert.ok(!(await command("ip", ["route"])).includes("203.0.113."), "no route is left");
    assert.ok(
      !(await command("nft", ["list", "table", "ip", `gantry_${machine.instance}`])).includes("203.0.113."),
      "no public address is left",
    );
    const own = (kind: string) => namespaces().filter((name) => name.includes(`${machine.instance}-${kind}-`));
    await until("no namespace but spares", () => own("eni").length <= 5);
    await machine.network.detach(kept);
    await machine.network.updateVpcs([]);
    await until("a VPC without interfaces goes", () => own("vpc").length === 0);
    await until("and its spares", () => own("eni").length === 0);
  });
});
