/** An item of a capacity-provider strategy; what is not given is 0. */
export interface ProviderShare {
  readonly capacityProvider: string;
  readonly base?: number;
  readonly weight?: number;
}

/**
 * Which provider each of the next `count` tasks goes to, in order. Bases are filled first; what is beyond them is divided by weight, over the
 * tasks that exist and the new ones together: at every length each provider is within one task of its share, where `existing` allows
 * it. Shorter than `count` (or empty) when no provider has a weight: AWS fails such a request. Source: ECS Developer Guide,
 * "Amazon ECS capacity provider concepts": "the weight value is taken into consideration after the base value, if defined, is satisfied".
 */
export function splitByStrategy(strategy: readonly ProviderShare[], existing: ReadonlyMap<string, number>, count: number): string[] {
  const providers = strategy.map(({ capacityProvider: name, base = 0, weight = 0 }) => {
    const tasks = existing.get(name) ?? 0;
    return { name, weight, toBase: Math.max(0, base - tasks), beyond: Math.max(0, tasks - base) };
  });
  const weighed = providers.filter(({ weight }) => weight > 0);
  const weights = weighed.reduce((sum, { weight }) => sum + weight, 0);
  let beyond = weighed.reduce((sum, provider) => sum + provider.beyond, 0);
  const chosen: string[] = [];
  while (chosen.length < count) {
    const based = providers.find(({ toBase }) => toBase > 0);
    if (based) {
      based.toBase -= 1;
      chosen.push(based.name);
      continue;
    }
    beyond += 1;
    // Balinski and Young's quota method: of those that one more would not put above their share, the one with the fewest tasks for its weight.
    const below = weighed.filter((provider) => provider.beyond * weights < provider.weight * beyond);
    const next = below.reduce<(typeof weighed)[number] | undefined>(
      (best, each) => (best && each.weight * (best.beyond + 1) <= best.weight * (each.beyond + 1) ? best : each),
      undefined,
    );
    if (!next) break;
    next.beyond += 1;
    chosen.push(next.name);
  }
  return chosen;
}
