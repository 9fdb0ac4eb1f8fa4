import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Credentials, PayloadTask } from "#agent-protocol/messages.ts";
import type { Report } from "./task/report.ts";
import type { TaskState } from "./task/state.ts";

/**
 * The agent's memory: one SQLite file under the data directory. Written before anything is done in the world, so that a SIGKILL at any
 * moment leaves a record from which the next start goes on. Writer: this process only (one agent for a data directory, by lock).
 */
export interface Journal {
  get(key: string): string | undefined;
  set(key: string, value: string | undefined): void;
  tasks(): readonly JournaledTask[];
  /** Tasks are taken on: on disk, through a power cut too, before the payload is acknowledged. */
  accept(tasks: readonly JournaledTask[]): void;
  save(state: TaskState): void;
  /** The task's payload may change its credentials later; the newest is kept. */
  savePayload(payload: PayloadTask): void;
  forget(arn: string): void;
  /** Queues a state change; an unsent one of the same status gives way to it. */
  queue(report: Report): void;
  /** The oldest unsent state change of a task. */
  nextReport(arn: string): QueuedReport | undefined;
  unsent(): readonly string[];
  sent(report: QueuedReport): void;
  /** The latest state change queued for the task, sent or not. */
  lastReport(arn: string): string | undefined;
  offset(file: string): number;
  saveOffset(file: string, offset: number): void;
  forgetOffsets(prefix: string): void;
  imageUsed(image: string): void;
  knowsImage(image: string): boolean;
  close(): void;
}

export interface JournaledTask {
  readonly payload: PayloadTask;
  readonly state: TaskState;
}

export interface QueuedReport {
  readonly sequence: number;
  readonly queuedAt: number;
  readonly report: Report;
}

const schema = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS task (arn TEXT PRIMARY KEY, payload TEXT NOT NULL, state TEXT NOT NULL, last_report TEXT) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS report (sequence INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL, status TEXT NOT NULL, queued_at INTEGER NOT NULL, body TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS report_arn ON report (arn, sequence);
  CREATE TABLE IF NOT EXISTS log_offset (file TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS image (name TEXT PRIMARY KEY, used_at INTEGER NOT NULL) WITHOUT ROWID;
`;

/** Credentials are nothing for a disk: of a role's there stays that the task has them. They come again with the connection. */
function withoutSecrets(payload: PayloadTask): PayloadTask {
  const { roleCredentials, executionRoleCredentials } = payload;
  const empty = (credentials: Credentials): Credentials => ({ ...credentials, accessKeyId: "", secretAccessKey: "", sessionToken: "" });
  return {
    ...payload,
    ...(roleCredentials ? { roleCredentials: empty(roleCredentials) } : {}),
    ...(executionRoleCredentials ? { executionRoleCredentials: empty(executionRoleCredentials) } : {}),
  };
}

/** Opens `<dataDir>/agent.db`, or one in memory (`:memory:`) for tests. Throws when another agent holds it. */
export function openJournal(dataDir: string, now: () => number): Journal {
  if (dataDir !== ":memory:") mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(dataDir === ":memory:" ? dataDir : join(dataDir, "agent.db"));
  db.exec(
    "PRAGMA busy_timeout=3000; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512; BEGIN EXCLUSIVE; COMMIT",
  );
  db.exec(schema);
  const statements = new Map<string, StatementSync>();
  const prepare = (sql: string) => {
    let statement = statements.get(sql);
    if (!statement) statements.set(sql, (statement = db.prepare(sql)));
    return statement;
  };
  const run = (sql: string, ...values: (string | number | null)[]) => void prepare(sql).run(...values);
  const all = <T>(sql: string, ...values: (string | number)[]) => prepare(sql).all(...values) as T[];
  const one = <T>(sql: string, ...values: (string | number)[]) => prepare(sql).get(...values) as T | undefined;
  const transaction = (action: () => void) => {
    db.exec("BEGIN IMMEDIATE");
    try {
      action();
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  };
  return {
    get: (key) => one<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)?.value,
    set(key, value) {
      if (value === undefined) run("DELETE FROM meta WHERE key = ?", key);
      else run("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value);
    },
    tasks: () =>
      all<{ payload: string; state: string }>("SELECT payload, state FROM task").map(({ payload, state }) => ({
        payload: JSON.parse(payload) as PayloadTask,
        state: JSON.parse(state) as TaskState,
      })),
    accept(list) {
      if (list.length === 0) return;
      db.exec("PRAGMA synchronous=FULL");
      transaction(() => {
        for (const { payload, state } of list)
          run(
            "INSERT OR IGNORE INTO task (arn, payload, state) VALUES (?, ?, ?)",
            payload.arn,
            JSON.stringify(withoutSecrets(payload)),
            JSON.stringify(state),
          );
      });
      db.exec("PRAGMA synchronous=NORMAL");
    },
    save: (state) => run("UPDATE task SET state = ? WHERE arn = ?", JSON.stringify(state), state.arn),
    savePayload: (payload) => run("UPDATE task SET payload = ? WHERE arn = ?", JSON.stringify(withoutSecrets(payload)), payload.arn),
    forget: (arn) =>
      transaction(() => {
        run("DELETE FROM task WHERE arn = ?", arn);
        run("DELETE FROM report WHERE arn = ?", arn);
      }),
    queue(report) {
      const body = JSON.stringify(report);
      transaction(() => {
        run("DELETE FROM report WHERE arn = ? AND status = ?", report.task, report.status);
        run("INSERT INTO report (arn, status, queued_at, body) VALUES (?, ?, ?, ?)", report.task, report.status, now(), body);
        run("UPDATE task SET last_report = ? WHERE arn = ?", body, report.task);
      });
    },
    nextReport(arn) {
      const row = one<{ sequence: number; queued_at: number; body: string }>(
        "SELECT sequence, queued_at, body FROM report WHERE arn = ? ORDER BY sequence LIMIT 1",
        arn,
      );
      return row && { sequence: row.sequence, queuedAt: row.queued_at, report: JSON.parse(row.body) as Report };
    },
    unsent: () => all<{ arn: string }>("SELECT DISTINCT arn FROM report").map(({ arn }) => arn),
    sent: ({ sequence }) => run("DELETE FROM report WHERE sequence = ?", sequence),
    lastReport: (arn) => one<{ last_report: string | null }>("SELECT last_report FROM task WHERE arn = ?", arn)?.last_report ?? undefined,
    offset: (file) => one<{ position: number }>("SELECT position FROM log_offset WHERE file = ?", file)?.position ?? 0,
    saveOffset: (file, offset) =>
      run("INSERT INTO log_offset VALUES (?, ?) ON CONFLICT (file) DO UPDATE SET position = excluded.position", file, offset),
    forgetOffsets: (prefix) => run("DELETE FROM log_offset WHERE substr(file, 1, length(?)) = ?", prefix, prefix),
    imageUsed: (image) => run("INSERT INTO image VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET used_at = excluded.used_at", image, now()),
    knowsImage: (image) => one("SELECT 1 FROM image WHERE name = ?", image) !== undefined,
    close: () => db.close(),
  };
}
