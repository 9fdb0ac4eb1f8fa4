import { cvss3BaseScore } from "./cvss.ts";
import type { OsvAffected, OsvRecord } from "./osv.ts";

/** ECR's, the least first. */
export const severities = ["UNDEFINED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"] as const;
export type Severity = (typeof severities)[number];

export interface Rating {
  readonly severity: Severity;
  readonly vector?: string;
  readonly score?: number;
}

/** What distributions call them: Ubuntu's priorities, Debian's urgencies, Red Hat's and GitHub's words. */
const words = new Map<string, Severity>(
  Object.entries({
    negligible: "INFORMATIONAL",
    unimportant: "INFORMATIONAL",
    low: "LOW",
    medium: "MEDIUM",
    moderate: "MEDIUM",
    high: "HIGH",
    important: "HIGH",
    critical: "CRITICAL",
  }),
);

/**
 * How bad it is: by the distribution's own word when it has one, else by the CVSS 3 score. Source: ECR User Guide, "Scan images for OS vulnerabilities": "Amazon ECR uses the severity for a CVE from the
 * upstream distribution source if available, otherwise we use the Common Vulnerability Scoring System (CVSS) score"; NVD, "Vulnerability Metrics".
 */
export function ratingOf(record: OsvRecord, affected: OsvAffected): Rating {
  const scores = [...affected.severity, ...record.severity];
  const vector = scores.find(({ type, score }) => type === "CVSS_V3" && cvss3BaseScore(score) !== undefined)?.score;
  const score = vector === undefined ? undefined : cvss3BaseScore(vector);
  const word = [affected.urgency, scores.find(({ type }) => type === "Ubuntu")?.score, record.word]
    .map((each) => words.get(each?.toLowerCase() ?? ""))
    .find((each) => each !== undefined);
  const severity = word ?? (score === undefined ? "UNDEFINED" : qualitative(score));
  return { severity, ...(vector === undefined ? {} : { vector, score }) };
}

export function qualitative(score: number): Severity {
  if (score >= 9) return "CRITICAL";
  if (score >= 7) return "HIGH";
  if (score >= 4) return "MEDIUM";
  return score > 0 ? "LOW" : "INFORMATIONAL";
}

export const worse = (a: Rating, b: Rating) => (severities.indexOf(a.severity) >= severities.indexOf(b.severity) ? a : b);
