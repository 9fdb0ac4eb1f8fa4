import { startServer } from "#test/support/http.ts";
import { createEcr } from "#services/ecr/index.ts";
import { spawnSync } from "node:child_process";
import { createReadStream, statSync } from "node:fs";
const s = await startServer({ parts: (d) => [createEcr(d)], open: true, config: { createOnPush: true } });
process.on("SIGTERM", async () => {
  await s.close();
  process.exit(0);
});
console.log(s.endpoint);
let last = process.cpuUsage();
process.on("SIGUSR2", () => {
  const u = process.cpuUsage(last);
  last = process.cpuUsage();
  console.log("server user", u.user / 1e3, "sys", u.system / 1e3, "rss", process.memoryUsage().rss / 2 ** 20);
});
