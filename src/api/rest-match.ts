import { ApiError } from "./contract.ts";
import { serviceTable } from "./schema.ts";

/** Which operation of a REST service stands at a method and path. Source: Smithy, "HTTP binding traits", URI patterns. */
interface Route {
  readonly operation: string;
  readonly method: string;
  readonly pattern: RegExp;
  readonly labels: readonly string[];
  /** Literal fields of the pattern's query: present, and equal where the pattern gives a value. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Literal characters: the more, the more specific. */
  readonly weight: number;
}

const routes = new Map<string, readonly Route[]>();

function routesOf(service: string): readonly Route[] {
  let known = routes.get(service);
  if (!known) {
    known = Object.entries(serviceTable(service).operations)
      .flatMap(([operation, { h }]) => (h ? [compile(operation, h[0], h[1])] : []))
      .sort((a, b) => b.weight - a.weight);
    routes.set(service, known);
  }
  return known;
}

function compile(operation: string, method: string, uri: string): Route {
  const [path, query = ""] = uri.split("?") as [string, string?];
  const labels: string[] = [];
  const source = path.split("/").map((part) => {
    const label = /^\{(\w+)(\+?)\}$/.exec(part);
    if (!label) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    labels.push(label[1]!);
    return label[2] ? "(.+)" : "([^/]+)";
  });
  return {
    operation,
    method,
    labels,
    pattern: new RegExp(`^${source.join("/").replace(/\/$/, "")}/?$`),
    query: [...new URLSearchParams(query)],
    weight: path.replace(/\{[^}]*\}/g, "").length + query.length,
  };
}

export interface RestMatch {
  readonly operation: string;
  /** Decoded. */
  readonly labels: Readonly<Record<string, string>>;
}

export function matchRest(service: string, method: string, rawPath: string, query: URLSearchParams): RestMatch | undefined {
  for (const route of routesOf(service)) {
    if (route.method !== method) continue;
    const found = route.pattern.exec(rawPath);
    if (!found || !route.query.every(([name, value]) => query.has(name) && (value === "" || query.get(name) === value))) continue;
    const labels: Record<string, string> = {};
    try {
      route.labels.forEach((label, i) => (labels[label] = decodeURIComponent(found[i + 1]!)));
    } catch {
      throw new ApiError("SerializationException", "The path is not valid percent-encoding.", 400);
    }
    return { operation: route.operation, labels };
  }
  return undefined;
}
