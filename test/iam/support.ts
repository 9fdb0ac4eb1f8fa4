import { IAMClient } from "@aws-sdk/client-iam";
import { STSClient, type Credentials } from "@aws-sdk/client-sts";
import { firstOf, rootCredentials } from "#api/credentials.ts";
import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { identityCredentials } from "#identity/credentials.ts";
import type { Clock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import { createIam } from "#services/iam/index.ts";
import { createSts } from "#services/sts/index.ts";
import { accessKeyId, secretAccessKey, startServer, type TestServer } from "../support/http.ts";

export interface Iam {
  readonly server: TestServer;
  readonly iam: IAMClient;
  readonly sts: STSClient;
  /** Clients of whoever has these. */
  as(credentials: SdkCredentials): { readonly iam: IAMClient; readonly sts: STSClient };
  close(): Promise<void>;
}

export interface SdkCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export const account = "000000000000";

export const sdkCredentials = ({ AccessKeyId, SecretAccessKey, SessionToken }: Credentials): SdkCredentials => ({
  accessKeyId: AccessKeyId!,
  secretAccessKey: SecretAccessKey!,
  sessionToken: SessionToken!,
});

export async function startIam(
  options: { clock?: Clock; config?: Partial<Config>; more?: (deps: ServerDeps) => ServerPart[]; open?: boolean } = {},
): Promise<Iam> {
  const server = await startServer({
    ...options,
    parts: (deps) => [createSts(deps), createIam(deps), ...(options.more?.(deps) ?? [])],
    // The same order as the server's.
    credentials: (deps) => firstOf(rootCredentials(account, accessKeyId, secretAccessKey), identityCredentials(deps)),
  });
  const clients: { destroy(): void }[] = [];
  const as = (credentials: SdkCredentials) => {
    const made = { iam: new IAMClient({ ...server.sdk(), credentials }), sts: new STSClient({ ...server.sdk(), credentials }) };
    clients.push(made.iam, made.sts);
    return made;
  };
  return {
    server,
    ...as({ accessKeyId, secretAccessKey }),
    as,
    async close() {
      for (const client of clients) client.destroy();
      await server.close();
    },
  };
}

/** A policy with one statement. */
export const policy = (...statements: object[]) => JSON.stringify({ Version: "2012-10-17", Statement: statements });

export const allow = (Action: string | string[], Resource: string | string[] = "*") => policy({ Effect: "Allow", Action, Resource });

export const trust = (Principal: object | string, Action: string | string[] = "sts:AssumeRole", Condition?: object) =>
  policy({ Effect: "Allow", Principal, Action, ...(Condition ? { Condition } : {}) });

export const said = (name: string, message: string | RegExp) => ({ name, message });
