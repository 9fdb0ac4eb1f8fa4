import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";
import type { Principal } from "./contract.ts";

const most = 1000;
const known = new Map<string, NamedPolicy["document"]>();

/** They come as text with each request, so what was read once is kept. They were checked when the session was made. */
function documentOf(text: string): NamedPolicy["document"] {
  const found = known.get(text);
  if (found) return found;
  const { document, problem } = parsePolicy(text, "identity");
  if (!document) throw new Error(`a session policy cannot be read: ${problem}`);
  if (known.size >= most) known.clear();
  known.set(text, document);
  return document;
}

/** The session policies of who asks, named by their places. */
export function sessionPolicies({ identity, session }: Principal): { readonly session?: readonly NamedPolicy[] } {
  if (!session || session.policies.length === 0 || identity?.kind === "Anonymous") return {};
  return { session: session.policies.map((text, index) => ({ name: `session-policy-${index + 1}`, document: documentOf(text) })) };
}
