/** The policy language: pure. */
export { contextKeysOf } from "./context-keys.ts";
export type { NamedPolicy, PolicyDocument, PolicyKind, Statement } from "./document.ts";
export {
  type AuthorizationRequest,
  type Decision,
  evaluate,
  type MatchedStatement,
  type PolicySet,
  type PolicySource as PolicyOrigin,
} from "./evaluate.ts";
export { denialMessage } from "./message.ts";
export { parsePolicy } from "./parse.ts";
export type { PrincipalFacts } from "./principals.ts";
