/** What a request is for, as the tables see it. */
export type Input = Readonly<Record<string, unknown>>;

export interface Where {
  readonly region: string;
  readonly account: string;
  /** Of a user who asks: IAM's operations mean them when they name nobody. */
  readonly userName?: string | undefined;
}

/** Condition keys; undefined ones are left out. */
export type Keys = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** One thing that must be allowed: the action on each of the resources. */
export interface Need {
  readonly action: string;
  readonly resources: readonly string[];
  /** Whose the resources are: 12 digits. */
  readonly account: string;
  readonly keys: Keys;
  /** What is said where AWS does not say its usual sentence. */
  readonly denied?: string;
}

/**
 * Resources of an operation, as words of what follows an ARN's account: `service/{cluster=default}/{service}`. `{…}` is a member of the input, by
 * path; of a list each element is a resource. A last member that is an ARN already is the whole resource; an ARN before that lends its last part. A word
 * whose member is absent is left out; without any word the action is on `*`.
 */
export type Resources = string | ((input: Input, where: Where) => readonly string[]);

export interface OperationRule {
  /** The action's name where it is not the operation's. */
  readonly action?: string;
  readonly on?: Resources;
  readonly keys?: (input: Input, where: Where) => Keys;
  /** Further actions that the operation takes. */
  readonly also?: (input: Input, where: Where) => readonly Need[];
  /** Of an operation that makes something: the action that its tags take, and on what if not on the same. */
  readonly tagging?: { readonly action: string; readonly on?: Resources };
  /** The member that may name another account. */
  readonly registry?: string;
}

export interface ServiceActions {
  /** Of the actions, e.g. `elasticloadbalancing`; the service in its ARNs too. */
  readonly prefix: string;
  /** IAM's and Route 53's ARNs have no region, Route 53's no account. */
  readonly regional?: false;
  readonly ownerless?: true;
  /** Operations that make things tell it to the tagging action in `<prefix>:CreateAction`. */
  readonly createAction?: true;
  readonly operations: Readonly<Record<string, Resources | OperationRule>>;
}

/** The same resources for many operations. */
export function each(on: Resources, operations: string): Record<string, Resources> {
  return Object.fromEntries(
    operations
      .trim()
      .split(/\s+/)
      .map((name) => [name, on]),
  );
}

/** On no resource: their policies say `*`. */
export const none = "";

export const base = ({ prefix, regional, ownerless }: ServiceActions, { region, account }: Where) =>
  `arn:aws:${prefix}:${regional === false ? "" : region}:${ownerless ? "" : account}:`;

export function resourcesOf(table: ServiceActions, on: Resources, input: Input, where: Where): readonly string[] {
  const found = typeof on === "string" ? templateOf(on).flatMap((word) => fill(word, base(table, where), input)) : on(input, where);
  return found.length > 0 ? found : ["*"];
}

type Word = readonly (string | { readonly path: readonly string[]; readonly fallback?: string })[];

const templates = new Map<string, readonly Word[]>();

function templateOf(text: string): readonly Word[] {
  let words = templates.get(text);
  if (!words) {
    words = text
      .split(" ")
      .filter((word) => word !== "")
      .map((word) =>
        word
          .split(/(\{[^}]*\})/)
          .filter((part) => part !== "")
          .map((part) => {
            if (!part.startsWith("{")) return part;
            const [path = "", fallback] = part.slice(1, -1).split("=");
            return { path: path.split("."), ...(fallback === undefined ? {} : { fallback }) };
          }),
      );
    templates.set(text, words);
  }
  return words;
}

function fill(word: Word, prefix: string, input: Input): readonly string[] {
  let texts = [prefix];
  for (const [index, part] of word.entries()) {
    if (typeof part === "string") {
      texts = texts.map((text) => text + part);
      continue;
    }
    const given = valuesAt(input, part.path);
    const values = given.length > 0 || part.fallback === undefined ? given : [part.fallback];
    const last = index === word.length - 1;
    texts = texts.flatMap((text) =>
      values.map((value) => (!value.startsWith("arn:") ? text + value : last ? value : text + lastPart(value))),
    );
  }
  return texts;
}

export const lastPart = (text: string) => text.slice(Math.max(text.lastIndexOf("/"), text.lastIndexOf(":")) + 1);

/** The texts at a path: lists on the way fan out. */
export function valuesAt(value: unknown, path: readonly string[]): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((each: unknown) => valuesAt(each, path));
  const [head, ...rest] = path;
  if (head === undefined) return typeof value === "string" && value !== "" ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return valuesAt((value as Record<string, unknown>)[head], rest);
}

export const textAt = (input: Input, path: string): string | undefined => valuesAt(input, path.split("."))[0];
