import { createHash } from "node:crypto";

const known = new Map<string, string>();

/** A short name for HAProxy, the same for the same text at any time: ids may hold whatever AWS allows. */
function digest(text: string): string {
  let name = known.get(text);
  if (name === undefined) {
    name = createHash("sha256").update(text).digest("hex").slice(0, 20);
    if (known.size > 20_000) known.clear();
    known.set(text, name);
  }
  return name;
}

export const listenerName = (id: string) => `l-${digest(id)}`;
export const groupName = (id: string) => `g-${digest(id)}`;
/** Also the value of the cookie AWSALB: it says nothing of the target. */
export const serverName = (groupId: string, address: string, port: number) => `t${digest(`${groupId} ${address}:${port}`)}`;
export const actionName = (kind: "a" | "w", text: string) => `${kind}-${digest(text)}`;
export const fileName = (text: string) => digest(text);

/** The servers beside a target's own: one that takes traffic when every target of the group is unhealthy, one that makes the first health check. */
export const openName = (server: string) => `${server}.o`;
export const firstName = (server: string) => `${server}.f`;
