import { expiry, keys } from "./records.ts";
import type { GroupRecord, StreamRecord } from "./records.ts";
import type { LogsState } from "./state.ts";

const PERIOD_MS = 10 * 60 * 1000;

/** Deletes what expired, now and every ten minutes; readers don't see it any more from the moment on. Returns how to stop. */
export function startRetention(state: LogsState): () => Promise<void> {
  const { clock, log } = state.deps;
  let stopped = false;
  let cancel = () => {};
  let running: Promise<void> = Promise.resolve();
  const run = () => {
    running = expireAll(state, () => stopped)
      .catch((error: unknown) => log.error({ err: error }, "expired log events could not be deleted"))
      .then(() => {
        if (!stopped) cancel = clock.after(PERIOD_MS, run);
      });
  };
  run();
  return async () => {
    stopped = true;
    cancel();
    await running;
  };
}

async function expireAll(state: LogsState, stopped: () => boolean): Promise<void> {
  const { groups, streams } = await records(state);
  for (const [id, group] of groups) {
    if (group.retentionInDays === undefined) continue;
    for (const stream of streams.get(id) ?? []) {
      if (stopped()) return;
      await state.files.use({ group: id, stream: stream.id }, (log) => log.expire(expiry(group, state.deps.clock.now())));
    }
  }
}

/**
 * Removes the files of deleted groups and streams that a crash left behind. A record comes before its folder, so a folder that was seen before the
 * records were read, and that none of them names, is of a deleted one.
 */
export async function sweep(state: LogsState): Promise<void> {
  const folders = await state.files.folders();
  const { groups, streams } = await records(state);
  for (const [group, found] of folders) {
    if (!groups.has(group)) await state.files.removeGroup(group);
    const known = new Set(streams.get(group)?.map(({ id }) => id));
    for (const stream of found) if (groups.has(group) && !known.has(stream)) await state.files.removeStream({ group, stream });
  }
}

/** All groups and streams of all accounts and regions, by the group's id. */
async function records(state: LogsState): Promise<{ groups: Map<string, GroupRecord>; streams: Map<string, StreamRecord[]> }> {
  const { entries } = await state.deps.store.list(keys.everything);
  const groups = new Map<string, GroupRecord>();
  const streams = new Map<string, StreamRecord[]>();
  for (const { key, value } of entries) {
    const [, , , , kind, groupId] = key.split("/");
    if (kind === "group") groups.set((value as GroupRecord).id, value as GroupRecord);
    else if (groupId !== undefined) streams.set(groupId, [...(streams.get(groupId) ?? []), value as StreamRecord]);
  }
  return { groups, streams };
}
