/** Requests a second over 16 keep-alive connections, the same client (wrk) against our server and moto's, in turns. */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { answers, end, freePort, has, median, missing, report, run, startServer, temporary } from "./support.ts";

const taskDefinition = {
  family: "bench",
  containerDefinitions: [{ name: "main", image: "busybox", memory: 64, essential: true, environment: [{ name: "A", value: "b" }] }],
};

async function call(endpoint: string, operation: string, input: unknown): Promise<unknown> {
  const response = await fetch(endpoint, { method: "POST", headers: headersFor(operation), body: JSON.stringify(input) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${operation} at ${endpoint}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Neither open mode nor moto checks a signature; both read the scope to find service and region. */
function headersFor(operation: string): Record<string, string> {
  return {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": `AmazonEC2ContainerServiceV20141113.${operation}`,
    "x-amz-date": new Date().toISOString().replace(/[-:]|\.\d+/g, ""),
    authorization: `AWS4-HMAC-SHA256 Credential=test/${new Date().toISOString().slice(0, 10).replaceAll("-", "")}/us-east-1/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`,
  };
}

async function rate(directory: string, endpoint: string, operation: string, input: unknown): Promise<number> {
  const script = join(directory, "request.lua");
  const headers = Object.entries(headersFor(operation)).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  );
  await writeFile(script, `wrk.method = "POST"\nwrk.body = ${luaText(JSON.stringify(input))}\n${headers.join("\n")}\n`);
  const { stdout } = await run("wrk", ["-t1", "-c16", "-d4s", "-s", script, endpoint], { timeout: 30_000 });
  if (/Non-2xx/.test(stdout)) throw new Error(`${operation} at ${endpoint} failed under load:\n${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
}

const luaText = (text: string) => `[==[${text}]==]`;

async function main(): Promise<void> {
  await using directory = await temporary("api");
  if (!(await has("moto_server"))) {
    missing("DescribeTasks and RegisterTaskDefinition", "moto_server");
    return;
  }
  const motoPort = await freePort();
  const moto = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(motoPort)], { stdio: "ignore" });
  try {
    const peer = `http://127.0.0.1:${motoPort}`;
    await answers(peer, 60_000);
    await using server = await startServer();
    // What is described is a task that is not there: a stock answer for both, the same work of lookup and failure.
    const cases = [
      { name: "RegisterTaskDefinition", input: taskDefinition },
      { name: "DescribeTasks", input: { cluster: "bench", tasks: ["0123456789abcdef0123456789abcdef"] } },
    ];
    for (const endpoint of [peer, server.endpoint]) {
      await call(endpoint, "CreateCluster", { clusterName: "bench" });
      await call(endpoint, "RegisterTaskDefinition", taskDefinition);
    }
    for (const { name, input } of cases) {
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < 3; round++) {
        theirs.push(await rate(directory.path, peer, name, input));
        ours.push(await rate(directory.path, server.endpoint, name, input));
      }
      report({
        bench: `${name}, requests a second, 16 connections`,
        ours: median(ours),
        peer: median(theirs),
        peerName: "moto",
        unit: "requests/s",
        bound: { least: 10 },
      });
    }
  } finally {
    await end(moto);
  }
}

await main();
