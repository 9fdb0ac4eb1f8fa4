/** TLS and SNI, HTTP/2 on both sides, WebSockets, large and slow bodies, AWS's errors, TCP, access logs, a VPC's own network. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect as connectH2, createServer as createH2, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { request } from "node:http";
import { connect as connectTls } from "node:tls";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { freePort } from "../support/port.ts";
import { namespaces } from "../support/machine-state.ts";
import { until } from "../support/until.ts";
import { bench, certificate, forward, get, groupOf, quickCheck, single, web } from "./support.ts";

function handshake(port: number, servername: string, ALPNProtocols: string[] = []) {
  return new Promise<{ names: string | undefined; alpn: string | false | null; protocol: string | null }>((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, servername, ALPNProtocols, rejectUnauthorized: false }, () => {
      resolve({ names: socket.getPeerCertificate().subjectaltname, alpn: socket.alpnProtocol, protocol: socket.getProtocol() });
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

test("TLS: the certificate by the client's name, the default else; HTTP/2 to clients; certificates change without a failed request", async () => {
  await using one = await web("one", ({ url }, response) => setTimeout(() => response.end("one"), url === "/slow" ? 500 : 0));
  await using made = bench();
  const port = await freePort();
  const [first, second, wild] = [
    certificate(made.directory, "first.test"),
    certificate(made.directory, "second.test"),
    certificate(made.directory, "*.wild.test"),
  ];
  const apply = (certificates: (typeof first)[]) =>
    made.balancers.apply(
      single(port, [groupOf("g", [one])], { protocol: "HTTPS", certificates }, { accessLog: { bucket: "logs", prefix: "" } }),
    );
  await apply([first, second, wild]);
  await made.state(one.port, "healthy");
  assert.equal((await handshake(port, "second.test")).names, "DNS:second.test");
  assert.equal((await handshake(port, "a.wild.test")).names, "DNS:*.wild.test");
  assert.equal((await handshake(port, "other.test")).names, "DNS:first.test");
  assert.deepEqual((await handshake(port, "first.test", ["h2", "http/1.1"])).alpn, "h2");
  const client = connectH2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, servername: "first.test" });
  const ask = (path: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = client.request({ ":path": path, ":authority": "first.test" });
      let body = "";
      stream.on("response", (headers) => (body += `${headers[":status"]} `));
      stream.on("data", (part: Buffer) => (body += part.toString()));
      stream.once("end", () => resolve(body));
      stream.once("error", reject);
    });
  assert.deepEqual(
    await Promise.all(Array.from({ length: 20 }, () => ask("/h2?x=1"))),
    Array.from({ length: 20 }, () => "200 one"),
  );
  assert.equal(one.requests[0]?.headers["x-forwarded-proto"], "https");
  const slow = ask("/slow");
  await until("the slow request has arrived", () => one.requests.some(({ url }) => url === "/slow"));
  await apply([second]);
  assert.equal((await handshake(port, "first.test")).names, "DNS:second.test");
  assert.equal(await slow, "200 one", "what was under way on the connection of before comes to its end");
  client.destroy();
  const record = await until("an access record", () => made.access[0]);
  assert.match(
    record.line,
    /^h2 \S+Z app\/lb\/0 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ \d\.\d{3} \d\.\d{3} \d\.\d{3} 200 200 \d+ \d+ "GET https:\/\/first\.test(:\d+)?\/h2\?x=1 HTTP\/2\.0" "-" \S+ TLSv1\.3 g "Root=1-[^"]+" "first\.test" "certificate\/first\.test" 0 \S+Z "forward" "-" "-" "127\.0\.0\.1:\d+" "200" "-" "-" -$/,
  );
});

test("HTTP/2 and gRPC to targets, their health by gRPC's own codes", async () => {
  const target = createH2();
  let path = "";
  target.on("stream", (stream: ServerHttp2Stream, headers) => {
    if (headers[":path"] === "/AWS.ALB/healthcheck") {
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "12" }, { endStream: true });
      return;
    }
    path = `${headers[":method"]} ${headers[":path"]} ${headers.te}`;
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end("answer");
  });
  await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
  const at = { port: (target.address() as AddressInfo).port };
  await using made = bench();
  try {
    const port = await freePort();
    const { interval, timeout } = quickCheck;
    const group = groupOf("g", [at], { protocolVersion: "GRPC", healthCheck: { interval, timeout, matcher: "0,12" } });
    await made.balancers.apply(single(port, [group], { protocol: "HTTPS", certificates: [certificate(made.directory, "grpc.test")] }));
    await made.state(at.port, "healthy");
    const client = connectH2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const stream = client.request({ ":method": "POST", ":path": "/pkg.Service/Call", "content-type": "application/grpc", te: "trailers" });
    let body = "";
    stream.on("data", (part: Buffer) => (body += part.toString()));
    const [trailers, end] = [once(stream, "trailers"), once(stream, "end")];
    stream.end("question");
    assert.equal(((await trailers) as [Record<string, string>])[0]["grpc-status"], "0");
    await end;
    assert.deepEqual([body, path], ["answer", "POST /pkg.Service/Call trailers"]);
    client.destroy();
    await made.balancers.apply(single(port, [{ ...group, healthCheck: { ...group.healthCheck, matcher: "5" } }], { protocol: "HTTP" }));
    await made.state(at.port, "unhealthy");
  } finally {
    target.close();
  }
});

test("WebSockets pass, and outlive a reload", async () => {
  await using one = await web("one");
  const sockets = new WebSocketServer({ server: one.server });
  sockets.on("connection", (socket) => socket.on("message", (data: Buffer) => socket.send(`echo ${data.toString()}`)));
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [one])]));
  await made.state(one.port, "healthy");
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket`);
  await once(client, "open");
  const echo = async (text: string) => {
    const answer = once(client, "message") as Promise<[Buffer]>;
    client.send(text);
    return (await answer)[0].toString();
  };
  assert.equal(await echo("a"), "echo a");
  await made.balancers.apply(single(port, [groupOf("g", [one])], {}, { idleTimeout: 61 }));
  assert.equal(await echo("b"), "echo b");
  assert.equal(made.balancers.pids().length, 2, "the old process carries it to its end");
  client.terminate();
  await until("then the old process goes", () => made.balancers.pids().length === 1);
});

test("large and slow bodies pass both ways; a target that does not answer in time is 504, one that talks nonsense 502, one that refuses 502", async () => {
  await using one = await web("one", (incoming, response) => {
    if (incoming.url === "/silent") return;
    if (incoming.url === "/nonsense") return void incoming.socket.end("nonsense\r\n\r\n");
    incoming.pipe(response);
  });
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [one])], {}, { idleTimeout: 5 }));
  await made.state(one.port, "healthy");
  const large = "x".repeat(20_000_000);
  assert.equal((await get(port, "/", { method: "POST", body: large })).body.length, large.length);
  const slow = await new Promise<string>((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method: "POST", path: "/" }, (response) => {
      let body = "";
      response.on("data", (part: Buffer) => (body += part.toString()));
      response.once("end", () => resolve(body));
    });
    outgoing.once("error", reject);
    let left = 12;
    const timer = setInterval(() => {
      if (left-- > 0) outgoing.write(`${left},`);
      else {
        clearInterval(timer);
        outgoing.end();
      }
    }, 500);
  });
  assert.equal(slow, "11,10,9,8,7,6,5,4,3,2,1,0,", "longer than the idle timeout in all, never idle for so long");
  const silent = await get(port, "/silent");
  assert.deepEqual([silent.status, /<h1>504 Gateway Time-out<\/h1>/.test(silent.body)], [504, true]);
  const nonsense = await get(port, "/nonsense", { method: "POST" });
  assert.deepEqual([nonsense.status, /<h1>502 Bad Gateway<\/h1>/.test(nonsense.body)], [502, true]);
  const closed = { port: await freePort() };
  await made.balancers.apply(single(port, [groupOf("h", [closed], { healthCheck: { disabled: true } })]));
  const refused = await get(port, "/");
  assert.deepEqual([refused.status, /<h1>502 Bad Gateway<\/h1>/.test(refused.body), refused.headers.server], [502, true, "awselb/2.0"]);
});

/** What comes next; an end or a minute of silence are an error. */
const heard = (socket: Socket) =>
  new Promise<string>((resolve, reject) => {
    socket.once("data", (data: Buffer) => resolve(data.toString()));
    socket.once("close", () => reject(new Error("closed")));
    socket.setTimeout(60_000, () => reject(new Error("silent")));
  });

test("a network load balancer: TCP and TLS to TCP targets, fail-over, draining that lets connections be", async () => {
  const echo = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const at = { port: (echo.address() as AddressInfo).port };
  await using made = bench();
  try {
    const [port, tls] = [await freePort(), await freePort()];
    const snapshot = (targets: { port: number }[]) => {
      const group = groupOf("g", targets, {
        protocol: "TCP",
        deregistrationDelay: 1,
        healthCheck: { protocol: "TCP", interval: 0.2, unhealthyThreshold: 2 },
      });
      const secure = { id: "tls", port: tls, protocol: "TLS", certificates: [cert], defaultAction: forward("g") } as const;
      const base = single(port, [group], { protocol: "TCP" }, { kind: "network", accessLog: { bucket: "logs", prefix: "" } });
      return { ...base, loadBalancers: base.loadBalancers.map((each) => ({ ...each, listeners: [...each.listeners, secure] })) };
    };
    const cert = certificate(made.directory, "tcp.test");
    await made.balancers.apply(snapshot([at]));
    await made.state(at.port, "healthy");
    const plain = connect(port, "127.0.0.1");
    plain.write("hello");
    assert.equal(await heard(plain), "hello");
    const secure = connectTls({ host: "127.0.0.1", port: tls, rejectUnauthorized: false });
    secure.write("secret");
    assert.equal(await heard(secure), "secret");
    secure.destroy();
    const record = await until("an access record", () => made.access[0]);
    assert.deepEqual([record.listenerId, record.target, record.receivedBytes], ["tls", `127.0.0.1:${at.port}`, 6]);
    await made.balancers.apply(snapshot([]));
    await until("drained", () => made.events.some(({ reason }) => reason === "Target.NotRegistered"));
    plain.write("still here");
    assert.equal(await heard(plain), "still here");
    plain.destroy();
    const refused = connect(port, "127.0.0.1");
    refused.on("error", () => {});
    await once(refused, "close");
  } finally {
    echo.close();
  }
});

test("targets in a VPC's own network: reached from the load balancer's address there, also when the namespace is made anew", async () => {
  const name = `haproxy-test-${process.pid}`;
  const script = `
    require("node:http").createServer((request, response) => response.end(request.socket.remoteAddress)).listen(8080, "10.99.0.7");`;
  const open = () => {
    execFileSync("ip", ["netns", "add", name]);
    for (const args of [
      ["link", "set", "lo", "up"],
      ["addr", "add", "10.99.0.7/32", "dev", "lo"],
      ["addr", "add", "10.99.0.50/32", "dev", "lo"],
    ])
      execFileSync("ip", ["-n", name, ...args]);
    return spawn("nsenter", [`--net=/run/netns/${name}`, process.execPath, "-e", script], { stdio: "inherit" });
  };
  await using made = bench();
  let child = open();
  try {
    const port = await freePort();
    const group = { ...groupOf("g", []), targets: [{ address: "10.99.0.7", port: 8080 }], healthCheck: { ...quickCheck, path: "/" } };
    await made.balancers.apply(single(port, [group], {}, { network: { namespace: name, source: "10.99.0.50" } }));
    await made.state(8080, "healthy");
    assert.equal((await get(port)).body, "10.99.0.50");
    child.kill("SIGKILL");
    execFileSync("ip", ["netns", "del", name]);
    child = open();
    await until("found in the new namespace", () =>
      get(port).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  } finally {
    child.kill("SIGKILL");
    execFileSync("ip", ["netns", "del", name]);
  }
  await made.balancers.tearDown();
  const mark = createHash("sha256").update(made.directory).digest("hex").slice(0, 10);
  assert.ok(!namespaces().includes(`gantry-lb-${mark}`));
});
