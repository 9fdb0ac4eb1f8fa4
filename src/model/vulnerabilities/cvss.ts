/** Weights of CVSS 3.0 and 3.1's base metrics. Source: FIRST, "CVSS v3.1 Specification Document", 7.4. */
const weights = new Map(
  Object.entries({
    "AV:N": 0.85,
    "AV:A": 0.62,
    "AV:L": 0.55,
    "AV:P": 0.2,
    "AC:L": 0.77,
    "AC:H": 0.44,
    "PR:N": 0.85,
    "PR:L": 0.62,
    "PR:H": 0.27,
    "UI:N": 0.85,
    "UI:R": 0.62,
    "C:H": 0.56,
    "C:L": 0.22,
    "C:N": 0,
    "I:H": 0.56,
    "I:L": 0.22,
    "I:N": 0,
    "A:H": 0.56,
    "A:L": 0.22,
    "A:N": 0,
  }),
);
/** Privileges weigh less where the scope changes. */
const changedPrivileges = new Map([
  ["PR:L", 0.68],
  ["PR:H", 0.5],
]);

/** The base score of a CVSS 3 vector, 0 to 10 with one decimal; undefined when it is none. Source: same, 7.1 and appendix A. */
export function cvss3BaseScore(vector: string): number | undefined {
  if (!/^CVSS:3\.[01]\//.test(vector)) return undefined;
  const metrics = vector.split("/").slice(1);
  const changed = metrics.includes("S:C");
  if (!changed && !metrics.includes("S:U")) return undefined;
  const values: number[] = [];
  for (const name of ["AV", "AC", "PR", "UI", "C", "I", "A"]) {
    const metric = metrics.find((each) => each.startsWith(`${name}:`)) ?? "";
    const weight = (changed ? changedPrivileges.get(metric) : undefined) ?? weights.get(metric);
    if (weight === undefined) return undefined;
    values.push(weight);
  }
  const [av, ac, pr, ui, c, i, a] = values as [number, number, number, number, number, number, number];
  const base = 1 - (1 - c) * (1 - i) * (1 - a);
  const impact = changed ? 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 : 6.42 * base;
  if (impact <= 0) return 0;
  const exploitability = 8.22 * av * ac * pr * ui;
  return roundUp(Math.min((changed ? 1.08 : 1) * (impact + exploitability), 10));
}

/** To the next tenth, by integers: floating point would round 4.0 up to 4.1 now and then. */
function roundUp(value: number): number {
  const whole = Math.round(value * 100_000);
  return whole % 10_000 === 0 ? whole / 100_000 : (Math.floor(whole / 10_000) + 1) / 10;
}
