/**
 * What becomes of a target: pure steps, each with the commands that make HAProxy follow. A target is three servers of its backend (backends.ts): its own,
 * which begins down (HAProxy takes a server that it begins to use for up: it has no weight until it is told to be down); `.o`, in maintenance until the first checks are through; `.f`, which checks at once and goes.
 */
import type { TargetHealth, TargetReason, TargetState } from "./config.ts";
import { thresholds } from "./backends.ts";
import { firstName, openName } from "./names.ts";
import type { PlannedServer, ServerStart } from "./plan.ts";
import type { CheckReport, ServerState } from "./reports.ts";

export interface Tracked {
  readonly server: PlannedServer;
  readonly state: TargetState;
  readonly reason: TargetReason | undefined;
  readonly description: string | undefined;
  /** Its `.f` is there. */
  readonly first: boolean;
  /** `initial`: when it counts as unhealthy. `draining`: when what still runs is ended. Milliseconds since the epoch. */
  readonly until: number;
  /** `draining`: how often in a row it was found without connections. */
  readonly quiet: number;
}

export interface Step {
  readonly tracked: Tracked;
  readonly commands: readonly string[];
  /** Servers to delete as soon as HAProxy lets them go. */
  readonly removed: readonly string[];
}

const at = (server: PlannedServer, name = server.name) => `${server.backend}/${name}`;
const described: Partial<Record<TargetReason, string>> = {
  "Elb.InitialHealthChecking": "Initial health checks in progress",
  "Elb.RegistrationInProgress": "Target registration is in progress",
  "Target.DeregistrationInProgress": "Target deregistration is in progress",
  "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
  "Target.NotRegistered": "Target is not registered to the target group",
  "Target.HealthCheckDisabled": "Health checks are disabled for this target",
};

const inState = (server: PlannedServer, state: TargetState, reason?: TargetReason, description?: string): Tracked => ({
  server,
  state,
  reason,
  description: description ?? (reason && described[reason]),
  first: false,
  until: 0,
  quiet: 0,
});

/** Which of a target's servers HAProxy has already, in maintenance: those of a target that was on its way out. */
export interface Present {
  readonly main: boolean;
  readonly open: boolean;
  readonly first: boolean;
}

export function register(server: PlannedServer, now: number, has: Present): Step {
  const { main, without: unshared, open } = server.texts;
  const checked = !server.group.healthCheck.disabled;
  const main_ = at(server);
  const open_ = at(server, openName(server.name));
  const add = [
    ...(has.main ? [`set server ${main_} weight ${checked ? 0 : server.weight}`] : [`add server ${main_} ${checked ? unshared : main}`]),
    has.open ? `set server ${open_} weight ${server.weight}` : `add server ${open_} ${open}`,
    ...(checked ? [`enable health ${main_}`] : []),
    `enable server ${main_}`,
  ];
  if (!checked) return { tracked: inState(server, "healthy"), commands: add, removed: [] };
  const begun = initial(server, now, has.first);
  return { ...begun, commands: [...add, ...begun.commands] };
}

/** A target whose own servers are there, in use and without weight. If its last first check is still about, its own have to do. */
export function initial(server: PlannedServer, now: number, hasFirst = false): Step {
  const { fall, interval, timeout } = thresholds(server.group);
  const first = at(server, firstName(server.name));
  const check = [
    `add server ${first} ${server.texts.first}`,
    `set server ${first} health up`,
    `enable health ${first}`,
    `enable server ${first}`,
  ];
  return {
    tracked: {
      ...inState(server, "initial", "Elb.InitialHealthChecking"),
      first: !hasFirst,
      until: now + (fall - 1) * interval + timeout + 1000,
    },
    commands: [...begin(server, false), ...(hasFirst ? [] : check)],
    removed: [],
  };
}

/** Of a server without a weight: how it begins. */
export const begin = (server: PlannedServer, up: boolean): string[] => [
  `set server ${at(server)} health ${up ? "up" : "down"}`,
  `set server ${at(server)} weight ${server.weight}`,
];

export function reweigh(server: PlannedServer): string[] {
  return [server.name, openName(server.name)].map((name) => `set server ${at(server, name)} weight ${server.weight}`);
}

/** No new request; what runs may end. Its health is of no interest any more. */
export function drain(tracked: Tracked, now: number): Step {
  const { server } = tracked;
  const delay = (server.group.deregistrationDelay ?? 300) * 1000;
  return {
    tracked: { ...inState(server, "draining", "Target.DeregistrationInProgress"), until: now + delay },
    commands: [server.name, openName(server.name)].map((name) => `set server ${at(server, name)} state maint`),
    removed: tracked.first ? [firstName(server.name)] : [],
  };
}

/** When the delay is over: an application load balancer ends what still runs, a network load balancer lets it be. */
export function endSessions({ server }: Tracked): string[] {
  if (!server.group.protocol.startsWith("HTTP")) return [];
  return [server.name, openName(server.name)].map((name) => `shutdown sessions server ${at(server, name)}`);
}

export function reported(tracked: Tracked, report: CheckReport): Step | undefined {
  const { server, state, first } = tracked;
  const removed = report.first && first ? [firstName(server.name)] : [];
  const still = { ...tracked, first: first && removed.length === 0 };
  if (state === "initial") {
    // One passed check is enough for a new target, whoever made it.
    if (report.passed)
      return {
        tracked: { ...inState(server, "healthy"), first: false },
        commands: [`set server ${at(server)} health up`, `set server ${at(server, openName(server.name))} state ready`],
        removed: first ? [firstName(server.name)] : [],
      };
    return removed.length > 0 || report.reason !== tracked.reason ? { tracked: still, commands: [], removed } : undefined;
  }
  if (report.first) return removed.length > 0 ? { tracked: still, commands: [], removed } : undefined;
  if (state === "healthy" && report.up === false)
    return { tracked: inState(server, "unhealthy", report.reason, report.description), commands: [], removed };
  if (state === "unhealthy" && report.up === true) return { tracked: inState(server, "healthy"), commands: [], removed };
  if (state === "unhealthy" && !report.passed && report.description !== tracked.description)
    return { tracked: { ...tracked, reason: report.reason, description: report.description }, commands: [], removed };
  return undefined;
}

/** No check has passed in the time that the unhealthy threshold gives. */
export function initialOver(tracked: Tracked, last: CheckReport | undefined): Step {
  const { server, first } = tracked;
  return {
    tracked: inState(server, "unhealthy", last?.reason ?? "Target.FailedHealthChecks", last?.description ?? "Health checks failed"),
    commands: [`set server ${at(server, openName(server.name))} state ready`],
    removed: first ? [firstName(server.name)] : [],
  };
}

/** As HAProxy has it, where a report was missed. */
export function seen(tracked: Tracked, states: ReadonlyMap<string, { readonly up: boolean }>): Step | undefined {
  const { backend, name, group } = tracked.server;
  const up = states.get(`${backend}/${name}`)?.up;
  if (up === undefined || group.healthCheck.disabled) return undefined;
  if (tracked.state !== "healthy" && tracked.state !== "unhealthy" && !(tracked.state === "initial" && up)) return undefined;
  if ((tracked.state === "healthy") === up) return undefined;
  const why = up ? {} : { reason: "Target.FailedHealthChecks" as const, description: "Health checks failed" };
  return reported(tracked, {
    backend,
    server: name,
    first: false,
    passed: up,
    up,
    reason: undefined,
    description: undefined,
    ...why,
  });
}

/** How a new process begins with it. */
export function startOf(server: PlannedServer, state: TargetState | undefined): ServerStart {
  const unchecked = server.group.healthCheck.disabled ?? false;
  return { server, up: unchecked || state === "healthy", open: !unchecked && (state === "healthy" || state === "unhealthy") };
}

/** How it goes on in a new process. */
export function resumed(server: PlannedServer, tracked: Tracked | undefined, now: number): Step {
  if (server.group.healthCheck.disabled && tracked?.state !== "healthy")
    return { tracked: restored(server, "healthy"), commands: [], removed: [] };
  if (tracked?.state === "healthy" || tracked?.state === "unhealthy")
    return { tracked: { ...tracked, server, first: false }, commands: begin(server, tracked.state === "healthy"), removed: [] };
  return initial(server, now);
}

/** What a process from before our own start found out about it. */
export function recognized(server: PlannedServer, states: ReadonlyMap<string, ServerState>): "healthy" | "unhealthy" | undefined {
  const state = states.get(at(server));
  if (!state || state.maintenance) return undefined;
  if (state.up) return "healthy";
  return states.get(at(server, openName(server.name)))?.maintenance === false ? "unhealthy" : undefined;
}

export const restored = (server: PlannedServer, state: "healthy" | "unhealthy"): Tracked =>
  state === "healthy" ? inState(server, state) : inState(server, state, "Target.FailedHealthChecks", "Health checks failed");

export const healthOf = ({ server, state, reason, description }: Tracked): TargetHealth => ({
  targetGroupId: server.group.id,
  address: server.address,
  port: server.port,
  state,
  ...(reason && { reason }),
  ...(description && { description }),
});

export const without = (
  targetGroupId: string,
  address: string,
  port: number,
  reason: "Target.NotInUse" | "Target.NotRegistered",
): TargetHealth => ({
  targetGroupId,
  address,
  port,
  state: "unused",
  reason,
  description: described[reason],
});
