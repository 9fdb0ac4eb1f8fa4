import { createServer } from "node:net";

/** The port of an earlier life if it is free, so that tasks in host mode keep reaching it; else any. */
export async function choosePort(before: number): Promise<number> {
  for (const port of before ? [before, 0] : [0]) {
    const chosen = await new Promise<number | undefined>((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(undefined));
      probe.listen(port, "127.0.0.1", () => {
        const address = probe.address();
        probe.close(() => resolve(typeof address === "object" ? address?.port : undefined));
      });
    });
    if (chosen) return chosen;
  }
  throw new Error("no port is free on 127.0.0.1");
}
