import { startServer } from "#test/support/http.ts";
import { createEcr } from "#services/ecr/index.ts";
const s = await startServer({ parts: (d) => [createEcr(d)], open: process.argv[2] === "open" });
console.log(JSON.stringify({ port: s.port, home: s.home }));
process.on("SIGTERM", async () => {
  await s.close();
  process.exit(0);
});
