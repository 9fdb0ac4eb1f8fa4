/** Issue 3 on real containers: the number is kept under kill -9, updates roll, a failing update rolls back, and the AWS CLI's waiters believe it. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type CreateServiceCommandInput,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  ListTasksCommand,
  type Service,
  UpdateServiceCommand,
  waitUntilServicesInactive,
  waitUntilServicesStable,
} from "@aws-sdk/client-ecs";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { openTasks, sleep, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-services-"));
  gantry = await startGantry({ open: true });
  t = await openTasks(gantry, work);
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

/** Runs until it is told to stop, and then leaves at once. */
const serving = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
const container = (script: string, mark = "") => ({
  command: ["sh", "-c", script],
  memory: 8,
  environment: [{ name: "MARK", value: mark }],
});

async function describeOne(name: string): Promise<Service> {
  return (await t.ecs.send(new DescribeServicesCommand({ services: [name] }))).services![0]!;
}
async function create(name: string, input: Partial<CreateServiceCommandInput>): Promise<void> {
  await t.ecs.send(new CreateServiceCommand({ serviceName: name, ...input }));
}
/** As a user types it. */
const aws = (line: string) => gantry.shell(`aws ${line}`);
const waiter = () => ({ client: t.ecs, maxWaitTime: 240, minDelay: 1, maxDelay: 1 });
async function removed(name: string): Promise<void> {
  await t.ecs.send(new DeleteServiceCommand({ service: name, force: true }));
  await waitUntilServicesInactive(waiter(), { services: [name] });
  const { taskArns } = await t.ecs.send(new ListTasksCommand({ serviceName: name }));
  assert.deepEqual(taskArns, []);
}
async function becomes(name: string, what: string, good: (service: Service) => boolean): Promise<Service> {
  let service: Service;
  const seen = () => JSON.stringify(service, undefined, 1);
  await until(what, async () => good((service = await describeOne(name))), { ms: 180_000, every: 200, seen });
  return service!;
}

/** Processes of the containers with this MARK: the first of each, which is what `sh` became. */
async function processes(mark: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const environment = await readFile(`/proc/${entry}/environ`, "utf8");
      const status = await readFile(`/proc/${entry}/status`, "utf8");
      if (environment.split("\0").includes(`MARK=${mark}`) && /^NSpid:.*\t1$/m.test(status)) found.push(Number(entry));
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** A container is started a moment before its process is what it is to be. */
const serve = (mark: string, count: number) =>
  eventually(`${count} processes`, async () => {
    const found = await processes(mark);
    assert.equal(found.length, count);
    return found;
  });

describe("services", { timeout: 690_000 }, () => {
  test("the AWS CLI creates, waits, updates, waits, deletes, waits", async () => {
    const family = await t.define([container(serving)]);
    await aws(`ecs create-service --service-name cli --task-definition ${family} --desired-count 2`);
    await aws("ecs wait services-stable --services cli");
    assert.equal((await describeOne("cli")).runningCount, 2);
    await aws("ecs update-service --service cli --desired-count 3 --force-new-deployment");
    await aws("ecs wait services-stable --services cli");
    const service = await describeOne("cli");
    assert.equal(service.runningCount, 3);
    assert.equal(service.deployments!.length, 1);
    await becomes("cli", "its last word", ({ deployments, events }) => {
      const last = /has reached a steady state\.$|deployment completed\.$/;
      return deployments!.length === 1 && deployments![0]!.rolloutState === "COMPLETED" && last.test(events![0]!.message!);
    });
    await assert.rejects(aws("ecs delete-service --service cli"), /cannot be stopped while it is scaled above 0/);
    await aws("ecs delete-service --service cli --force");
    await aws("ecs wait services-inactive --services cli");
    assert.deepEqual(await t.ecs.send(new ListTasksCommand({ serviceName: "cli" })).then(({ taskArns }) => taskArns), []);
  });

  test("a service of 10 keeps its number under kill -9 for two minutes", async () => {
    const mark = randomUUID();
    await create("stubborn", { taskDefinition: await t.define([container(serving, mark)]), desiredCount: 10 });
    await waitUntilServicesStable(waiter(), { services: ["stubborn"] });
    await serve(mark, 10);
    const end = Date.now() + 120_000;
    let killed = 0;
    while (Date.now() < end) {
      const victims = await processes(mark);
      assert.ok(victims.length <= 20, `${victims.length} run, and at most 20 may`);
      const victim = victims[Math.floor(Math.random() * victims.length)];
      if (victim !== undefined) {
        process.kill(victim, "SIGKILL");
        killed++;
      }
      await sleep(500 + 1500 * Math.random());
    }
    // About a hundred; a look at all processes of a busy machine takes its time.
    assert.ok(killed >= 20, `${killed} were killed`);
    const service = await becomes("stubborn", "10 running", ({ runningCount, pendingCount }) => runningCount === 10 && pendingCount === 0);
    assert.equal(service.deployments!.length, 1);
    await serve(mark, 10);
    await removed("stubborn");
  });

  test("a rolling update never has fewer than its minimum nor more than its maximum", async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const settings = { deploymentConfiguration: { minimumHealthyPercent: 100, maximumPercent: 150 } };
    await create("rolling", { taskDefinition: await t.define([container(serving, first)]), desiredCount: 6, ...settings });
    await waitUntilServicesStable(waiter(), { services: ["rolling"] });
    await serve(first, 6);
    await t.ecs.send(new UpdateServiceCommand({ service: "rolling", taskDefinition: await t.define([container(serving, second)]) }));
    const seen: [number, number, number][] = [];
    for (;;) {
      const [old, fresh, later] = [(await processes(first)).length, (await processes(second)).length, (await processes(first)).length];
      seen.push([old, fresh, later]);
      if (old === 0 && fresh === 6) break;
      assert.ok(seen.length < 1000, JSON.stringify(seen.slice(-5)));
      await sleep(20);
    }
    // A look at all processes takes its time. The old ones only become fewer and the new ones more: so at some moment between two looks no more ran than
    // the earlier look at the old and the later at the new say together, and no fewer than the other way round.
    for (const [old, fresh, later] of seen) assert.ok(old + fresh >= 6 && fresh + later <= 9, JSON.stringify(seen));
    await waitUntilServicesStable(waiter(), { services: ["rolling"] });
    await eventually("what happened", async () =>
      assert.match(await gantry.gantry("why", "rolling"), /COMPLETED[\s\S]* s {2}created\n[\s\S]* s {2}completed\n/),
    );
    await removed("rolling");
  });

  test("a failing update is rolled back, and says why", async () => {
    const family = await t.define([container(serving)]);
    const deploymentConfiguration = { deploymentCircuitBreaker: { enable: true, rollback: true } };
    await create("guarded", { taskDefinition: family, desiredCount: 3, deploymentConfiguration });
    await waitUntilServicesStable(waiter(), { services: ["guarded"] });
    const good = (await describeOne("guarded")).taskDefinition;
    const broken = await t.define([container("echo 'the database is not there' >&2; exit 3")]);
    await t.ecs.send(new UpdateServiceCommand({ service: "guarded", taskDefinition: broken }));
    let fewest = 3;
    const service = await becomes("guarded", "the rollback", ({ deployments, runningCount, taskDefinition }) => {
      fewest = Math.min(fewest, runningCount ?? 0);
      return deployments!.length === 1 && deployments![0]!.rolloutState === "COMPLETED" && taskDefinition === good && runningCount === 3;
    });
    assert.equal(fewest, 3);
    const messages = service.events!.map(({ message }) => message).join("\n");
    assert.match(messages, /deployment failed: tasks failed to start/);
    assert.match(messages, /rolling back to deployment ecs-svc\/\d+/);
    const explained = await gantry.gantry("why", "guarded");
    assert.match(explained, /circuit breaker: tasks failed to start/);
    assert.match(explained, /exit code 3/);
    assert.match(explained, /\| the database is not there/);
    await removed("guarded");
  });

  test("what can't be placed is explained, instance by instance", async () => {
    await create("large", { taskDefinition: await t.define([{ ...container(serving), memory: 10_000_000 }]), desiredCount: 1 });
    const service = await becomes("large", "an event", ({ events }) => events!.length > 0);
    assert.match(
      service.events![0]!.message!,
      /was unable to place a task because no container instance met all of its requirements\. The closest matching \(container-instance [0-9a-f]{32}\) has insufficient memory available/,
    );
    assert.match(
      await gantry.gantry("why", "large"),
      /1 not placed since .*\n {2}RESOURCE:MEMORY: m?i-[0-9a-f]+: the task needs 10000000 MiB, \d+ of \d+ are free/,
    );
    await removed("large");
  });

  test("an unhealthy task is replaced", async () => {
    const mark = randomUUID();
    const healthCheck = { command: ["CMD-SHELL", "test ! -f /tmp/ill"], interval: 5, timeout: 20, retries: 1, startPeriod: 0 };
    await create("checked", { taskDefinition: await t.define([{ ...container(serving, mark), healthCheck }]), desiredCount: 1 });
    await waitUntilServicesStable(waiter(), { services: ["checked"] });
    const [pid] = await serve(mark, 1);
    await writeFile(`/proc/${pid}/root/tmp/ill`, "");
    await becomes("checked", "a replacement", ({ events }) =>
      events!.some(({ message }) => /failed container health checks/.test(message!)),
    );
    await eventually("another in its place", async () => {
      const { runningCount, pendingCount } = await describeOne("checked");
      assert.deepEqual([runningCount, pendingCount], [1, 0]);
      const now = await processes(mark);
      assert.equal(now.length, 1);
      assert.notEqual(now[0], pid);
    });
    await removed("checked");
  });

  test("a daemon service has one task on the instance", async () => {
    const mark = randomUUID();
    await create("daemon", { taskDefinition: await t.define([container(serving, mark)]), schedulingStrategy: "DAEMON" });
    await becomes("daemon", "its task", ({ desiredCount, runningCount }) => desiredCount === 1 && runningCount === 1);
    await serve(mark, 1);
    await removed("daemon");
  });
});
