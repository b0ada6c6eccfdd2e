/**
 * Holds what users noted against what the database keeps.
 *
 * @module
 */

import { waitFor } from "../support/process.ts";
import type { Hearer, Ledger } from "./ledger.ts";
import type { Store } from "./store.ts";

/** Generous: it is only ever reached by a failure. */
const DEADLINE_MS = 90_000;
/** Where it is not known what is still to be stored: nothing has been for so long. */
const QUIET_MS = 1_000;

/** A row of the table Message. */
interface Row {
  conversation: string;
  seq: number;
  sender: number;
  /** 0: a message; any other: an entry that tells of something, which these users are not sent. */
  kind: number;
  key: string;
}

/** What is allowed to be missing. */
export interface Allowance {
  /**
   * Version 1 messages that a node had taken and not stored: nobody was told that they are, and the node was killed or cut
   * off.
   */
  unstoredV1: boolean;
}

/** How a round ended. */
export interface Audit {
  /** Messages that are gone: acknowledged and not stored, or not heard by somebody entitled to them. */
  lost: number;
  /** Messages of version 1 users that were not stored, and need not have been. */
  unstoredV1: number;
  /** Each thing that is wrong, in words. Nothing is lost when there is none. */
  faults: string[];
}

/** Nobody is sent what it said itself, unless it said it to itself. */
function isSentBack(userId: number, conversation: string): boolean {
  return conversation === `u${userId}-${userId}`;
}

/** Whether a hearer is to have what its user has said: a device has it, from another one or by saying it. */
function hasOwn({ userId, version }: Hearer, conversation: string): boolean {
  return version === 3 || isSentBack(userId, conversation);
}

/** How many messages each hearer is entitled to. */
async function entitled(store: Store, ledger: Ledger): Promise<Map<Hearer, number>> {
  const rows = await store.sql(
    "SELECT u.userid, u.conversation, m.sender = u.userid, COUNT(*) FROM Member u JOIN Message m " +
      "ON m.conversation = u.conversation AND m.seq > u.since AND m.kind = 0 GROUP BY 1, 2, 3",
  );
  const counts = new Map<Hearer, number>();
  for (const [user, conversation = "", isOwn, count] of rows) {
    for (const hearer of ledger.hearers(Number(user))) {
      if (isOwn === "1" && !hasOwn(hearer, conversation)) continue;
      counts.set(hearer, (counts.get(hearer) ?? 0) + Number(count));
    }
  }
  return counts;
}

/** Resolves when everyone has heard what the database holds for them, or it takes so long that it never will. */
export async function everyoneHasHeard(store: Store, ledger: Ledger, allowance: Allowance): Promise<void> {
  let stored = -1;
  let storedAt = 0;
  await waitFor("everybody to have heard everything", async () => {
    const [[count = "0"] = []] = await store.sql("SELECT COUNT(*) FROM Message WHERE kind = 0");
    if (stored !== Number(count)) storedAt = performance.now();
    stored = Number(count);
    // What version 1 users said last may still be on its way.
    if (allowance.unstoredV1 ? performance.now() - storedAt < QUIET_MS : stored < ledger.said.size) {
      return false;
    }
    for (const [{ keys }, expected] of await entitled(store, ledger)) if (keys.size < expected) return false;
    return true;
  }, DEADLINE_MS).catch((error) => ledger.oddities.push(String(error)));
}

async function readRows(store: Store): Promise<Row[]> {
  const rows = await store.sql(
    `SELECT conversation, seq, sender, kind, ${
      store.field("message", "key")
    } FROM Message ORDER BY conversation, seq`,
  );
  return rows.map(([conversation = "", seq, sender, kind, key = ""]) => ({
    conversation,
    seq: Number(seq),
    sender: Number(sender),
    kind: Number(kind),
    key,
  }));
}

/** Looks at everything there is, from the first message on. */
export async function audit(store: Store, ledger: Ledger, allowance: Allowance): Promise<Audit> {
  const entries = await readRows(store);
  const rows = entries.filter(({ kind }) => kind === 0);
  const faults: string[] = [];
  const lost = new Set<string>();
  let unstoredV1 = 0;
  const byKey = new Map(rows.map((row) => [row.key, row]));

  if (byKey.size !== rows.length) faults.push(`${rows.length} rows hold ${byKey.size} messages`);
  for (const { key, sender } of rows) {
    const said = ledger.said.get(key);
    if (!said || Number(key.split(".")[0]) !== sender) {
      faults.push(`${key} is stored as said by ${sender} and was never said`);
    }
  }
  for (const [key, { version, place }] of ledger.said) {
    const row = byKey.get(key);
    if (version > 1 && !place) faults.push(`${key} has no answer`);
    if (!row && version === 1 && allowance.unstoredV1) {
      ledger.said.delete(key);
      unstoredV1++;
    } else if (!row && (place || version === 1)) lost.add(`${key} is not stored`);
    if (row && place && (row.conversation !== place.conversation || row.seq !== place.seq)) {
      faults.push(`${key} is at ${row.conversation} ${row.seq}, its sender was told ${place.seq}`);
    }
  }
  faults.push(...await findHoles(store, entries));
  await findUnheard(store, ledger, rows, faults, lost);
  findDisorder(ledger, rows, faults);
  faults.push(...ledger.oddities.splice(0));
  return { lost: lost.size, unstoredV1, faults: [...lost, ...faults] };
}

/** Seqs count from 1 without holes up to what the conversation says. */
async function findHoles(store: Store, rows: Row[]): Promise<string[]> {
  const faults: string[] = [];
  const ends = new Map<string, number>();
  for (const { conversation, seq } of rows) {
    const expected = (ends.get(conversation) ?? 0) + 1;
    if (seq !== expected) faults.push(`${conversation} goes on with ${seq} instead of ${expected}`);
    ends.set(conversation, seq);
  }
  for (const [id = "", lastSeq] of await store.sql("SELECT id, last_seq FROM Conversation")) {
    if ((ends.get(id) ?? 0) !== Number(lastSeq)) {
      faults.push(`${id} ends with ${ends.get(id) ?? 0} and says ${lastSeq}`);
    }
  }
  return faults;
}

/** Everybody has heard exactly what it is entitled to. */
async function findUnheard(
  store: Store,
  ledger: Ledger,
  rows: Row[],
  faults: string[],
  lost: Set<string>,
): Promise<void> {
  const byConversation = Map.groupBy(rows, ({ conversation }) => conversation);
  const expected = new Map<Hearer, number>();
  for (
    const [user, conversation = "", since] of await store.sql(
      "SELECT userid, conversation, since FROM Member",
    )
  ) {
    const messages = (byConversation.get(conversation) ?? []).filter(({ seq }) => seq > Number(since));
    for (const hearer of ledger.hearers(Number(user))) {
      const { userId, version } = hearer;
      const heard = hearer.seqs(conversation);
      for (const { seq, sender, key } of messages) {
        if (sender === userId && !hasOwn(hearer, conversation)) continue;
        expected.set(hearer, (expected.get(hearer) ?? 0) + 1);
        const place = `${conversation} ${seq}`;
        const heardKey = heard.get(seq);
        if (heardKey === undefined) {
          lost.add(`${key} (${place}) was not heard by user ${userId} (version ${version})`);
        } else if (heardKey !== key) faults.push(`user ${userId} heard ${heardKey} for ${place}: ${key}`);
      }
    }
  }
  for (const [{ userId, heard }, count] of expected) {
    let heardCount = 0;
    for (const seqs of heard.values()) heardCount += seqs.size;
    if (heardCount > count) faults.push(`user ${userId} heard ${heardCount - count} messages of nobody`);
  }
}

/** A version 1 sender's messages are in the log in the order they were said; version 2 senders repeat as they like. */
function findDisorder(ledger: Ledger, rows: Row[], faults: string[]): void {
  const last = new Map<string, number>();
  for (const { conversation, sender, key } of rows) {
    if (ledger.said.get(key)?.version !== 1) continue;
    const line = `${conversation} ${sender}`;
    const count = Number(key.split(".")[1]);
    if (count < (last.get(line) ?? 0)) faults.push(`${key} was stored in ${conversation} after a later one`);
    last.set(line, count);
  }
}
