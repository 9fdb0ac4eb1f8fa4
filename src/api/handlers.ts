import type { RequestContext } from "./contract.ts";

/**
 * The typed handlers of a service: some of its operations, each from the SDK's input to the SDK's output. Use with `satisfies`, so that the compiler
 * checks every handler against AWS's own shapes.
 */
export type Handlers<Operations extends Record<keyof Operations, { input: unknown; output: unknown }>> = {
  readonly [Name in keyof Operations]?: (
    input: Operations[Name]["input"],
    context: RequestContext,
  ) => Operations[Name]["output"] | Promise<Operations[Name]["output"]>;
};
