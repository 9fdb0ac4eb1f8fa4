/** A task's proxy as the agent configures it, with HAProxy itself: who is asked, who is left out, and what is counted. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { createServer, request, type RequestListener, type Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { connect, createServer as createTcp, type AddressInfo, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { endpointsText, proxyConfiguration } from "#agent/service-connect/configuration.ts";
import { metricsBetween, parseCounters } from "#agent/service-connect/metrics.ts";
import { redirectText } from "#agent/network/service-connect.ts";
import type { ConnectProtocol, PayloadConnectAlias, PayloadServiceConnect } from "#agent-protocol/service-connect.ts";
import { freePort } from "../support/port.ts";
import { until } from "../support/until.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const aliasOf = (protocol: ConnectProtocol, port: number, more: Partial<PayloadConnectAlias> = {}): PayloadConnectAlias => ({
  hostname: `name-${port}`,
  address: "127.255.0.1",
  port,
  protocol,
  service: `srv-${port}`,
  dimensions: { discoveryName: "web", serviceName: "web", clusterName: "shop" },
  ...more,
});

class Proxy {
  readonly directory = mkdtempSync(join(tmpdir(), "gantry-proxy-"));
  readonly connect: PayloadServiceConnect;
  #child: ChildProcess | undefined;
  #log = "";

  constructor(aliases: readonly PayloadConnectAlias[]) {
    this.connect = { container: "proxy", aliases, ingress: [] };
  }

  /** `outS`: for how long one that failed is left out the first time. */
  async start(outS: number): Promise<void> {
    const text = proxyConfiguration(this.connect, {
      directory: this.directory,
      bind: ({ address, port }) => `${address}:${port}`,
      slots: () => 4,
    });
    writeFileSync(join(this.directory, "haproxy.cfg"), text);
    const script = readFileSync(new URL("../../src/agent/service-connect/proxy.lua", import.meta.url), "utf8");
    const soon = script.replace("base_s, longest_s = 30, 300", `base_s, longest_s = ${outS}, ${2 * outS}`);
    assert.notEqual(soon, script);
    writeFileSync(join(this.directory, "proxy.lua"), soon);
    // Two of them on one machine must not meet at one abstract name: each in a network of its own would be a test of less.
    const own = text.replace("abns@service-connect", `abns@${this.directory}`);
    writeFileSync(join(this.directory, "haproxy.cfg"), own);
    this.#child = spawn("haproxy", ["-db", "-f", join(this.directory, "haproxy.cfg")], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) stream.on("data", (data: Buffer) => (this.#log += data.toString()));
    await until(`it is ready: ${this.#log.slice(-2000)}`, () => existsSync(join(this.directory, "ready")));
  }

  /** By service: ports on this machine. */
  endpoints(ports: Readonly<Record<string, readonly number[]>>): void {
    const text = endpointsText(this.connect.aliases, (service) => (ports[service] ?? []).map((port) => ({ address: "127.0.0.1", port })));
    writeFileSync(join(this.directory, "endpoints.new"), text);
    renameSync(join(this.directory, "endpoints.new"), join(this.directory, "endpoints"));
  }

  counters = () =>
    parseCounters(existsSync(join(this.directory, "counters")) ? readFileSync(join(this.directory, "counters"), "utf8") : "");

  /** When it has counted so many requests of its only alias and so many answers of targets: the one is counted before the other. */
  counted = (requests: number, answers: number) =>
    until(`${requests} requests, ${answers} answers`, () => {
      const all = this.counters();
      const { requests: asked = 0, codes = [], connections = 0 } = all.get(0) ?? {};
      const answered = codes.reduce((sum, each) => sum + each, 0);
      return asked >= requests && answered >= answers && connections === 0 ? all : undefined;
    });

  async stop(): Promise<void> {
    if (this.#child && this.#child.exitCode === null) {
      this.#child.kill("SIGUSR1");
      const [code] = (await once(this.#child, "exit")) as [number];
      assert.equal(code, 0, this.#log.slice(-1000));
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const opened: { close(): void }[] = [];
let proxy: Proxy | undefined;
const portOf = (server: Server | TcpServer) => (server.address() as AddressInfo).port;
async function serve(handler: RequestListener): Promise<number> {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push({ close: () => (server.close(), server.closeAllConnections()) });
  return portOf(server);
}
const named =
  (name: string): RequestListener =>
  (_request, response) =>
    response.end(name);
async function open(alias: PayloadConnectAlias, ports: readonly number[], outS = 1): Promise<Proxy> {
  proxy = new Proxy([alias]);
  proxy.endpoints({ [alias.service]: ports });
  await proxy.start(outS);
  return proxy;
}
function ask({ address, port }: PayloadConnectAlias, method = "GET"): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ host: address, port, method, agent: false }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => (text += data.toString()));
      response.on("end", () => resolve(`${response.statusCode} ${text.split("\n")[0]}`));
    });
    asked.on("error", (error) => resolve(error.message));
    asked.end();
  });
}
const asks = async (alias: PayloadConnectAlias, count: number) => {
  const answers: string[] = [];
  for (let at = 0; at < count; at++) answers.push(await ask(alias));
  return answers;
};
const tally = (answers: readonly string[]) =>
  Object.fromEntries(
    Map.groupBy(answers, (each) => each)
      .entries()
      .map(([key, all]) => [key, all.length]),
  );

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
  for (const server of opened.splice(0)) server.close();
});

describe("a proxy", () => {
  test("asks each in turn; who comes is asked, who goes is not, without a request lost", async () => {
    const alias = aliasOf("http", await freePort());
    const [a, b, c] = [await serve(named("a")), await serve(named("b")), await serve(named("c"))];
    const running = await open(alias, [a, b]);
    assert.deepEqual(tally(await asks(alias, 10)), { "200 a": 5, "200 b": 5 });
    let over = false;
    const all: string[] = [];
    const load = (async () => {
      while (!over) all.push(await ask(alias));
    })();
    await until("the first answers under load", () => all.includes("200 a"));
    running.endpoints({ [alias.service]: [b, c] });
    await until("the one who came is asked", () => all.includes("200 c"));
    await sleep(400);
    over = true;
    await load;
    assert.deepEqual(tally(await asks(alias, 10)), { "200 b": 5, "200 c": 5 });
    assert.deepEqual(Object.keys(tally(all)).toSorted(), ["200 a", "200 b", "200 c"]);
  });

  test("one that refuses connections costs nobody an answer", async () => {
    const alias = aliasOf("http", await freePort());
    await open(alias, [await serve(named("a")), await freePort()]);
    assert.deepEqual(tally(await asks(alias, 30)), { "200 a": 30 });
  });

  test("one that breaks off: a request that changes nothing goes to another, one that may have is not repeated", async () => {
    const alias = aliasOf("http", await freePort());
    let posts = 0;
    const broken = await serve((asked) => {
      if (asked.method === "POST") posts++;
      asked.socket.destroy();
    });
    await open(alias, [broken, await serve(named("a"))]);
    assert.deepEqual(tally(await asks(alias, 4)), { "200 a": 4 });
    const answers = [await ask(alias, "POST"), await ask(alias, "POST")];
    assert.equal(answers.filter((answer) => answer === "200 a").length, 1, answers.join());
    assert.equal(posts, 1);
  });

  test("five errors in a row, and a task is left out for a while", async () => {
    const alias = aliasOf("http", await freePort());
    let sick = true;
    let bad = 0;
    const failing = await serve((_request, response) => {
      if (sick) bad++;
      response.writeHead(sick ? 500 : 200).end("sick");
    });
    // Longer than twelve requests take on a busy machine.
    await open(alias, [failing, await serve(named("a"))], 6);
    await asks(alias, 12);
    assert.equal(bad, 5);
    sick = false;
    await until("it is asked again", async () => (await ask(alias)) === "200 sick");
    assert.deepEqual(tally(await asks(alias, 10)), { "200 a": 5, "200 sick": 5 });
  });

  test("but never more than half of them", async () => {
    const alias = aliasOf("http", await freePort());
    const failing: RequestListener = (_request, response) => response.writeHead(500).end("bad");
    await open(alias, [await serve(failing), await serve(failing)]);
    await asks(alias, 12);
    await sleep(500);
    assert.deepEqual(tally(await asks(alias, 4)), { "500 bad": 4 });
  });

  test("none: 503", async () => {
    const alias = aliasOf("http", await freePort());
    await open(alias, []);
    assert.match(await ask(alias), /^503 /);
  });

  test("a request has the seconds that its service gives it", async () => {
    const alias = aliasOf("http", await freePort(), { perRequestTimeoutSeconds: 1 });
    await open(alias, [await serve(() => {})]);
    const began = Date.now();
    assert.match(await ask(alias, "POST"), /^504 /);
    // It would be fifteen without that.
    assert.ok(Date.now() - began < 2000);
  });

  test("tcp, whatever is said", async () => {
    const alias = aliasOf("tcp", await freePort());
    const server = createTcp((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    opened.push(server);
    await open(alias, [portOf(server)]);
    const socket = connect(alias.port, alias.address);
    socket.write("\u0001echo");
    const [data] = (await once(socket, "data")) as [Buffer];
    assert.equal(data.toString(), "\u0001echo");
    socket.destroy();
  });

  test("HTTP/2 without TLS, with trailers as gRPC has them", async () => {
    const alias = aliasOf("grpc", await freePort());
    const server = createHttp2().listen(0, "127.0.0.1");
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end("frame");
    });
    await once(server, "listening");
    opened.push(server);
    await open(alias, [(server.address() as AddressInfo).port]);
    const session = connectHttp2(`http://${alias.address}:${alias.port}`);
    const stream = session.request({ ":path": "/x.Y/Z", ":method": "POST" });
    const trailers = once(stream, "trailers") as Promise<[Record<string, string>]>;
    stream.resume().end("ask");
    assert.equal((await trailers)[0]["grpc-status"], "0");
    session.close();
  });

  test("counts, in AWS's names", async () => {
    const alias = aliasOf("http", await freePort());
    let count = 0;
    await open(alias, [await serve((_request, response) => response.writeHead(count++ % 2 ? 404 : 200).end("x"))]);
    await asks(alias, 6);
    const [wrapper, ...more] = metricsBetween([alias], new Map(), await proxy!.counted(6, 6));
    assert.deepEqual(more, []);
    const values = Object.fromEntries(wrapper!.generalMetrics.map(({ metricName, metricValues }) => [metricName, metricValues[0]]));
    assert.equal(values.RequestCount, 6);
    assert.equal(values.NewConnectionCount, 6);
    assert.equal(values.HTTPCode_Target_2XX_Count, 3);
    assert.equal(values.HTTPCode_Target_4XX_Count, 3);
    assert.ok((values.ProcessedBytes ?? 0) > 100);
    assert.deepEqual(wrapper!.dimensions.at(-1), { key: "DiscoveryName", value: "web" });
    assert.deepEqual(metricsBetween([alias], proxy!.counters(), proxy!.counters()), []);
    // What the proxy answers for a target that is not there is no answer of a target, and took none of its time.
    proxy!.endpoints({ [alias.service]: [await freePort()] });
    let asked = 6;
    let answered = 6;
    // Until it has looked, the target of before answers.
    for (const end = Date.now() + 60_000; ; await sleep(50)) {
      const answer = await ask(alias);
      asked++;
      if (answer === "503 <html><body><h1>503 Service Unavailable</h1>") break;
      assert.ok(/^(200|404) x$/.test(answer) && Date.now() < end, answer);
      answered++;
    }
    const before = await proxy!.counted(asked, answered);
    assert.match(await ask(alias), /^503 /);
    const [failed] = metricsBetween([alias], before, await proxy!.counted(asked + 1, answered));
    assert.deepEqual(
      failed!.generalMetrics.filter(({ metricName }) => /RequestCount|Target/.test(metricName)),
      [{ metricName: "RequestCount", metricValues: [1], metricCounts: [1] }],
    );
  });
});

test("a proxy that started anew counts from nothing", () => {
  const alias = aliasOf("tcp", 1);
  const before = parseCounters("b0 0 100 5 5 0 0 0 0 0 0 0\n");
  const now = parseCounters("b0 2 3 10 20 0 0 0 0 0 0 0\nsomething else\n");
  const [wrapper] = metricsBetween([alias], before, now);
  assert.deepEqual(
    wrapper!.generalMetrics.map(({ metricName, metricValues }) => [metricName, metricValues[0]]),
    [
      ["ActiveConnectionCount", 2],
      ["NewConnectionCount", 3],
      ["ProcessedBytes", 30],
    ],
  );
});

test("a redirection for each alias, in a table of its own", () => {
  const text = redirectText([
    { address: "127.255.0.1", port: 80, to: 61001 },
    { address: "127.255.0.2", port: 80, to: 61002 },
  ]);
  assert.ok(text.includes("elements = { 127.255.0.1 . 80 : 127.0.0.1 . 61001, 127.255.0.2 . 80 : 127.0.0.1 . 61002 }"), text);
});
