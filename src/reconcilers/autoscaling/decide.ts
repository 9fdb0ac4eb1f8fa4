import type { GroupRecord, MemberRecord } from "#model/autoscaling-records.ts";
import type { InstanceState } from "#model/instance-records.ts";

/** What a group and its instances are to become. Pure: the same facts give the same answer, and what has been done is not wanted again. */
export interface GroupFacts {
  readonly group: GroupRecord;
  readonly members: readonly MemberRecord[];
  /** Of EC2; undefined: it knows none of that id. */
  readonly stateOf: (id: string) => InstanceState | undefined;
  /** Names of the group's hooks: one that was deleted holds nobody any more. */
  readonly hooks: ReadonlySet<string>;
  /** The group's subnets and their zones. */
  readonly subnets: readonly { readonly id: string; readonly zone: string }[];
}

export interface GroupDecision {
  /** Subnets, one for each instance to launch. */
  readonly launches: readonly string[];
  /** They have come into service. */
  readonly arrived: readonly MemberRecord[];
  /** To begin to end, with the cause that is shown. */
  readonly leaving: readonly { readonly member: MemberRecord; readonly cause: Cause }[];
  /** The hooks of those are over, or there is none: EC2 is to terminate them. */
  readonly terminate: readonly MemberRecord[];
  /** EC2 has. */
  readonly gone: readonly MemberRecord[];
  /** The group is to be deleted, and nothing is left of it. */
  readonly over: boolean;
  readonly wakeAt: number | undefined;
}

export type Cause = "scale-in" | "unhealthy" | "deleted";

const isActive = ({ lifecycle }: MemberRecord) => lifecycle === "Pending" || lifecycle === "InService";

export function decideGroup({ group, members, stateOf, hooks, subnets }: GroupFacts, now: number): GroupDecision {
  const suspended = (name: string) => group.suspended.some((each) => each.name === name);
  const arrived: MemberRecord[] = [];
  const leaving: { member: MemberRecord; cause: Cause }[] = [];
  const terminate: MemberRecord[] = [];
  const gone: MemberRecord[] = [];
  const active: MemberRecord[] = [];
  const times: number[] = [];
  for (const member of members) {
    const state = stateOf(member.id);
    if (state === undefined || state === "terminated") {
      gone.push(member);
      continue;
    }
    if (!isActive(member)) {
      if (member.lifecycle === "Terminating:Wait") {
        const open = (member.waiting?.hooks ?? []).filter(({ name, until }) => until > now && hooks.has(name));
        if (open.length === 0) terminate.push(member);
        else times.push(Math.min(...open.map(({ until }) => until)));
      } else if (state !== "shutting-down") terminate.push(member);
      continue;
    }
    if (group.deleting) {
      leaving.push({ member, cause: "deleted" });
      continue;
    }
    const ill = member.unhealthy === true || (state !== "running" && state !== "pending");
    if (ill && !suspended("HealthCheck") && !suspended("ReplaceUnhealthy")) {
      if (!suspended("Terminate")) leaving.push({ member, cause: "unhealthy" });
      continue;
    }
    active.push(member);
    if (member.lifecycle === "Pending" && state === "running") arrived.push(member);
  }
  const surplus = active.length - group.desired;
  if (surplus > 0 && !suspended("Terminate") && !group.deleting)
    for (const member of victims(active, surplus)) leaving.push({ member, cause: "scale-in" });
  const missing = group.deleting || suspended("Launch") || subnets.length === 0 ? 0 : Math.max(0, group.desired - active.length);
  const paused = (group.pausedUntil ?? 0) > now;
  if (missing > 0 && paused) times.push(group.pausedUntil!);
  const launches = paused ? [] : placesFor(active, subnets, missing);
  const later = times.filter((time) => time > now);
  return {
    launches,
    arrived,
    leaving,
    terminate,
    gone,
    over: group.deleting === true && members.length === gone.length,
    wakeAt: later.length > 0 ? Math.min(...later) : undefined,
  };
}

/** Who goes when there are too many: of the zone with the most, who is not in service yet, then of the oldest template version, then the oldest. Source: Amazon EC2 Auto Scaling User Guide, "Termination policy scenarios", the default. */
export function victims(active: readonly MemberRecord[], count: number): MemberRecord[] {
  const left = active.filter((member) => !member.protected || member.lifecycle === "Pending");
  const zones = new Map<string, number>();
  for (const { zone } of active) zones.set(zone, (zones.get(zone) ?? 0) + 1);
  const chosen: MemberRecord[] = [];
  while (chosen.length < count && left.length > 0) {
    left.sort(
      (a, b) =>
        (zones.get(b.zone) ?? 0) - (zones.get(a.zone) ?? 0) ||
        Number(a.lifecycle === "InService") - Number(b.lifecycle === "InService") ||
        a.template.version - b.template.version ||
        a.joinedAt - b.joinedAt ||
        (a.id < b.id ? -1 : 1),
    );
    const next = left.shift()!;
    zones.set(next.zone, (zones.get(next.zone) ?? 1) - 1);
    chosen.push(next);
  }
  return chosen;
}

/** The zone with the fewest first. */
function placesFor(active: readonly MemberRecord[], subnets: GroupFacts["subnets"], count: number): string[] {
  const zones = new Map(subnets.map(({ zone }) => [zone, 0]));
  for (const { zone } of active) if (zones.has(zone)) zones.set(zone, zones.get(zone)! + 1);
  const places: string[] = [];
  for (let each = 0; each < count; each++) {
    const [zone] = [...zones].reduce((least, next) => (next[1] < least[1] ? next : least));
    const inZone = subnets.filter((subnet) => subnet.zone === zone);
    places.push(inZone[zones.get(zone)! % inZone.length]!.id);
    zones.set(zone, zones.get(zone)! + 1);
  }
  return places;
}
