/** Each condition and action, through a real HAProxy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Condition, Rule } from "#load-balancer/config.ts";
import { freePort } from "../support/port.ts";
import { bench, forward, get, groupOf, single, web } from "./support.ts";

test("a request reaches the target, with the headers that an Application Load Balancer adds", async () => {
  await using one = await web("one");
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [one])]));
  await made.state(one.port, "healthy");
  const answer = await get(port, "/a?b=c", { headers: { "x-forwarded-for": "1.2.3.4", host: "Some.Host:99" } });
  assert.deepEqual([answer.status, answer.body], [200, "one"]);
  const [request] = one.requests;
  assert.equal(request?.url, "/a?b=c");
  assert.equal(request.headers["x-forwarded-for"], "1.2.3.4, 127.0.0.1");
  assert.equal(request.headers["x-forwarded-proto"], "http");
  assert.equal(request.headers["x-forwarded-port"], String(port));
  assert.equal(request.headers.host, "Some.Host:99");
  assert.match(String(request.headers["x-amzn-trace-id"]), /^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$/i);
  await get(port, "/", { headers: { "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678" } });
  assert.match(
    String(one.requests[1]?.headers["x-amzn-trace-id"]),
    /^Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678$/i,
  );
  assert.equal(one.requests[1]?.headers["x-forwarded-for"], "127.0.0.1");
  await get(port, "/", { headers: { "x-forwarded-for": ["1.2.3.4", "5.6.7.8"] } });
  assert.equal(one.requests[2]?.headers["x-forwarded-for"], "1.2.3.4, 5.6.7.8, 127.0.0.1");
});

const fixed = (body: string) => ({ type: "fixed-response", statusCode: 200, contentType: "text/plain", body }) as const;
const rule = (priority: number, ...conditions: Condition[]): Rule => ({
  id: `r${priority}`,
  priority,
  conditions,
  action: fixed(String(priority)),
});

test("conditions: host, path, header, method, query, source address, with wildcards and priorities", async () => {
  await using made = bench();
  const port = await freePort();
  const rules = [
    rule(1, { field: "http-header", name: "X-Kind", values: ["*Beta*", "g?mma"] }),
    rule(2, { field: "http-request-method", values: ["DELETE", "PURGE"] }),
    rule(3, { field: "query-string", values: [{ key: "version", value: "v1" }, { value: "*needle*" }] }),
    rule(4, { field: "host-header", values: ["*.example.com"] }, { field: "path-pattern", values: ["/img/*.png", "/x/?"] }),
    rule(
      5,
      { field: "host-header", values: ["api.example.com", "api.example.org"] },
      { field: "path-pattern", values: ["/v1/*", "/exact"] },
    ),
    rule(6, { field: "path-pattern", values: ["/v1/users/*"] }),
    rule(7, { field: "path-pattern", values: ["/v1/*"] }),
    rule(8, { field: "source-ip", values: ["10.0.0.0/8"] }),
    rule(9, { field: "source-ip", values: ["127.0.0.0/8"] }, { field: "path-pattern", values: ["/local"] }),
    rule(10, { field: "path-pattern", values: ["/it's/$\"~@:+&*"] }),
    rule(12, { field: "path-pattern", values: ["/both/*"] }, { field: "path-pattern", values: ["*/end"] }),
  ];
  await made.balancers.apply(single(port, [], { rules, defaultAction: fixed("default") }));
  const cases: [string, string, Parameters<typeof get>[2]?][] = [
    ["default", "/"],
    ["1", "/v1/a", { headers: { "x-kind": "the BETA one" } }],
    ["1", "/", { headers: { "x-kind": "Gamma" } }],
    ["default", "/", { headers: { "x-kind": "gammma" } }],
    ["2", "/", { method: "DELETE" }],
    ["2", "/", { method: "PURGE" }],
    ["3", "/?a=1&Version=V1"],
    ["default", "/?version=v12"],
    ["3", "/?haystack=a-needle-b"],
    ["4", "/img/a/b.png", { headers: { host: "A.Example.com" } }],
    ["4", "/x/y", { headers: { host: "a.b.example.com:8080" } }],
    ["default", "/x/yz", { headers: { host: "a.example.com" } }],
    ["default", "/img/a.PNG", { headers: { host: "a.example.com" } }],
    ["default", "/img/a.png", { headers: { host: "example.com" } }],
    ["5", "/v1/users/7", { headers: { host: "API.example.org" } }],
    ["5", "/exact", { headers: { host: "api.example.com" } }],
    ["default", "/exact/", { headers: { host: "api.example.com" } }],
    ["6", "/v1/users/7"],
    ["7", "/v1/user"],
    ["default", "/V1/user"],
    ["9", "/local?x"],
    ["10", "/it's/$\"~@:+&more"],
    ["12", "/both/of/end"],
    ["default", "/both/of"],
  ];
  for (const [expected, path, options] of cases)
    assert.equal((await get(port, path, options)).body, expected, `${path} ${JSON.stringify(options)}`);
});

test("actions: redirects with placeholders, fixed responses, the page where there is no target", async () => {
  await using made = bench();
  const port = await freePort();
  const at = (priority: number, path: string, action: Rule["action"]): Rule => ({
    id: path,
    priority,
    conditions: [{ field: "path-pattern", values: [path] }],
    action,
  });
  const rules = [
    at(1, "/secure/*", { type: "redirect", statusCode: 301, protocol: "HTTPS", port: "443" }),
    at(2, "/moved/*", { type: "redirect", statusCode: 302, host: "new.#{host}", path: "/was/#{path}", query: "from=#{port}&#{query}" }),
    at(3, "/gone", { type: "redirect", statusCode: 302, path: "/here", query: "" }),
    at(4, "/html", { type: "fixed-response", statusCode: 404, contentType: "text/html", body: '<p>it\'s\n100% "gone"</p>' }),
    at(5, "/empty", { type: "fixed-response", statusCode: 503 }),
  ];
  await made.balancers.apply(single(port, [groupOf("g", [])], { rules }));
  const ask = (path: string) => get(port, path, { headers: { host: "example.com" } });
  const secure = await ask("/secure/a/b?c=d&e=%20");
  assert.deepEqual([secure.status, secure.headers.location], [301, "https://example.com:443/secure/a/b?c=d&e=%20"]);
  assert.equal((await ask("/secure/a")).headers.location, "https://example.com:443/secure/a");
  const moved = await ask("/moved/a?b=c");
  assert.deepEqual([moved.status, moved.headers.location], [302, `http://new.example.com:${port}/was/moved/a?from=${port}&b=c`]);
  assert.equal((await ask("/gone?x=y")).headers.location, `http://example.com:${port}/here`);
  const html = await ask("/html");
  assert.deepEqual([html.status, html.headers["content-type"], html.body], [404, "text/html", '<p>it\'s\n100% "gone"</p>']);
  const empty = await ask("/empty");
  assert.deepEqual([empty.status, empty.body, empty.headers["content-length"]], [503, "", "0"]);
  const none = await ask("/");
  assert.deepEqual([none.status, none.headers.server], [503, "awselb/2.0"]);
  assert.equal(
    none.body,
    "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n",
  );
});

test("weights shift without a reload; a client's cookie keeps its group", async () => {
  await using blue = await web("blue");
  await using green = await web("green");
  await using made = bench();
  const port = await freePort();
  const groups = [groupOf("blue", [blue]), groupOf("green", [green])];
  // Both stay in use whatever the default is: a group that comes into use takes a reload.
  const rules = [{ id: "r", priority: 1, conditions: [{ field: "path-pattern", values: ["/green"] }], action: forward("green") }] as const;
  const weighted = (b: number, g: number, stickinessSeconds?: number) =>
    single(port, groups, {
      rules,
      defaultAction: {
        type: "forward",
        targetGroups: [
          { id: "blue", weight: b },
          { id: "green", weight: g },
        ],
        stickinessSeconds,
      },
    });
  await made.balancers.apply(weighted(100, 0));
  await made.state(blue.port, "healthy");
  await made.state(green.port, "healthy");
  const [pid] = made.balancers.pids();
  const count = async (n: number, headers?: Record<string, string>) => {
    const bodies = await Promise.all(Array.from({ length: n }, () => get(port, "/", { headers })));
    return bodies.filter(({ body }) => body === "green").length;
  };
  assert.equal(await count(50), 0);
  await made.balancers.apply(weighted(75, 25));
  const share = await count(400);
  assert.ok(share > 60 && share < 145, `a quarter of 400 is green: ${share}`);
  await made.balancers.apply(weighted(0, 5));
  assert.equal(await count(50), 50);
  await made.balancers.apply(single(port, groups, { rules, defaultAction: forward("blue") }));
  assert.equal(await count(20), 0);
  await made.balancers.apply(weighted(1, 1, 60));
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(port)));
  for (const name of ["blue", "green"]) {
    const cookies = answers.find(({ body }) => body === name)?.headers["set-cookie"] ?? [];
    assert.match(cookies[0] ?? "", /^AWSALBTG=g-\w+; Expires=.* GMT; Path=\/$/);
    assert.match(cookies[1] ?? "", /^AWSALBTGCORS=g-\w+; Expires=.* GMT; Path=\/; SameSite=None; Secure$/);
    assert.equal(await count(20, { cookie: cookies[0]!.split(";")[0]! }), name === "green" ? 20 : 0);
  }
  assert.deepEqual(made.balancers.pids(), [pid], "no reload was needed");
});
