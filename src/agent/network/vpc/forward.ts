import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { connect, isIP, isIPv6 } from "node:net";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";

/** Asks the machine's own resolvers. The question goes on as it came, under an id and from a port that nobody can guess. */
export interface Forwarder {
  /** The answer under the question's own id; undefined when no resolver gave one in time, or too many are being asked. */
  ask(query: Buffer, over: "udp" | "tcp"): Promise<Buffer | undefined>;
}

const mostAtOnce = 512;
const oneMs = 2_000;

export function createForwarder(options: {
  readonly clock: Clock;
  readonly random: Random;
  /** `address` or `address#port`. Default: those of /etc/resolv.conf. */
  readonly servers?: () => Promise<readonly string[]>;
  /** How long a reading of them holds. */
  readonly freshMs?: number;
}): Forwarder {
  const { clock, random, freshMs = 5_000 } = options;
  let asking = 0;
  let known: { at: number; servers: Promise<readonly string[]> } | undefined;

  const servers = () => {
    if (!known || clock.now() - known.at >= freshMs) known = { at: clock.now(), servers: (options.servers ?? hostServers)() };
    return known.servers;
  };

  return {
    async ask(query, over) {
      if (asking >= mostAtOnce) return undefined;
      asking++;
      try {
        for (const server of (await servers()).slice(0, 3)) {
          const [host = "", port = "53"] = server.split("#");
          const sent = Buffer.from(query);
          sent.writeUInt16BE(Number.parseInt(random.hex(2), 16), 0);
          const answer = await (over === "udp" ? askUdp : askTcp)(clock, sent, host, Number(port)).catch(() => undefined);
          if (!answer) continue;
          query.copy(answer, 0, 0, 2);
          return answer;
        }
        return undefined;
      } finally {
        asking--;
      }
    },
  };
}

async function hostServers(): Promise<readonly string[]> {
  const text = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]?.split("%")[0] ?? "";
    return isIP(server) ? [server] : [];
  });
}

/** Its own answer to our question: same id, a response, the same question's first bytes. */
function answers(query: Buffer, answer: Buffer): boolean {
  const asked = query.subarray(12, Math.max(12, query.indexOf(0, 12) + 1));
  const same = answer.subarray(12, 12 + asked.length);
  return (
    answer.length >= 12 &&
    answer.readUInt16BE(0) === query.readUInt16BE(0) &&
    ((answer[2] ?? 0) & 0x80) !== 0 &&
    same.toString("latin1").toLowerCase() === asked.toString("latin1").toLowerCase()
  );
}

function askUdp(clock: Clock, query: Buffer, host: string, port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    const cancel = clock.after(oneMs, () => fail(new Error("no answer")));
    const fail = (error: Error) => {
      cancel();
      socket.close();
      reject(error);
    };
    socket.once("error", fail);
    // Connected: the kernel drops what comes from anywhere else, and says when nobody listens.
    socket.connect(port, host, () => socket.send(query));
    socket.on("message", (answer) => {
      if (!answers(query, answer)) return;
      cancel();
      socket.close();
      resolve(answer);
    });
  });
}

function askTcp(clock: Clock, query: Buffer, host: string, port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const cancel = clock.after(oneMs, () => socket.destroy(new Error("no answer")));
    const parts: Buffer[] = [];
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length, 0);
    socket.on("connect", () => socket.write(Buffer.concat([length, query])));
    socket.on("data", (part: Buffer) => {
      parts.push(part);
      const all = Buffer.concat(parts);
      if (all.length < 2 || all.length < 2 + all.readUInt16BE(0)) return;
      const answer = all.subarray(2, 2 + all.readUInt16BE(0));
      cancel();
      socket.destroy();
      if (answers(query, answer)) resolve(answer);
      else reject(new Error("another's answer"));
    });
    socket.on("error", reject);
    socket.on("close", () => {
      cancel();
      reject(new Error("closed"));
    });
  });
}
