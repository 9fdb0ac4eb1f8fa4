import { ApiError, type Question } from "#api/contract.ts";
import { type JoinTokenRecord, machineKeys } from "#model/machine-records.ts";
import type { EcsDeps } from "../context.ts";
import { hashOf } from "./rules.ts";

/** What the operator sees of a token: never its secret, except once, when it is made. Times in milliseconds. */
export interface TokenAnswer {
  readonly id: string;
  readonly cluster: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly uses: number;
  readonly machines: readonly string[];
}

const longestMs = 365 * 86_400_000;
const mostUses = 1000;
/** An expired token says for so long that it has expired. */
const shownMs = 7 * 86_400_000;
export const machinesQueue = "machines";

const answerOf = ({ id, cluster, createdAt, expiresAt, uses, machines }: JoinTokenRecord): TokenAnswer => ({
  id,
  cluster,
  createdAt,
  expiresAt,
  uses,
  machines,
});

const whole = (query: URLSearchParams, name: string, fallback: number, most: number) => {
  const value = Number(query.get(name) || fallback);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new ApiError("InvalidParameterException", `${name} is not a whole number between 1 and ${most}.`);
  return value;
};

/** `./gantry token`: makes, lists and revokes the tokens that machines join by. Actions of their own: the root user's, and those of policies for `*`. */
export function tokenQuestions({ store, writer, random }: Pick<EcsDeps, "store" | "writer" | "random">): readonly Question[] {
  return [
    {
      path: "/_gantry/join-tokens/create",
      action: "gantry:CreateJoinToken",
      method: "POST",
      async answer(query, { account, region, now }): Promise<TokenAnswer & { secret: string }> {
        const cluster = query.get("cluster") || "default";
        if (!/^[\w-]{1,255}$/.test(cluster)) throw new ApiError("InvalidParameterException", "cluster is not a cluster's name.");
        const expiresAt = now + whole(query, "seconds", 3600, longestMs / 1000) * 1000;
        const uses = whole(query, "uses", 1, mostUses);
        const id = random.hex(6);
        const secret = random.hex(24);
        const record: JoinTokenRecord = {
          ...{ id, secretHash: hashOf(secret), account, region, cluster },
          ...{ createdAt: now, expiresAt, uses, machines: [] },
        };
        const { entries } = await store.list<JoinTokenRecord>(machineKeys.tokens());
        await writer.run(machinesQueue, async (unit) => {
          for (const { key, value } of entries) if (value.expiresAt + shownMs < now) unit.delete(key);
          unit.put(machineKeys.token(id), record);
        });
        return { ...answerOf(record), secret };
      },
    },
    {
      path: "/_gantry/join-tokens",
      action: "gantry:ListJoinTokens",
      async answer(_query, { now }): Promise<{ tokens: TokenAnswer[] }> {
        const { entries } = await store.list<JoinTokenRecord>(machineKeys.tokens());
        const tokens = entries.map(({ value }) => value).filter(({ expiresAt }) => expiresAt > now);
        return { tokens: tokens.toSorted((a, b) => a.createdAt - b.createdAt).map(answerOf) };
      },
    },
    {
      path: "/_gantry/join-tokens/revoke",
      action: "gantry:RevokeJoinToken",
      method: "POST",
      async answer(query): Promise<TokenAnswer> {
        const key = machineKeys.token(query.get("id") ?? "");
        return writer.run(machinesQueue, async (unit) => {
          const record = await unit.get<JoinTokenRecord>(key);
          if (!record) throw new ApiError("InvalidParameterException", "There is no token of this id.");
          unit.delete(key);
          return answerOf(record);
        });
      },
    },
  ];
}
