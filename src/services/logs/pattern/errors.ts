/** A filter pattern that CloudWatch Logs refuses; the message is AWS's. */
export class PatternError extends Error {}

export function badTerm(term: string): PatternError {
  return new PatternError(`Invalid character(s) in term '${term}'`);
}
