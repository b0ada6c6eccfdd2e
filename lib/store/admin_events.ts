/**
 * What operators have done: each change is an event, recorded in the transaction that made it. Running nodes follow the
 * events, and they are what an audit shows.
 *
 * @module
 */
import type { Database, SqlConnection, SqlValue } from "./database.ts";

/** What was done. */
export type AdminAction =
  | "password"
  | "reset"
  | "code"
  | "invite"
  | "withdraw"
  | "disable"
  | "enable"
  | "delete"
  | "sessions"
  | "device"
  | "grant"
  | "revoke"
  | "lift"
  | "dissolve"
  | "transfer"
  | "announce"
  | "trim"
  | "import"
  | "repair"
  | "backup"
  | "restored";

/** What ends all sessions of the user whom it is done to. */
const ENDS_SESSIONS: ReadonlySet<AdminAction> = new Set([
  "password",
  "reset",
  "disable",
  "delete",
  "sessions",
]);

/** An event to be recorded. */
export interface NewEvent {
  /** When, ms since the epoch. */
  at: number;
  /** Who did it, at most 100 characters. */
  actor: string;
  /** What was done. */
  what: AdminAction;
  /** To whom; null: to nobody in particular. */
  userId: number | null;
  /** What else there is to say; no secrets. */
  detail: Readonly<Record<string, string | number | boolean>>;
}

/** An event. */
export interface AdminEvent extends NewEvent {
  /** Ascends in the order in which events were committed. */
  id: number;
}

/** Which events. */
export interface EventFilter {
  /** Only those before this id. */
  before: number;
  /** Only what was done to this user. */
  userId?: number;
  /** Only these. */
  what?: string;
  /** Events at most, the newest first. */
  limit: number;
}

/**
 * Records an event and returns its id. The row of the counter is locked until the transaction ends: whoever sees an event
 * has seen all that have lower ids, or will never see them.
 */
export async function recordEvent(tx: SqlConnection, event: NewEvent): Promise<number> {
  const { at, actor, what, userId, detail } = event;
  await tx.run("UPDATE AdminCounter SET last = last + 1 WHERE id = 1");
  const [row] = await tx.query<{ last: number }>("SELECT last FROM AdminCounter WHERE id = 1");
  const id = row?.last ?? 0;
  await tx.run("INSERT INTO AdminEvent (id, at, actor, what, userid, detail) VALUES (?, ?, ?, ?, ?, ?)", [
    id,
    at,
    [...actor].slice(0, 100).join(""),
    what,
    userId,
    JSON.stringify(detail),
  ]);
  if (userId !== null && ENDS_SESSIONS.has(what)) {
    await tx.run("UPDATE User SET revoked = ? WHERE id = ?", [id, userId]);
  }
  return id;
}

type EventRow = {
  id: number;
  at: number;
  actor: string;
  what: AdminAction;
  userid: number | null;
  detail: string;
};

const COLUMNS = "id, at, actor, what, userid, detail";

/** Reads the tables AdminCounter and AdminEvent. */
export class AdminEvents {
  readonly #db: Database;

  /** Reads `db`. */
  constructor(db: Database) {
    this.#db = db;
  }

  /** The id of the newest event, and the number of the newest question (node_reports.ts). */
  async heads(): Promise<{ newest: number; question: number }> {
    const rows = await this.#db.query<{ id: number; last: number }>("SELECT id, last FROM AdminCounter");
    const last = new Map(rows.map((row) => [row.id, row.last]));
    return { newest: last.get(1) ?? 0, question: last.get(2) ?? 0 };
  }

  /** Events above the id `after`, oldest first, at most `limit`. */
  async after(after: number, limit: number): Promise<AdminEvent[]> {
    return toEvents(
      await this.#db.query<EventRow>(
        `SELECT ${COLUMNS} FROM AdminEvent WHERE id > ? ORDER BY id LIMIT ${limit}`,
        [after],
      ),
    );
  }

  /** The newest events that fit, newest first. */
  async list({ before, userId, what, limit }: EventFilter): Promise<AdminEvent[]> {
    const conditions = ["id < ?"];
    const params: SqlValue[] = [before];
    if (userId !== undefined) conditions.push("userid = ?"), params.push(userId);
    if (what !== undefined) conditions.push("what = ?"), params.push(what);
    return toEvents(
      await this.#db.query<EventRow>(
        `SELECT ${COLUMNS} FROM AdminEvent WHERE ${conditions.join(" AND ")} ORDER BY id DESC LIMIT ${limit}`,
        params,
      ),
    );
  }
}

function toEvents(rows: EventRow[]): AdminEvent[] {
  return rows.map(({ userid, detail, ...row }) => ({ ...row, userId: userid, detail: JSON.parse(detail) }));
}
