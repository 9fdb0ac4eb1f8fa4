import { ApiError } from "#api/contract.ts";
import type { Node } from "#scheduler/types.ts";

/** A memberOf constraint's expression in the cluster query language. */
export function compileExpression(_expression: string): (node: Node) => boolean {
  throw new ApiError("NotImplemented", "Gantry does not support memberOf expressions yet.", 501);
}
