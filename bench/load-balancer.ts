/**
 * The load balancer: requests a second and 99th percentile through ours, against the same HAProxy with a configuration written by hand and against
 * nginx; how soon a registered target serves; a change of one target among 200 groups, 2,000 targets and 1,000 rules, and the memory they take.
 * `node bench/load-balancer.ts`, as root.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Rule, Snapshot, TargetGroup } from "#load-balancer/config.ts";
import { createLoadBalancers } from "#load-balancer/load-balancers.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { answers, end, freePort, median, missing, report, round, run, temporary } from "./support.ts";

const keepAlive = setInterval(() => {}, 1000);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
await using home = await temporary("load-balancer");
const has = (name: string) =>
  run("which", [name]).then(
    () => true,
    () => false,
  );
const children: ChildProcess[] = [];
const balancers = createLoadBalancers({ directory: join(home.path, "lb"), clock: systemClock, log: silentLogger, threads: 1 });

/** Two quick targets: HAProxy itself answers, as no other server here is fast enough to show the difference. */
async function targets(count: number): Promise<number[]> {
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const file = join(home.path, `targets-${ports[0]}.cfg`);
  const text = [
    "global", "  nbthread 1", "defaults", "  mode http", "  timeout client 60s", "  timeout connect 5s", "  timeout server 60s",
    ...ports.flatMap((port) => [`frontend f${port}`, `  bind 127.0.0.1:${port}`, `  http-request return status 200 content-type text/plain string ${port}`]),
  ]; // prettier-ignore
  writeFileSync(file, `${text.join("\n")}\n`);
  children.push(spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" }));
  await Promise.all(ports.map((port) => answers(`http://127.0.0.1:${port}/`, 5000)));
  return ports;
}

interface Measured {
  readonly rate: number;
  readonly p99: number;
}

async function wrk(port: number, path = "/"): Promise<Measured> {
  const { stdout } = await run("wrk", ["-t1", "-c32", "-d1s", "--latency", `http://127.0.0.1:${port}${path}`]);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  const [, value, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  if (/Non-2xx/.test(stdout)) throw new Error(stdout);
  return { rate, p99: Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit as "us"] ?? 1) };
}

const group = (id: string, ports: readonly number[], more: Partial<TargetGroup> = {}): TargetGroup => ({
  id,
  protocol: "HTTP",
  healthCheck: { path: "/", interval: 5 },
  targets: ports.map((port) => ({ address: "127.0.0.1", port })),
  ...more,
});
const one = (port: number, targetGroups: readonly TargetGroup[], rules: readonly Rule[] = []): Snapshot => ({
  loadBalancers: [
    {
      id: "lb",
      name: "app/lb/0",
      kind: "application",
      addresses: ["127.0.0.1"],
      listeners: [
        { id: "listener", port, protocol: "HTTP", defaultAction: { type: "forward", targetGroups: [{ id: targetGroups[0]!.id }] }, rules },
      ],
    },
  ],
  targetGroups,
});
async function healthy(count: number): Promise<void> {
  for (let i = 0; i < 3000 && balancers.health().filter(({ state }) => state === "healthy").length < count; i++) await pause(5);
}

try {
  const ports = await targets(2);
  const ours = await freePort();
  await balancers.apply(one(ours, [group("g", ports)]));
  await healthy(2);

  const byHand = await freePort();
  const trace =
    "1-%[date,hex,bytes(8,8)]-%[rand(4294967295),hex,bytes(8,8)]%[rand(4294967295),hex,bytes(8,8)]%[rand(4294967295),hex,bytes(8,8)]";
  const handFile = join(home.path, "hand.cfg");
  const hand = [
    "global", "  nbthread 1", "defaults", "  mode http", "  timeout client 60s", "  timeout connect 10s", "  timeout server 60s",
    "frontend f", `  bind 127.0.0.1:${byHand}`, "  option forwardfor", "  http-request set-header X-Forwarded-Proto http",
    `  http-request set-header X-Forwarded-Port ${byHand}`, `  http-request set-header X-Amzn-Trace-Id "Root=${trace}" unless { req.hdr(X-Amzn-Trace-Id) -m found }`,
    "  default_backend b", "backend b", "  balance roundrobin", "  option redispatch 1", "  option httpchk GET /",
    ...ports.map((port) => `  server t${port} 127.0.0.1:${port} check inter 5s`),
  ]; // prettier-ignore
  writeFileSync(handFile, `${hand.join("\n")}\n`);
  children.push(spawn("haproxy", ["-db", "-f", handFile], { stdio: "ignore" }));
  await answers(`http://127.0.0.1:${byHand}/`, 5000);

  const nginx = (await has("nginx")) ? await freePort() : undefined;
  if (nginx !== undefined) {
    const file = join(home.path, "nginx.conf");
    const servers = ports.map((port) => `server 127.0.0.1:${port};`).join(" ");
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${home.path}/nginx.pid; error_log ${home.path}/nginx.log; events { worker_connections 1024; }
http { access_log off; client_body_temp_path ${home.path}/b; proxy_temp_path ${home.path}/p; fastcgi_temp_path ${home.path}/f; uwsgi_temp_path ${home.path}/u; scgi_temp_path ${home.path}/s;
upstream t { ${servers} keepalive 64; } server { listen 127.0.0.1:${nginx}; location / { proxy_pass http://t; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto http; proxy_set_header X-Forwarded-Port ${nginx}; proxy_set_header X-Amzn-Trace-Id "Root=1-$request_id"; } } }\n`,
    );
    children.push(spawn("nginx", ["-c", file], { stdio: "ignore" }));
    await answers(`http://127.0.0.1:${nginx}/`, 5000);
  } else missing("load balancer: requests through it", "nginx");

  const rounds: { ours: Measured; hand: Measured; nginx: Measured | undefined }[] = [];
  for (let i = 0; i < 12; i++) {
    const [a, b, c] = [await wrk(ours), await wrk(byHand), nginx === undefined ? undefined : await wrk(nginx)];
    rounds.push({ ours: a, hand: b, nginx: c });
  }
  // The least disturbed round of each: other work on the machine only ever takes away.
  const of = (which: "ours" | "hand" | "nginx", what: keyof Measured) => {
    const values = rounds.flatMap((each) => each[which]?.[what] ?? []);
    return what === "rate" ? Math.max(...values) : Math.min(...values);
  };
  for (const [peer, peerName, least] of [
    ["hand", "HAProxy by hand", 0.95],
    ["nginx", "nginx", 1],
  ] as const) {
    if (peer === "nginx" && nginx === undefined) continue;
    report({
      bench: `load balancer: requests a second, against ${peerName}`,
      ours: of("ours", "rate"),
      peer: of(peer, "rate"),
      peerName,
      unit: "/s",
      bound: { least },
    });
    report({
      bench: `load balancer: 99th percentile, against ${peerName}`,
      ours: of("ours", "p99"),
      peer: of(peer, "p99"),
      peerName,
      unit: "ms",
      bound: { most: 1 / least },
    });
  }

  const [more] = await targets(1);
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const port = await freePort();
    const fresh = group(`fresh${i}`, [], { deregistrationDelay: 1 });
    await balancers.apply(one(port, [fresh]));
    const started = performance.now();
    await balancers.apply(one(port, [{ ...fresh, targets: [{ address: "127.0.0.1", port: more! }] }]));
    for (;;) {
      if ((await fetch(`http://127.0.0.1:${port}/`)).status === 200) break;
      await pause(1);
    }
    times.push(performance.now() - started);
  }
  report({
    bench: "load balancer: register target to first request served",
    ours: median(times),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 250 },
  });

  // 200 groups of 10, all on the same ten servers, and 1,000 rules, a tenth of them with wildcards that no map holds.
  const port = await freePort();
  const ten = await targets(10);
  const groups = Array.from({ length: 200 }, (_, g) =>
    group(`g${g}`, [], {
      targets: Array.from({ length: 10 }, (_each, t) => ({ address: "127.0.0.1", port: ten[t]! })),
      healthCheck: { disabled: g >= 100, path: "/", interval: 30 },
      deregistrationDelay: 0,
    }),
  );
  const rules = Array.from({ length: 1000 }, (_, r): Rule => {
    const action = {
      type: "forward",
      targetGroups: [
        { id: `g${20 + (r % 180)}`, weight: 1 },
        { id: `g${20 + ((r + 1) % 180)}`, weight: 1 },
      ],
    } as const;
    const host = { field: "host-header", values: [`h${r}.test`] } as const;
    const path = { field: "path-pattern", values: [r % 10 === 0 ? `/p${r}/*/x` : `/p${r}/*`] } as const;
    return { id: `r${r}`, priority: r + 1, conditions: r % 2 ? [host, path] : [path], action };
  });
  const whole = (list: readonly TargetGroup[]) => one(port, list, rules);
  const begun = performance.now();
  await balancers.apply(whole(groups));
  process.stdout.write(`     200 groups, 2,000 targets, 1,000 rules from nothing: ${round(performance.now() - begun)} ms\n`);
  await healthy(2000);
  const pid = balancers.pids()[0]!;
  const changes: number[] = [];
  for (let i = 0; i < 15; i++) {
    const list = groups.map((each, g) => (g === 7 ? { ...each, targets: i % 2 ? each.targets : each.targets.slice(1) } : each));
    const started = performance.now();
    await balancers.apply(whole(list));
    changes.push(performance.now() - started);
  }
  report({
    bench: "load balancer: one target of 2,000 changed",
    ours: median(changes),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 100 },
  });
  const memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  report({
    bench: "load balancer: HAProxy's memory with 200 groups, 2,000 targets, 1,000 rules",
    ours: memory,
    peer: undefined,
    peerName: "",
    unit: "MiB",
    bound: { most: 300 },
  });
  if (balancers.pids()[0] !== pid) throw new Error("a change of a target has reloaded HAProxy");
  const full = await wrk(port, "/p202/a");
  process.stdout.write(`     requests a second with all of it: ${round(full.rate)}, 99th percentile ${round(full.p99)} ms\n`);
} finally {
  clearInterval(keepAlive);
  await balancers.tearDown();
  for (const each of children) await end(each);
}
