/**
 * Commands that look, and the one that speaks to everybody.
 *
 * @module
 */
import { type AdminContext, eventOf, limitOf, misuse, refuse, type Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { momentText } from "../base/moment.ts";
import { findUser } from "./find.ts";
import { AdminEvents, recordEvent } from "../store/admin_events.ts";

/** Longest announcement, in characters. */
const ANNOUNCEMENT_MAX = 1_000;

/** `announce TEXT`. */
export async function announce(context: AdminContext, words: readonly string[]): Promise<Result> {
  const text = words.join(" ");
  if (text.trim() === "") throw misuse("announce needs a text.");
  if ([...text].length > ANNOUNCEMENT_MAX || !text.isWellFormed()) {
    throw refuse(`The text is longer than ${ANNOUNCEMENT_MAX} characters, or not valid Unicode`);
  }
  await context.db.transaction((tx) => recordEvent(tx, eventOf(context, "announce", null, { text })));
  return { lines: ["Everybody who is online will read it."], json: { text } };
}

/** `audit`: what operators did, the newest last. */
export async function audit({ db, options }: AdminContext): Promise<Result> {
  const user = options.of === null ? undefined : await findUser(db, options.of);
  const events = await new AdminEvents(db).list({
    before: Number.MAX_SAFE_INTEGER,
    limit: limitOf(options),
    ...(user ? { userId: user.id } : {}),
    ...(options.what === null ? {} : { what: options.what }),
  });
  events.reverse();
  const lines = tableLines(
    ["when", "what", "user", "by", ""],
    events.map(({ at, what, userId, actor, detail }) => [
      momentText(at),
      what,
      userId,
      actor,
      Object.entries(detail).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(" "),
    ]),
  );
  return { lines: lines.length > 0 ? lines : ["Nothing."], json: { events } };
}

/** What `stats` counts: a name for people and programs, and the statement. */
const COUNTS: Readonly<Record<string, string>> = {
  users: "SELECT COUNT(*) AS n FROM User WHERE status <> 2",
  online: "SELECT COUNT(*) AS n FROM User WHERE state = 'online'",
  disabled: "SELECT COUNT(*) AS n FROM User WHERE status = 1",
  deleted: "SELECT COUNT(*) AS n FROM User WHERE status = 2",
  groups: "SELECT COUNT(*) AS n FROM AllGroup WHERE dissolved = 0",
  conversations: "SELECT COUNT(*) AS n FROM Conversation",
  messages: "SELECT COALESCE(SUM(last_seq - first_seq + 1), 0) AS n FROM Conversation",
  devices: "SELECT COUNT(*) AS n FROM Device",
  tokens: "SELECT (SELECT COUNT(*) FROM Token) + (SELECT COUNT(*) FROM Device WHERE expires > 0) AS n",
  codes: "SELECT COUNT(*) AS n FROM AccessCode",
};

/** `stats`. Messages are counted by the places there are in the log, which takes no time. */
export async function stats({ db }: AdminContext): Promise<Result> {
  const counts: Record<string, number> = {};
  for (const [name, statement] of Object.entries(COUNTS)) {
    const [row] = await db.query<{ n: number }>(statement);
    counts[name] = Number(row?.n ?? 0);
  }
  return { lines: tableLines(["what", "count"], Object.entries(counts)), json: counts };
}
