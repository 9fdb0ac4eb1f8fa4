import { parsePath, valueAt } from "./json-path.ts";
import type { BusEvent } from "./records.ts";

/** What a target gets of an event. Source: EventBridge User Guide, "Amazon EventBridge input transformation". */
export interface InputRule {
  readonly Input?: string;
  readonly InputPath?: string;
  readonly InputTransformer?: { readonly InputPathsMap?: Readonly<Record<string, string>>; readonly InputTemplate?: string };
}

export interface InputFacts {
  readonly ruleArn: string;
  readonly ruleName: string;
  /** Milliseconds. */
  readonly ingestedAt: number;
}

/** The text that the target gets, which is JSON unless a template of several lines makes it otherwise. */
export function inputFor(event: BusEvent, { Input, InputPath, InputTransformer }: InputRule, facts: InputFacts): string {
  if (Input !== undefined) return Input;
  if (InputPath !== undefined) return JSON.stringify(valueAt(event, parsePath(InputPath) ?? []) ?? {});
  if (InputTransformer) return transformed(event, InputTransformer, facts);
  return JSON.stringify(event);
}

const placeholder = /<([\w.-]+)>/g;

function transformed(event: BusEvent, rule: NonNullable<InputRule["InputTransformer"]>, facts: InputFacts): string {
  const values = new Map<string, unknown>([
    ["aws.events.rule-arn", facts.ruleArn],
    ["aws.events.rule-name", facts.ruleName],
    ["aws.events.event.ingestion-time", new Date(facts.ingestedAt).toISOString()],
    ["aws.events.event.json", event],
    ["aws.events.event", event],
  ]);
  for (const [name, path] of Object.entries(rule.InputPathsMap ?? {})) values.set(name, valueAt(event, parsePath(path) ?? []));
  const template = rule.InputTemplate ?? "";
  let quoted = false;
  let scanned = 0;
  return template.replace(placeholder, (whole, name: string, at: number) => {
    for (; scanned < at; scanned++) {
      if (quoted && template[scanned] === "\\") scanned++;
      else if (template[scanned] === '"') quoted = !quoted;
    }
    scanned = at + whole.length;
    if (!values.has(name)) return whole;
    const value = values.get(name);
    if (!quoted) return JSON.stringify(value) ?? "null";
    if (value === undefined) return "";
    // Inside of a text: its own letters, so that the text stays one.
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return JSON.stringify(text).slice(1, -1);
  });
}

/** What is wrong with it, in AWS's words; undefined when nothing is. */
export function problemOfInput({ Input, InputPath, InputTransformer }: InputRule): string | undefined {
  const given = [Input, InputPath, InputTransformer].filter((each) => each !== undefined);
  if (given.length > 1) return "Only one of Input, InputPath, or InputTransformer must be provided.";
  if (Input !== undefined) {
    if (Buffer.byteLength(Input) > 8192) return "Input must not be longer than 8192 bytes.";
    return isJson(Input) ? undefined : "JSON syntax error in input.";
  }
  if (InputPath !== undefined) return parsePath(InputPath) ? undefined : "Invalid JSON path in InputPath.";
  if (!InputTransformer) return undefined;
  const { InputPathsMap = {}, InputTemplate = "" } = InputTransformer;
  if (InputTemplate === "") return "InputTemplate must not be empty.";
  if (Object.keys(InputPathsMap).length > 100) return "InputPathsMap can have at most 100 entries.";
  for (const [name, path] of Object.entries(InputPathsMap)) {
    if (name.startsWith("AWS")) return `Invalid variable name ${name}: it must not start with AWS.`;
    if (!parsePath(path)) return `Invalid JSON path ${path} for ${name} in InputPathsMap.`;
  }
  for (const [, name = ""] of InputTemplate.matchAll(placeholder))
    if (!Object.hasOwn(InputPathsMap, name) && !reserved.has(name))
      return `Invalid InputTemplate for target : [Source: (String)"${InputTemplate}"; placeholder <${name}> is not in InputPathsMap].`;
  return undefined;
}

const reserved = new Set([
  "aws.events.rule-arn",
  "aws.events.rule-name",
  "aws.events.event.ingestion-time",
  "aws.events.event.json",
  "aws.events.event",
]);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
