import { writeFile } from "node:fs/promises";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import { AddressPool, chooseSubnet, formatSubnet, overlaps, parseSubnet, type Subnet } from "./addresses.ts";
import { command } from "./commands.ts";

export interface BridgeOptions {
  readonly instance: string;
  readonly bridge: string;
  /** A fixed hardware address keeps the bridge's from changing with its ports. */
  macOf(address: string): string;
  readonly isInstance?: boolean | undefined;
  /** The subnet that was chosen, kept over restarts. */
  readonly memory: { get(key: string): string | undefined; set(key: string, value: string | undefined): void };
  readonly random: Random;
  readonly clock: Clock;
}

/**
 * Makes sure that the bridge stands, in the subnet of an earlier life or in a free one. Two Gantrys that look at the same moment may see the same one free:
 * each looks again when its address stands, and gives it up when it meets another there. Resolves to the subnet's addresses.
 */
export async function openBridge(options: BridgeOptions): Promise<AddressPool> {
  const { bridge, memory, clock, random } = options;
  const remembered = memory.get("subnet");
  if (remembered) return stand(options, parseSubnet(remembered));
  for (let tries = 1; ; tries++) {
    const chosen = chooseSubnet(Number.parseInt(options.instance, 16), await subnetsOfOthers(bridge), options.isInstance);
    // What a life left that ended before it had made up its mind.
    await command("ip", ["addr", "flush", "dev", bridge]).catch(() => {});
    const pool = await stand(options, chosen);
    if (!(await subnetsOfOthers(bridge)).some((other) => overlaps(other, chosen))) {
      memory.set("subnet", formatSubnet(chosen));
      return pool;
    }
    await command("ip", ["addr", "flush", "dev", bridge]);
    if (tries === 20) throw new Error(`others take ${formatSubnet(chosen)} whenever this Gantry does`);
    // Both may have gone: not both at once again.
    await sleep(clock, 1000 * random.next());
  }
}

async function subnetsOfOthers(bridge: string): Promise<Subnet[]> {
  const routes = JSON.parse((await command("ip", ["-4", "-j", "route", "show", "table", "all"])) || "[]") as {
    dst?: string;
    dev?: string;
  }[];
  return routes.filter(({ dst, dev }) => dst && /^\d/.test(dst) && dev !== bridge).map(({ dst }) => parseSubnet(dst as string));
}

async function stand({ bridge, macOf }: BridgeOptions, chosen: Subnet): Promise<AddressPool> {
  const pool = new AddressPool(chosen);
  const { gateway, subnet } = pool;
  const found = await command("ip", ["-4", "-j", "addr", "show", "dev", bridge]).catch(() => undefined);
  if (found === undefined) await command("ip", ["-batch", "-"], `link add ${bridge} type bridge\n`);
  if (!found?.includes(`"local":"${gateway}"`)) await command("ip", ["addr", "add", `${gateway}/${subnet.prefix}`, "dev", bridge]);
  await command("ip", ["link", "set", bridge, "address", macOf(gateway), "up"]);
  await writeFile("/proc/sys/net/ipv4/ip_forward", "1");
  await writeFile(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, "1");
  return pool;
}
