import { type CompiledStatement, compile } from "./compile.ts";
import type { NamedPolicy, Statement } from "./document.ts";
import type { Template } from "./variables.ts";

/**
 * Thousands of statements may speak of one action, each of a resource of its own. Which of them can be about a given resource is found by text that must
 * stand in it: the whole of it where a statement names it, else the last letters of what its pattern says between wildcards. What is found is still
 * compared; what is not found cannot match.
 */

/** A statement and the policy that it stands in. */
export interface Candidate {
  readonly policy: NamedPolicy;
  readonly ready: CompiledStatement;
}

interface Relevant {
  /** By the exact resource. */
  readonly named: ReadonlyMap<string, readonly Candidate[]>;
  /** By letters that the resource must have somewhere, of each of the lengths. */
  readonly lettered: ReadonlyMap<string, readonly Candidate[]>;
  readonly lengths: readonly number[];
  /** About anything, as far as can be told. */
  readonly others: readonly Candidate[];
}

const lengths = [8, 4, 3];

/** Of so many policies each is indexed by itself: then those that come and go (sessions') do not cost the others theirs. */
const fewPolicies = 8;

/** Actions come out of the operations' tables, but the simulator takes any: so many are remembered. */
const mostActions = 500;

/** By the list of policies, or a policy: whoever keeps their policies as they are until they change pays for this once. */
const known = new WeakMap<object, Record<Statement["effect"], Map<string, Relevant>>>();

/** All statements of that effect that may be about the action (lower-case) on the resource. */
export function candidates(
  policies: readonly NamedPolicy[],
  effect: Statement["effect"],
  action: string,
  resource: string,
): readonly Candidate[] {
  const found: Candidate[] = [];
  if (policies.length > fewPolicies) collect(relevantOf(policies, policies, effect, action), resource, found);
  else for (const policy of policies) collect(relevantOf(policy, [policy], effect, action), resource, found);
  return found;
}

function collect({ named, lettered, lengths: sizes, others }: Relevant, resource: string, found: Candidate[]): void {
  const add = (list: readonly Candidate[] | undefined) => {
    if (list) for (const candidate of list) found.push(candidate);
  };
  add(others);
  if (named.size > 0) add(named.get(resource));
  if (sizes.length === 0) return;
  const before = found.length;
  for (const size of sizes) for (let at = 0; at + size <= resource.length; at++) add(lettered.get(resource.slice(at, at + size)));
  // Letters that stand there twice find their statements twice.
  if (found.length > before + 1) found.splice(before, Number.POSITIVE_INFINITY, ...new Set(found.slice(before)));
}

function relevantOf(key: object, policies: readonly NamedPolicy[], effect: Statement["effect"], action: string): Relevant {
  let kept = known.get(key);
  if (!kept) {
    kept = { Allow: new Map(), Deny: new Map() };
    known.set(key, kept);
  }
  let relevant = kept[effect].get(action);
  if (!relevant) {
    relevant = sorted(policies, effect, action);
    if (kept[effect].size >= mostActions) kept[effect].clear();
    kept[effect].set(action, relevant);
  }
  return relevant;
}

function sorted(policies: readonly NamedPolicy[], effect: Statement["effect"], action: string): Relevant {
  const named = new Map<string, Candidate[]>();
  const lettered = new Map<string, Candidate[]>();
  const others: Candidate[] = [];
  for (const policy of policies) {
    for (const ready of compile(policy.document)) {
      if (ready.statement.effect !== effect || !ready.matchesAction(action)) continue;
      const candidate = { policy, ready };
      const places = ready.resources?.map(placeOf);
      if (!places || places.includes(undefined)) {
        others.push(candidate);
        continue;
      }
      const seen = new Set<string>();
      for (const place of places) {
        const { exact, letters } = place!;
        const text = exact ?? letters!;
        const id = `${exact === undefined} ${text}`;
        if (seen.has(id)) continue;
        seen.add(id);
        const map = exact === undefined ? lettered : named;
        const list = map.get(text);
        if (list) list.push(candidate);
        else map.set(text, [candidate]);
      }
    }
  }
  return { named, lettered, lengths: lengths.filter((size) => [...lettered.keys()].some(({ length }) => length === size)), others };
}

/** Where a resource's pattern is looked for; undefined: nowhere in particular. */
function placeOf(template: Template): { readonly exact?: string; readonly letters?: string } | undefined {
  const literals = template.flatMap((piece) => ("literal" in piece ? [piece.literal] : []));
  if (literals.length === template.length) return { exact: literals.join("") };
  // What comes last in a pattern tells most, if it is long enough to tell anything.
  const chosen = literals.findLast(({ length }) => length >= 3);
  const size = chosen === undefined ? undefined : lengths.find((each) => each <= chosen.length);
  return size === undefined ? undefined : { letters: chosen!.slice(-size) };
}
