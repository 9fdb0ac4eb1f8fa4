import { spawn } from "node:child_process";

/** A tool of the system failed; the message is what it wrote. */
export class CommandError extends Error {}

/** Runs a command with `input` on its standard input; resolves to its standard output. 10 s at most. */
export function command(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: 10_000, killSignal: "SIGKILL" });
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    child.on("error", (error) => reject(new CommandError(`${program}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new CommandError(`${program} ${args.join(" ")}: ${errors.trim() || output.trim() || `ended with ${signal ?? code}`}`));
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}
