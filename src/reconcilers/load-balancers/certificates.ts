import { acmKeys, type CertificateKeyRecord, type CertificateRecord } from "#model/acm-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import { followChanges } from "../feed.ts";

/** Certificates with their keys, opened when a listener needs them. */
export interface Certificates {
  /** Whether the first reading is over. */
  known(): boolean;
  /** Certificate, chain and key; undefined: one of them is not there. */
  pemOf(arn: string): string | undefined;
  readonly done: Promise<void>;
}

export function followCertificates(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sealer: Sealer;
  readonly signal: AbortSignal;
  readonly changed: () => void;
}): Certificates {
  const { store, sealer, changed } = options;
  /** By the store's key. */
  let records: Map<string, unknown> | undefined;
  const pems = new Map<string, string>();

  const behind = async () => {
    const { entries, revision } = await store.list(acmKeys.everything);
    records = new Map(entries.map(({ key, value }) => [key, value]));
    pems.clear();
    changed();
    return revision;
  };
  const done = followChanges({
    ...options,
    prefix: acmKeys.everything,
    behind,
    changed(event) {
      if (event.type === "put") records?.set(event.key, event.entry.value);
      else records?.delete(event.key);
      pems.clear();
      changed();
    },
  });

  function open(arn: string): string | undefined {
    const [, , , region = "", account = "", resource = ""] = arn.split(":");
    const id = resource.slice("certificate/".length);
    const scope = { account, region };
    const certificate = records?.get(acmKeys.certificate(scope, id)) as CertificateRecord | undefined;
    const key = records?.get(acmKeys.key(scope, id)) as CertificateKeyRecord | undefined;
    const pem = key && sealer.open(acmKeys.sealScope(id), key.sealed);
    if (!certificate || typeof pem !== "string") return undefined;
    return [certificate.certificate, certificate.chain, pem].flatMap((part) => (part ? [`${part.trim()}\n`] : [])).join("");
  }

  return {
    known: () => records !== undefined,
    pemOf(arn) {
      let pem = pems.get(arn);
      if (pem === undefined && (pem = open(arn)) !== undefined) pems.set(arn, pem);
      return pem;
    },
    done,
  };
}
