/** Lines of `NAME=value` as in /etc/ecs/ecs.config; of a name that comes twice the last counts. Source: ECS Developer Guide, "Amazon ECS container agent configuration". */
export function ecsConfigOf(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*?)\s*$/.exec(line);
    if (!match) continue;
    const [, name = "", value = ""] = match;
    found[name] = /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value;
  }
  return found;
}

/** What the agent of an instance of so much memory registers: the machine's own part is not for tasks. Of the ECS-optimized image's instances it is about 5 %; ours has at least containerd and the agent. */
export const registeredMemory = (memoryMiB: number): number => Math.floor(Math.min(memoryMiB * 0.955, memoryMiB - 96));
