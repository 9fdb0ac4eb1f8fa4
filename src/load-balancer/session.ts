import { createConnection } from "node:net";

/**
 * A conversation with one HAProxy by its runtime API. A process that is ending answers no new one, but lives until those that it has are over: whoever opened one
 * before can ask to the last, and must then close it.
 */
export interface Session {
  /** One question after the other; rejects once HAProxy is gone. */
  ask(question: string): Promise<string>;
  close(): void;
}

const prompt = "\n> ";

export function openSession(socket: string, timeoutMs = 5000): Promise<Session> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(socket);
    let text = "";
    let waiting: { readonly resolve: (text: string) => void; readonly reject: (error: Error) => void } | undefined;
    let tail: Promise<unknown> = Promise.resolve();
    const answer = (question: string): Promise<string> =>
      new Promise((done, failed) => {
        if (connection.destroyed || !connection.writable) return failed(new Error("HAProxy has ended the conversation"));
        waiting = { resolve: done, reject: failed };
        connection.setTimeout(timeoutMs);
        connection.write(`${question}\n`);
      });
    const session: Session = {
      ask(question) {
        const said = tail.then(() => answer(question));
        tail = said.catch(() => {});
        return said;
      },
      close: () => connection.destroy(),
    };
    connection.setEncoding("utf8");
    connection.on("data", (part: string) => {
      text += part;
      if (!waiting || !text.endsWith(prompt)) return;
      const { resolve: done } = waiting;
      const said = text.slice(0, -prompt.length);
      waiting = undefined;
      text = "";
      connection.setTimeout(0);
      done(said);
    });
    connection.once("timeout", () => connection.destroy(new Error(`HAProxy did not answer within ${timeoutMs} ms`)));
    connection.once("error", (error) => {
      reject(error);
      waiting?.reject(error);
    });
    connection.once("close", () => waiting?.reject(new Error("HAProxy has ended the conversation")));
    // Nobody stays up for it.
    connection.unref();
    connection.once("connect", () => {
      session
        .ask("prompt")
        .then(() => session.ask("set timeout cli 60s"))
        .then(() => resolve(session), reject);
    });
  });
}
