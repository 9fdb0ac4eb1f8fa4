import {
  type Answer,
  codes,
  datagramFor,
  parseQuestion,
  type Question,
  question as questionBytes,
  refusal,
  reply,
  type ReplyContent,
  types,
} from "#model/dns/message.ts";
import { readAnswers } from "#model/dns/read-answers.ts";
import type { ZoneAnswer } from "#model/dns/zone.ts";
import type { Clock } from "#platform/clock.ts";
import { createDnsListener } from "#platform/dns-listener.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { createForwarder, type Forwarder } from "./forward.ts";
import { answerPrivate } from "./names.ts";
import type { Caller } from "./known.ts";

/**
 * The resolver behind every VPC's `.2`: it listens on the bridge's address, and knows by the caller's address whose question it is. Only tasks of
 * a VPC whose DNS support is on get an answer.
 */
export interface Resolver {
  /** UDP and TCP on one port, `port` if it is free, never `avoid`, which is somebody else's to come; undefined when none could be bound. */
  listen(address: string, port: number, avoid?: number): Promise<number | undefined>;
  close(): void;
}

/** Looked up before all else: zones of Cloud Map. Undefined: not a name of theirs. */
export type Zones = (question: Question, caller: Caller) => ZoneAnswer | undefined | Promise<ZoneAnswer | undefined>;

export function createResolver(options: {
  readonly who: (address: string) => Caller | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly zones?: Zones;
  readonly forwarder?: Forwarder;
}): Resolver {
  const { log } = options;
  const forwarder = options.forwarder ?? createForwarder(options);
  let listening = false;

  const answer = async (query: Buffer, from: string, over: "udp" | "tcp"): Promise<Buffer | undefined> => {
    const caller = options.who(from);
    const question = parseQuestion(query);
    if (!question) return refusal(query, codes.FORMERR);
    if (!caller?.vpc.dnsSupport) return reply(query, question, { code: codes.REFUSED });
    const known = question.class === 1 ? await knownTo(question, caller, over) : undefined;
    if (known) return reply(query, question, { ...known, authoritative: true }, over === "udp" ? datagramFor(question) : undefined);
    return (await forwarder.ask(query, over)) ?? reply(query, question, { code: codes.SERVFAIL });
  };

  const knownTo = async (question: Question, caller: Caller, over: "udp" | "tcp"): Promise<ReplyContent | undefined> => {
    const found = await options.zones?.(question, caller);
    if (found?.elsewhere === undefined) return found ?? answerPrivate(question, caller);
    return { code: found.code, answers: [...found.answers, ...(await elsewhere(question, found.elsewhere, caller, over))] };
  };

  /** Those who ask us follow no CNAME by themselves. */
  const elsewhere = async (question: Question, name: string, caller: Caller, over: "udp" | "tcp"): Promise<readonly Answer[]> => {
    const own = answerPrivate({ ...question, name }, caller);
    if (own) return own.answers.map((each) => ({ ...each, name }));
    if (question.type === types.CNAME) return [];
    const asked = await forwarder.ask(questionBytes(name, question.type), over);
    return (asked && readAnswers(asked)?.answers) ?? [];
  };

  const listener = createDnsListener({ answer, log });

  const resolver: Resolver = {
    async listen(address, before, avoid) {
      if (listening) listener.close();
      for (const port of before ? [before, 0, 0] : [0, 0, 0]) {
        try {
          const chosen = await listener.bind(address, port);
          if (chosen === avoid) {
            listener.close();
            continue;
          }
          listening = true;
          return chosen;
        } catch (error) {
          log.debug({ err: error, port }, "the port can't be had");
        }
      }
      log.error("no port for the VPCs' resolver: names don't resolve in tasks of network mode awsvpc");
      return undefined;
    },
    close: () => listener.close(),
  };
  return resolver;
}
