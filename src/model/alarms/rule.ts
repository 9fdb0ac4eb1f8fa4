import type { AlarmStateValue } from "./records.ts";

/** What a composite alarm watches. Source: PutCompositeAlarm, AlarmRule. */
export type Rule =
  | { readonly kind: "constant"; readonly value: boolean }
  | { readonly kind: "state"; readonly state: AlarmStateValue; readonly alarm: string }
  | { readonly kind: "not"; readonly of: Rule }
  | { readonly kind: "and" | "or"; readonly left: Rule; readonly right: Rule }
  | {
      readonly kind: "atLeast";
      readonly amount: number;
      readonly percent: boolean;
      readonly not: boolean;
      readonly state: AlarmStateValue;
      readonly alarms: readonly string[];
    };

/** The rule is wrong: the client's fault. */
export class RuleError extends Error {}

const states: readonly string[] = ["ALARM", "OK", "INSUFFICIENT_DATA"];
const token = /\s*(?:([(),%])|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s(),%"']+))/y;
const maxElements = 500;

export function parseRule(source: string): Rule {
  const tokens: { readonly text: string; readonly quoted: boolean }[] = [];
  token.lastIndex = 0;
  while (source.slice(token.lastIndex).trim() !== "") {
    const match = token.exec(source);
    if (!match) throw new RuleError("AlarmRule has a quote that does not end.");
    const quoted = match[2] ?? match[3];
    tokens.push({ text: quoted?.replaceAll(/\\(.)/g, "$1") ?? match[1] ?? match[4]!, quoted: quoted !== undefined });
  }
  if (tokens.length > 4 * maxElements) throw new RuleError(`AlarmRule has more than ${maxElements} elements.`);
  let at = 0;
  const fail = (what: string): never => {
    throw new RuleError(`AlarmRule syntax error: ${what}`);
  };
  const is = (text: string) => tokens[at] !== undefined && !tokens[at]!.quoted && tokens[at]!.text === text && Boolean(++at);
  const expect = (text: string) => {
    if (!is(text)) fail(`'${text}' is expected${tokens[at] ? ` instead of '${tokens[at]!.text}'` : " at the end"}`);
  };
  const name = () => {
    const one = tokens[at];
    if (!one || (!one.quoted && /^[(),%]$/.test(one.text))) return fail("the name of an alarm is expected");
    at += 1;
    return nameOf(one.text);
  };
  const stateWord = (): AlarmStateValue => {
    const word = states.find(is);
    return word === undefined ? fail("ALARM, OK or INSUFFICIENT_DATA is expected") : (word as AlarmStateValue);
  };

  function or(): Rule {
    let left = and();
    while (is("OR")) left = { kind: "or", left, right: and() };
    return left;
  }
  function and(): Rule {
    let left = unary();
    while (is("AND")) left = { kind: "and", left, right: unary() };
    return left;
  }
  function unary(): Rule {
    if (is("NOT")) return { kind: "not", of: unary() };
    if (is("TRUE")) return { kind: "constant", value: true };
    if (is("FALSE")) return { kind: "constant", value: false };
    if (is("AT_LEAST")) return atLeast();
    if (is("(")) {
      const inner = or();
      expect(")");
      return inner;
    }
    const state = stateWord();
    expect("(");
    const alarm = name();
    expect(")");
    return { kind: "state", state, alarm };
  }
  function atLeast(): Rule {
    expect("(");
    const amount = Number(tokens[at++]?.text);
    const percent = is("%");
    if (!Number.isInteger(amount) || amount < 1 || (percent && amount > 100)) fail("AT_LEAST takes a number or a percentage");
    expect(",");
    const not = is("NOT");
    const state = stateWord();
    expect(",");
    expect("(");
    const alarms = [name()];
    while (is(",")) alarms.push(name());
    expect(")");
    expect(")");
    return { kind: "atLeast", amount, percent, not, state, alarms };
  }

  if (tokens.length === 0) fail("it is empty");
  const rule = or();
  if (at < tokens.length) fail(`unexpected '${tokens[at]!.text}'`);
  return rule;
}

const nameOf = (text: string) => /^arn:[^:]+:cloudwatch:[^:]*:\d*:alarm:(.+)$/.exec(text)?.[1] ?? text;

/** The state of an alarm that is gone is undefined: nothing is true of it. */
export function holds(rule: Rule, stateOf: (alarm: string) => AlarmStateValue | undefined): boolean {
  switch (rule.kind) {
    case "constant":
      return rule.value;
    case "state":
      return stateOf(rule.alarm) === rule.state;
    case "not":
      return !holds(rule.of, stateOf);
    case "and":
      return holds(rule.left, stateOf) && holds(rule.right, stateOf);
    case "or":
      return holds(rule.left, stateOf) || holds(rule.right, stateOf);
    case "atLeast": {
      const count = rule.alarms.filter((alarm) => (stateOf(alarm) === rule.state) !== rule.not).length;
      return count >= (rule.percent ? Math.ceil((rule.amount * rule.alarms.length) / 100) : rule.amount);
    }
  }
}

/** The alarms that it names, each once. */
export function alarmsOf(rule: Rule): string[] {
  const names = new Set<string>();
  const visit = (one: Rule): void => {
    if (one.kind === "state") names.add(one.alarm);
    else if (one.kind === "not") visit(one.of);
    else if (one.kind === "atLeast") for (const alarm of one.alarms) names.add(alarm);
    else if (one.kind !== "constant") {
      visit(one.left);
      visit(one.right);
    }
  };
  visit(rule);
  return [...names];
}
