import { appendFileSync, createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { AccessRecord } from "#load-balancer/access-log.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";

/**
 * Access logs, where AWS has S3: a bucket is a directory below `buckets`. Every five minutes a load balancer's lines become a file, named as AWS names it.
 * Lines wait for that in a file of their own, so that an agent that dies loses at most the last second's.
 * Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
 */
export interface AccessLogs {
  take(record: Pick<AccessRecord, "loadBalancerId" | "line">): void;
  /** What waits becomes files. */
  publish(): Promise<void>;
  close(): Promise<void>;
}

/** Where a load balancer's logs go; undefined: nowhere. */
export interface LogPlace {
  readonly bucket: string;
  readonly prefix: string;
  readonly address: string;
}

const publishMs = 300_000;
const appendMs = 1_000;

/** `[prefix/]AWSLogs/<account>/elasticloadbalancing/<region>/yyyy/mm/dd/<account>_elasticloadbalancing_<region>_app.<name>.<id>_<end>_<address>_<random>.log[.gz]` */
export function objectKey(arn: string, { prefix, address }: LogPlace, endMs: number, suffix: string): string {
  const [, , , region = "", account = "", resource = ""] = arn.split(":");
  const path = resource.slice("loadbalancer/".length).replaceAll("/", ".");
  const end = new Date(endMs).toISOString();
  const stamp = `${end.slice(0, 16).replaceAll(/[-:]/g, "")}Z`;
  const folder = `${prefix === "" ? "" : `${prefix}/`}AWSLogs/${account}/elasticloadbalancing/${region}/${end.slice(0, 10).replaceAll("-", "/")}`;
  const application = path.startsWith("app.");
  return `${folder}/${account}_elasticloadbalancing_${region}_${path}_${stamp}_${address}_${suffix}.log${application ? ".gz" : ""}`;
}

export function createAccessLogs(options: {
  readonly buckets: string;
  /** Where lines wait. */
  readonly directory: string;
  readonly placeOf: (loadBalancerArn: string) => LogPlace | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}): AccessLogs {
  const { directory, clock, random, log } = options;
  let lines = new Map<string, string[]>();
  let cancelAppend: (() => void) | undefined;
  let cancelPublish: (() => void) | undefined;
  let working: Promise<void> = Promise.resolve();

  const waiting = () => (existsSync(directory) ? readdirSync(directory) : []);

  function append(): void {
    cancelAppend?.();
    cancelAppend = undefined;
    const taken = lines;
    lines = new Map();
    if (taken.size > 0) mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [arn, list] of taken) appendFileSync(join(directory, `${encodeURIComponent(arn)}.log`), `${list.join("\n")}\n`);
  }

  async function publishOne(name: string): Promise<void> {
    const file = join(directory, name);
    const arn = decodeURIComponent(name.slice(0, name.lastIndexOf(".log")));
    const place = options.placeOf(arn);
    if (!place) return rmSync(file, { force: true });
    // Lines that come meanwhile begin a new file; a crash leaves this one for the next time.
    const taken = name.endsWith(".log") ? `${file}.${random.uuid()}` : file;
    if (taken !== file) renameSync(file, taken);
    const target = join(options.buckets, place.bucket, objectKey(arn, place, clock.now(), random.uuid().slice(0, 8)));
    mkdirSync(dirname(target), { recursive: true });
    const out = createWriteStream(`${target}.new`, { mode: 0o640 });
    if (target.endsWith(".gz")) await pipeline(createReadStream(taken), createGzip(), out);
    else await pipeline(createReadStream(taken), out);
    renameSync(`${target}.new`, target);
    rmSync(taken);
  }

  const publish = (): Promise<void> =>
    (working = working.then(async () => {
      append();
      for (const name of waiting())
        await publishOne(name).catch((error: unknown) => log.error({ err: error, name }, "an access log could not be published"));
      cancelPublish?.();
      cancelPublish = undefined;
      if (waiting().length > 0) soon();
    }));

  function soon(): void {
    cancelPublish ??= clock.after(publishMs - (clock.now() % publishMs), () => void publish());
  }

  if (waiting().length > 0) soon();
  return {
    take({ loadBalancerId, line }) {
      const list = lines.get(loadBalancerId);
      if (list) list.push(line);
      else lines.set(loadBalancerId, [line]);
      cancelAppend ??= clock.after(appendMs, append);
      soon();
    },
    publish,
    async close() {
      cancelPublish?.();
      append();
      await working;
      cancelPublish?.();
    },
  };
}
