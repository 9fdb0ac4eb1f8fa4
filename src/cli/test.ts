import { spawn } from "node:child_process";
import { glob, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { run as runTests } from "node:test";
import { difference, footprint, runVariable } from "./footprint.ts";

const root = new URL("../..", import.meta.url).pathname;

interface Totals {
  passed: number;
  failed: number;
  skipped: string[];
  failures: string[];
}

/** They look at the whole machine, before and after: nothing else may come or go meanwhile. */
const isAlone = (file: string) => /^test\/cli\//.test(file);

/** Files that use the machine's containers, network or much of its CPU run one at a time, after the others. */
const isHeavy = (file: string) => /^test\/(agent|containerd|network|registry|ecr|store)\//.test(file);

/** A whole Gantry each, that touches nothing but its own and waits for much of its time: one beside the heavy ones, then two at a time. */
const isRoad = (file: string) => /^test\/road\//.test(file);

/** Files that mostly wait, for a client that asks every ten seconds or for two minutes to be over: they go beside all others. */
const isPatient = (file: string) => /^test\/(terraform\/|road\/(services|scaling))/.test(file);

/** Pure computation, minutes of it, in virtual time: behind whatever else wants the processor, and beside all others. */
const isBackground = (file: string) => /^test\/simulation\//.test(file);
const lowerPriority = `--import=${new URL("low-priority.ts", import.meta.url).href}`;

/** `gantry test`: type check, lint, every test file; the last line is `N passed, N failed[, N skipped]`. */
export async function test(words: readonly string[]): Promise<number> {
  const totals: Totals = { passed: 0, failed: 0, skipped: [], failures: [] };
  const began = performance.now();
  // All temporary files of the run in one place, and a mark on all its processes: what stays is known for sure, whoever else uses the machine.
  const directory = await mkdtemp(join(tmpdir(), "gt-"));
  process.env.TMPDIR = directory;
  process.env[runVariable] = basename(directory);
  const before = await footprint(directory);
  if (words.length === 0) {
    await check(totals, "type check", "tsc", ["--noEmit"]);
    await check(totals, "lint", "oxlint", ["--type-aware", "--deny-warnings"]);
    await check(totals, "format", "oxfmt", ["--check", "."]);
  }
  const files: string[] = [];
  for await (const file of glob("{src,test}/**/*.test.ts", { cwd: root }))
    if (words.length === 0 || words.some((word) => file.includes(word))) files.push(file);
  files.sort();
  const kinds = Map.groupBy(files, (file) => {
    if (isPatient(file)) return "patient";
    if (isAlone(file)) return "alone";
    if (isHeavy(file)) return "heavy";
    if (isRoad(file)) return "road";
    return isBackground(file) ? "background" : "light";
  });
  type Kind = typeof kinds extends Map<infer K, unknown> ? K : never;
  const run = (kind: Kind, concurrency: number, execArgv: readonly string[] = []) =>
    runFiles(totals, kinds.get(kind) ?? [], concurrency, execArgv);
  await run("alone", 1);
  const beside = Promise.all([run("patient", 2), run("background", 1, [lowerPriority])]);
  await run("light", 2);
  const roads = [...(kinds.get("road") ?? [])];
  const lane = async () => {
    for (let file = roads.shift(); file !== undefined; file = roads.shift()) await runFiles(totals, [file], 1);
  };
  await Promise.all([run("heavy", 1).then(lane), lane()]);
  await beside;
  // Whoever ends a process does not wait for the kernel to take it away.
  let left: readonly string[] = [];
  for (let tries = 0; tries < 20; tries++) {
    left = difference(before, await footprint(directory));
    if (left.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  if (left.length === 0) await rm(directory, { recursive: true });
  result(totals, "nothing is left behind", left.length === 0, left.join("\n"));

  for (const each of totals.skipped) process.stdout.write(`skipped: ${each}\n`);
  for (const each of totals.failures) process.stdout.write(`FAILED: ${each}\n`);
  process.stdout.write(`${files.length} files in ${Math.round((performance.now() - began) / 1000)} s\n`);
  process.stdout.write(
    `${totals.passed} passed, ${totals.failed} failed${totals.skipped.length > 0 ? `, ${totals.skipped.length} skipped` : ""}\n`,
  );
  return totals.failed === 0 && totals.passed > 0 ? 0 : 1;
}

function result(totals: Totals, name: string, ok: boolean, detail: string): void {
  if (ok) totals.passed++;
  else {
    totals.failed++;
    totals.failures.push(name);
  }
  process.stdout.write(`${clear}${ok ? "ok  " : "FAIL"} ${name}\n${ok ? "" : `${detail}\n`}`);
}

async function check(totals: Totals, name: string, tool: string, args: readonly string[]): Promise<void> {
  show(`${name} …`);
  const child = spawn(`${root}node_modules/.bin/${tool}`, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (data: Buffer) => (text += data.toString()));
  child.stderr.on("data", (data: Buffer) => (text += data.toString()));
  const code = await new Promise<number>((resolve) => {
    child.once("error", (error) => {
      text += error.message;
      resolve(1);
    });
    child.once("close", (status) => resolve(status ?? 1));
  });
  result(totals, name, code === 0, text);
}

async function runFiles(totals: Totals, files: readonly string[], concurrency: number, execArgv: readonly string[] = []): Promise<void> {
  if (files.length === 0) return;
  const stream = runTests({
    files: files.map((file) => `${root}${file}`),
    cwd: root,
    concurrency,
    // For one that hangs. What goes beside all others may rightly take nearly as long as they do.
    timeout: 25 * 60_000,
    execArgv: ["--disable-warning=ExperimentalWarning", ...execArgv],
  });
  await new Promise<void>((resolve) => {
    const leaf = (file: string | undefined) => (file ?? "").replace(root, "");
    stream.on("test:pass", (event) => {
      if (event.details.type === "suite" || (event.nesting === 0 && event.name.endsWith(".test.ts"))) return;
      const reason = event.skip ?? event.todo;
      if (reason !== undefined)
        totals.skipped.push(`${leaf(event.file)}: ${event.name}${typeof reason === "string" ? ` (${reason})` : ""}`);
      else totals.passed++;
    });
    stream.on("test:fail", (event) => {
      const cause = event.details.error?.cause ?? event.details.error;
      // A suite or a file fails with its tests; by itself only when it did not get as far as a test.
      const aggregate = String((event.details.error as { failureType?: string } | undefined)?.failureType) === "subtestsFailed";
      if (aggregate) return;
      totals.failed++;
      totals.failures.push(`${leaf(event.file)}: ${event.name}`);
      process.stdout.write(
        `FAIL ${leaf(event.file)}: ${event.name}\n${indent(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))}\n`,
      );
    });
    stream.on("test:dequeue", (event) => {
      if (event.nesting === 0) show(`${leaf(event.name)} …`);
    });
    stream.on("test:stderr", (event) => process.stdout.write(indent(event.message)));
    stream.on("test:complete", (event) => {
      if (event.nesting === 0 && event.name.endsWith(".test.ts"))
        process.stdout.write(
          `${clear}${event.details.passed ? "ok  " : "FAIL"} ${leaf(event.name)} (${(event.details.duration_ms / 1000).toFixed(1)} s)\n`,
        );
    });
    stream.on("end", () => resolve());
    stream.resume();
  });
}

const clear = process.stdout.isTTY ? "\x1b[2K" : "";

/** What is being waited for, on a terminal's last line; the next line takes its place. */
function show(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\x1b[2K${text}\r`);
}

const indent = (text: string) => text.replace(/^(?=.)/gm, "    ");
