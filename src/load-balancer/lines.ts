import { execFile } from "node:child_process";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { promisify } from "node:util";

/**
 * What one HAProxy writes, by a FIFO of its own. The process holds it open for reading too: when nobody else reads, what is too much is dropped and costs
 * nothing, where any other log target that is gone would cost connections or, as a ring's server, a whole processor.
 */
export interface Lines {
  /** To be inherited; `handedOver` closes ours. */
  readonly fd: number;
  handedOver(): void;
  /** Reads no more. It ends by itself with the process. */
  close(): void;
}

/** What one HAProxy says of its servers, and of requests. */
export interface Said {
  readonly fds: readonly [events: number, access: number];
  handedOver(): void;
  forget(): void;
}

/** Both stay in `all` until they are forgotten. */
export async function openBoth(
  directory: string,
  all: Set<Lines>,
  onEvent: (line: string) => void,
  onAccess: (line: string) => void,
): Promise<Said> {
  const events = await openLines(`${directory}/events`, onEvent);
  const access = await openLines(`${directory}/access`, onAccess);
  const both = [events, access];
  for (const each of both) all.add(each);
  return {
    fds: [events.fd, access.fd],
    handedOver: () => both.forEach((each) => each.handedOver()),
    forget() {
      for (const each of both) {
        each.close();
        all.delete(each);
      }
    },
  };
}

export async function openLines(path: string, onLine: (line: string) => void): Promise<Lines> {
  rmSync(path, { force: true });
  await promisify(execFile)("mkfifo", ["-m", "600", path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const socket = new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false });
  // Both ends have it open: the name has done its work.
  rmSync(path, { force: true });
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (part: string) => {
    const lines = (rest + part).split("\n");
    rest = (lines.pop() ?? "").slice(-65_536);
    for (const line of lines) onLine(line);
  });
  socket.on("error", () => socket.destroy());
  socket.unref();
  let open = true;
  const handedOver = () => {
    if (open) closeSync(fd);
    open = false;
  };
  return {
    fd,
    handedOver,
    close() {
      handedOver();
      socket.destroy();
    },
  };
}
