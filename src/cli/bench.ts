import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

const directory = new URL("../../bench/", import.meta.url).pathname;
/** What benchmarks share; not benchmarks themselves. */
const shared = new Set(["support.ts", "docker.ts", "image.ts", "agents.ts", "files.ts", "swarm.ts", "machine.ts", "swarm-nodes.ts"]);

/** `gantry bench`: each file in bench/ by itself, one after the other; then a table of all ratios against their bounds. Exit code 1: one was missed. */
export async function bench(names: readonly string[]): Promise<number> {
  const files = (await readdir(directory))
    .filter((file) => file.endsWith(".ts") && !shared.has(file) && (names.length === 0 || names.some((name) => file.includes(name))))
    .toSorted();
  if (files.length === 0) throw new Error(`no benchmark is named ${names.join(", ")}`);
  const results: {
    bench: string;
    ours?: number;
    peer?: number;
    peerName?: string;
    unit?: string;
    ratio?: number;
    ok?: boolean;
    missing?: boolean;
  }[] = [];
  for (const file of files) {
    process.stdout.write(`${file}\n`);
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(directory, file)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let rest = "";
    child.stdout.on("data", (data: Buffer) => {
      rest += data.toString();
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("{")) results.push(JSON.parse(line) as never);
        else process.stdout.write(`  ${line}\n`);
      }
    });
    const code = await new Promise<number>((resolve) => child.once("close", (status) => resolve(status ?? 1)));
    if (code !== 0) results.push({ bench: `${file} ended with ${code}`, ok: false });
  }
  process.stdout.write("\n| benchmark | ours | peer | ratio | |\n|---|---|---|---|---|\n");
  const number = (value: number | undefined, unit = "") => (value === undefined ? "" : `${Number(value.toPrecision(3))} ${unit}`.trim());
  for (const each of results)
    process.stdout.write(
      `| ${each.bench} | ${number(each.ours, each.unit)} | ${each.missing ? `${each.peerName} is not here` : number(each.peer, `${each.unit} (${each.peerName})`)} | ${number(each.ratio)} | ${each.missing ? "not measured" : each.ok ? "ok" : "MISSED"} |\n`,
    );
  return results.every((each) => each.ok || each.missing) ? 0 : 1;
}
