import { dirname } from "node:path";

/** An overlay's options with its directories named from their common parent, which the mounting process must stand in. */
export function commonDirectory(options: readonly string[]): { directory: string; options: string[] } {
  const at = options.findIndex((option) => option.startsWith("lowerdir="));
  const lower = options[at]?.slice("lowerdir=".length).split(":") ?? [];
  let directory = lower[0] ? dirname(lower[0]) : "/";
  while (directory !== "/" && !lower.every((path) => path.startsWith(`${directory}/`))) directory = dirname(directory);
  if (at < 0 || directory === "/") return { directory: "/", options: [...options] };
  const relative = lower.map((path) => path.slice(directory.length + 1)).join(":");
  return { directory, options: options.with(at, `lowerdir=${relative}`) };
}
