import { codes, datagramFor, parseQuestion, refusal, reply } from "#model/dns/message.ts";
import { answerZones } from "#model/dns/zone.ts";
import type { Clock } from "#platform/clock.ts";
import { createDnsListener, type DnsTransport } from "#platform/dns-listener.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import { followNames, type NamesFollower } from "./follow.ts";

/** The private zones of all VPCs, answered on a port of the machine. It forwards nothing: names that are in no zone are refused. */
export interface DnsPort {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Where it listens; undefined: not (yet). */
  readonly port: number | undefined;
}

const againMs = 5_000;

export function createDnsPort(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly address: string;
  /** 0: one that the kernel chooses. */
  readonly port: number;
}): DnsPort {
  const { store, clock, random, log, address } = options;
  const abort = new AbortController();
  let names: NamesFollower | undefined;
  let port: number | undefined;
  let cancel: (() => void) | undefined;
  let binding: Promise<void> = Promise.resolve();

  const answer = async (query: Buffer, _from: string, over: DnsTransport): Promise<Buffer | undefined> => {
    const question = parseQuestion(query);
    if (!question) return refusal(query, codes.FORMERR);
    const index = names?.current();
    if (!index) return reply(query, question, { code: codes.SERVFAIL, noRecursion: true });
    const found = question.class === 1 ? answerZones(index.allZones(), question, () => random.next()) : undefined;
    if (!found) return reply(query, question, { code: codes.REFUSED, noRecursion: true });
    const largest = over === "udp" ? datagramFor(question) : undefined;
    return reply(query, question, { ...found, authoritative: true, noRecursion: true }, largest);
  };
  const listener = createDnsListener({ answer, log });

  /** A port that somebody else has is no reason not to serve the rest: it is tried again until it is free. */
  const bind = async (said: boolean): Promise<void> => {
    try {
      port = await listener.bind(address, options.port);
      if (abort.signal.aborted) listener.close();
      else log.info({ address, port }, "names are answered here");
    } catch (error) {
      if (!said)
        log.warn({ err: error, address, port: options.port }, "the DNS port is taken: names are not answered on this machine's own port");
      if (!abort.signal.aborted) cancel = clock.after(againMs, () => void (binding = bind(true)));
    }
  };

  return {
    get port() {
      return port;
    },
    async start() {
      names = followNames({ store, clock, log, signal: abort.signal });
      await (binding = bind(false));
    },
    async stop() {
      abort.abort();
      cancel?.();
      listener.close();
      await binding;
      await names?.done;
    },
  };
}
