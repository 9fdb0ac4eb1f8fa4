/** The HTTP side of the front door, by bytes on the wire: what clients that are no SDK do to it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { WebSocket } from "ws";
import type { Handler, ServerPart } from "#api/contract.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer, type TestServer } from "#test/support/http.ts";

const target = "AmazonEC2ContainerServiceV20141113.ListClusters";
let server: TestServer;
let broken = false;
let aborted: Promise<unknown> | undefined;
const gone = Promise.withResolvers<void>();

const parts = (): ServerPart[] => [
  {
    registrations: [
      {
        service: "ecs",
        handlers: {
          ListClusters: () => ({ clusterArns: ["a"] }),
          async DescribeClusters(_input: never, { signal }: Parameters<Handler>[1]) {
            aborted = once(signal, "abort");
            gone.resolve();
            await aborted;
            return {};
          },
        } as Readonly<Record<string, Handler>>,
      },
    ],
    routes: [
      {
        prefix: "/v2/",
        async handle(request, response, { path, query }) {
          let length = 0;
          for await (const chunk of request) length += (chunk as Buffer).length;
          response.end(JSON.stringify({ path, q: query.get("q"), length }));
        },
      },
      { prefix: "/v2/special", handle: async (_request, response) => void response.end("special") },
      {
        prefix: "/fails",
        async handle() {
          throw new Error("a secret of the server");
        },
      },
    ],
    upgrades: [
      {
        prefix: "/ws",
        need: (_query, { account }) => ({ action: "ecs:Poll", resources: ["*"], account, keys: {} }),
        upgrade: (_request, socket) => socket.end("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
      },
    ],
    async status() {
      if (broken) throw new Error("the disk is gone");
      return { name: "test", detail: "fine" };
    },
  },
];

before(async () => (server = await startServer({ open: true, parts: (deps) => [...parts(), createSts(deps)] })));
after(() => server.close());

/** Sends the bytes, reads until the server ends the connection or `until` has come. */
async function send(bytes: string | Buffer, until?: RegExp): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(bytes);
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    if (until?.test(text)) break;
  }
  socket.destroy();
  return text;
}

const post = (headers: string, body = "{}") =>
  `POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.1\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

const alive = async () => assert.match(await send(post(`x-amz-target: ${target}\r\n`)), /^HTTP\/1\.1 200 OK[^]*"clusterArns":\["a"\]/);

describe("raw routes", () => {
  const get = async (path: string) => (await fetch(`${server.endpoint}${path}`)).text();
  test("the longest prefix wins, the path stays undecoded, /v2 is /v2/", async () => {
    assert.deepEqual(
      JSON.parse(
        await send("GET /v2/a%2Fb/..%2f/x?q=1%202 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").then(
          (text) => text.split("\r\n\r\n")[1]!.match(/\{.*\}/)![0],
        ),
      ),
      {
        path: "/v2/a%2Fb/..%2f/x",
        q: "1 2",
        length: 0,
      },
    );
    assert.equal(await get("/v2/special/x"), "special");
    assert.match(await get("/v2"), /"path":"\/v2"/);
  });
  test("a route that fails gives 500, says nothing of why, and counts", async () => {
    const response = await fetch(`${server.endpoint}/fails`);
    assert.equal(response.status, 500);
    assert.match(response.headers.get("x-amzn-requestid") ?? "", /^[0-9a-f-]{36}$/);
    assert.doesNotMatch(await response.text(), /secret/);
    assert.match(await get("/metrics"), /gantry_requests_total\{service="http",operation="\/fails",status="500"\} 1/);
  });
  test("the front door's own paths are exact: /metricsx is nobody's", async () => {
    assert.match(await get("/metricsx"), /UnknownOperationException/);
  });
});

describe("health", () => {
  test("a part that fails when asked is named, the rest goes on", async () => {
    assert.equal((await fetch(`${server.endpoint}/healthz`)).status, 200);
    broken = true;
    try {
      const response = await fetch(`${server.endpoint}/_gantry/status`);
      assert.equal(response.status, 503);
      const { ok, parts: all } = (await response.json()) as { ok: boolean; parts: { name: string; problem?: string }[] };
      assert.equal(ok, false);
      assert.deepEqual(all[0], { name: "ecs", detail: "failed", problem: "the disk is gone" });
    } finally {
      broken = false;
    }
  });
  test("reset wants POST", async () => assert.equal((await fetch(`${server.endpoint}/_gantry/reset`)).status, 405));
});

describe("HTTP", () => {
  test("Expect: 100-continue is answered before the body is sent, but not for a body that is too long", async () => {
    const head = (length: number) =>
      `POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-amz-target: ${target}\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`;
    assert.match(await send(head(2), /\r\n\r\n/), /^HTTP\/1\.1 100 Continue/);
    const refused = await send(head(20_000_000), /\}/);
    assert.match(refused, /^HTTP\/1\.1 413 /);
    assert.match(refused, /RequestEntityTooLargeException/);
  });
  test("a chunked body that grows too long is cut off with 413", async () => {
    const chunk = `${(1 << 20).toString(16)}\r\n${"x".repeat(1 << 20)}\r\n`;
    const text = await send(
      `POST / HTTP/1.1\r\nhost: h\r\nx-amz-target: ${target}\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(12)}0\r\n\r\n`,
      /\}/,
    );
    assert.match(text, /^HTTP\/1\.1 413 /);
    await alive();
  });
  test("HEAD has no body, a proxy's absolute form counts by its path", async () => {
    assert.doesNotMatch(await send("HEAD /nothing HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"), /\{/);
    assert.match(await send("GET http://elsewhere:1/healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"), /^HTTP\/1\.1 200 /);
  });
  test("an offer of HTTP/2 is not taken, and does no harm", async () => {
    assert.match(
      await send(
        post(`x-amz-target: ${target}\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n`).replace(
          "connection: close",
          "connection: Upgrade, HTTP2-Settings, close",
        ),
        /\}/,
      ),
      /^HTTP\/1\.1 200 /,
    );
  });
  test("headers that are too long get 431", async () => {
    assert.match(await send(`GET / HTTP/1.1\r\nx: ${"y".repeat(80_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  });
  test("a handler hears that its client has gone", async () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(post(`x-amz-target: ${target.replace("List", "Describe")}\r\n`));
    await gone.promise;
    socket.destroy();
    await aborted;
  });
  test("a client that leaves in the middle of its body does no harm", async () => {
    for (let i = 0; i < 5; i++) {
      const socket = connect(server.port, "127.0.0.1");
      socket.write(post(`x-amz-target: ${target}\r\n`).replace("content-length: 2", "content-length: 500"));
      await once(socket, "connect");
      socket.destroy();
    }
    await alive();
  });
  test("no bytes end the server", async () => {
    const line = fc.constantFrom(
      "GET / HTTP/1.1\r\n",
      "POST /v2/ HTTP/1.1\r\n",
      "host: h\r\n",
      "\r\n",
      "content-length: 5\r\n",
      "content-length: -1\r\n",
      "transfer-encoding: chunked\r\n",
      "5\r\nhello\r\n",
      "0\r\n\r\n",
      "\0",
      "expect: 100-continue\r\n",
      "connection: upgrade\r\nupgrade: websocket\r\n",
      "authorization: AWS4-HMAC-SHA256 \r\n",
      "x-amz-target: .\r\n",
      "x-amz-content-sha256: STREAMING-X\r\n",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
        const socket = connect(server.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.end(lines.join(""));
        socket.resume();
        await new Promise((resolve) => socket.once("close", resolve));
      }),
      { numRuns: 150 },
    );
    await alive();
  });
});

describe("pages of other sites", () => {
  const form = "POST / HTTP/1.1\r\nhost: localhost:4566\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n";
  const body = "Action=GetCallerIdentity&Version=2011-06-15";
  test("cannot send forms here, our own may", async () => {
    const from = (headers: string) => send(`${form}${headers}content-length: ${body.length}\r\n\r\n${body}`);
    assert.match(await from("origin: https://evil.example\r\n"), /^HTTP\/1\.1 403 [^]*AccessDeniedException/);
    assert.match(await from("origin: null\r\n"), /^HTTP\/1\.1 403 /);
    assert.match(await from("origin: http://localhost:4566\r\n"), /^HTTP\/1\.1 200 /);
    assert.match(await from(""), /^HTTP\/1\.1 200 /);
  });
  test("cannot reset, nor do anything by an image's address", async () => {
    assert.equal(
      (await fetch(`${server.endpoint}/_gantry/reset`, { method: "POST", headers: { origin: "https://evil.example" } })).status,
      403,
    );
    const image = await send(`GET /?${body} HTTP/1.1\r\nhost: localhost:4566\r\nconnection: close\r\nsec-fetch-site: cross-site\r\n\r\n`);
    assert.match(image, /^HTTP\/1\.1 403 /);
  });
});

describe("websockets", () => {
  const refusal = async (endpoint: string) => {
    const socket = new WebSocket(`${endpoint.replace("http", "ws")}`);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, import("node:http").IncomingMessage];
    let text = "";
    for await (const chunk of response) text += (chunk as Buffer).toString();
    return { status: response.statusCode, type: response.headers["content-type"], body: JSON.parse(text) as { __type: string } };
  };
  test("nobody there: 404 with a body", async () => {
    const { status, body } = await refusal(`${server.endpoint}/nothing`);
    assert.deepEqual([status, body.__type], [404, "NotFound"]);
  });
  test("not signed: refused in JSON", async () => {
    const closed = await startServer({ parts });
    try {
      const { status, type, body } = await refusal(`${closed.endpoint}/ws`);
      assert.deepEqual([status, type, body.__type], [400, "application/x-amz-json-1.1", "MissingAuthenticationTokenException"]);
    } finally {
      await closed.close();
    }
  });
  test("open mode lets them in", async () => {
    assert.match(await send("GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"), /^HTTP\/1\.1 101 /);
  });
});
