import type { Logger } from "#platform/log.ts";
import { command } from "./commands.ts";

/**
 * Docker (and some firewalls) drop what the host forwards unless a rule in iptables' own FORWARD chain accepts it; an accept in another
 * table doesn't count. Where that chain drops anything, our bridge gets its two rules there, marked with our table's name.
 */
export async function acceptForwarding(bridge: string, mark: string, log: Logger): Promise<void> {
  let rules: string;
  try {
    rules = await command("iptables", ["-w", "5", "-S", "FORWARD"]);
  } catch {
    return; // No iptables here, so nothing of Docker either.
  }
  if (rules.trim() === "-P FORWARD ACCEPT") return;
  for (const way of ["-i", "-o"]) {
    if (rules.includes(`-A FORWARD ${way} ${bridge} `)) continue;
    await command("iptables", ["-w", "5", "-I", "FORWARD", ...rule(way, bridge, mark)]).catch((error: unknown) =>
      log.warn({ err: error }, "iptables did not take the rule that lets containers' traffic through"),
    );
  }
}

export async function removeForwarding(bridge: string, mark: string): Promise<void> {
  for (const way of ["-i", "-o"]) await command("iptables", ["-w", "5", "-D", "FORWARD", ...rule(way, bridge, mark)]).catch(() => {});
}

function rule(way: string, bridge: string, mark: string): string[] {
  return [way, bridge, "-m", "comment", "--comment", mark, "-j", "ACCEPT"];
}
