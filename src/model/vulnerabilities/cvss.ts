/** Weights of CVSS 3.0 and 3.1's base metrics. Source: FIRST, "CVSS v3.1 Specification Document", 7.4. */
const weights: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  AV: { N: 0.85, A: 0.62, L: 0.55, P: 0.2 },
  AC: { L: 0.77, H: 0.44 },
  UI: { N: 0.85, R: 0.62 },
  C: { H: 0.56, L: 0.22, N: 0 },
  I: { H: 0.56, L: 0.22, N: 0 },
  A: { H: 0.56, L: 0.22, N: 0 },
};
const privileges = { U: { N: 0.85, L: 0.62, H: 0.27 }, C: { N: 0.85, L: 0.68, H: 0.5 } } as const;

/** The base score of a CVSS 3 vector, 0 to 10 with one decimal; undefined when it is none. Source: same, 7.1 and appendix A. */
export function cvss3BaseScore(vector: string): number | undefined {
  if (!/^CVSS:3\.[01]\//.test(vector)) return undefined;
  const metrics = new Map(
    vector
      .split("/")
      .slice(1)
      .map((each) => each.split(":") as [string, string]),
  );
  const weight = (name: string) => weights[name]?.[metrics.get(name) ?? ""];
  const scope = metrics.get("S");
  if (scope !== "U" && scope !== "C") return undefined;
  const privilege = privileges[scope][metrics.get("PR") as "N"];
  const [av, ac, ui, c, i, a] = ["AV", "AC", "UI", "C", "I", "A"].map(weight);
  if ([av, ac, ui, c, i, a, privilege].includes(undefined)) return undefined;
  const base = 1 - (1 - c!) * (1 - i!) * (1 - a!);
  const impact = scope === "U" ? 6.42 * base : 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15;
  if (impact <= 0) return 0;
  const exploitability = 8.22 * av! * ac! * privilege * ui!;
  return roundUp(Math.min((scope === "U" ? 1 : 1.08) * (impact + exploitability), 10));
}

/** To the next tenth, by integers: floating point would round 4.0 up to 4.1 now and then. */
function roundUp(value: number): number {
  const whole = Math.round(value * 100_000);
  return whole % 10_000 === 0 ? whole / 100_000 : (Math.floor(whole / 10_000) + 1) / 10;
}
