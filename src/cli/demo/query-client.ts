import { type Identity } from "#platform/identity.ts";
import type { Config } from "#platform/config.ts";
import { sign } from "#agent/aws/sigv4.ts";
import { parseXml, type XmlElement } from "#platform/xml-parse.ts";
import { endpointOf } from "../commands.ts";

/** A service of the Query protocols (Smithy, "AWS query protocol", "AWS EC2 query protocol"): parameters in, the answer's XML out. */
export interface QueryClient {
  /** Throws Error with AWS's code and message. */
  call(action: string, parameters: Readonly<Record<string, string>>): Promise<XmlElement>;
}

const versions = { ec2: "2016-11-15", elasticloadbalancing: "2015-12-01", iam: "2010-05-08" } as const;

export function queryClient(config: Config, identity: Identity, service: keyof typeof versions): QueryClient {
  const credentials = { accessKeyId: identity.rootAccessKeyId, secretAccessKey: identity.rootSecretAccessKey };
  return {
    async call(action, parameters) {
      const url = new URL(`${endpointOf(config)}/`);
      const body = new URLSearchParams({ Action: action, Version: versions[service], ...parameters }).toString();
      const headers = sign({
        method: "POST",
        url,
        headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
        body,
        service,
        // IAM is global.
        region: service === "iam" ? "us-east-1" : config.region,
        credentials,
        now: Date.now(),
      });
      const answer = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
      const root = parseXml(await answer.text());
      if (answer.ok) return root;
      throw Object.assign(new Error(`${action}: ${all(root, "Message")[0] ?? `HTTP ${answer.status}`}`), { code: all(root, "Code")[0] });
    },
  };
}

/** The texts of all elements of this name, in the document's order. */
export function all(root: XmlElement, name: string): string[] {
  return root.children.flatMap((child) => [...(child.name === name ? [child.text.trim()] : []), ...all(child, name)]);
}

export function only(root: XmlElement, name: string): string {
  const [text] = all(root, name);
  if (text === undefined) throw new Error(`the answer has no ${name}`);
  return text;
}
