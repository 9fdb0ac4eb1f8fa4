/** An Amazon Resource Name: `arn:aws:<service>:<region>:<account>:<resource>`. Source: AWS General Reference, "Amazon Resource Names". */
export interface Arn {
  readonly service: string;
  readonly region: string;
  readonly account: string;
  readonly resource: string;
}

export function formatArn({ service, region, account, resource }: Arn): string {
  return `arn:aws:${service}:${region}:${account}:${resource}`;
}

/** The parts of an ARN, or undefined when the text is not one. The resource may itself contain colons. */
export function parseArn(text: string): Arn | undefined {
  const match = /^arn:aws:([a-z0-9-]+):([a-z0-9-]*):(\d{12}|):(.+)$/s.exec(text);
  if (!match) return undefined;
  return { service: match[1]!, region: match[2]!, account: match[3]!, resource: match[4]! };
}
