/**
 * The log's reading side: messages by conversation and seq, and how far each member has come.
 * Writing messages is message_log.ts's alone.
 *
 * @module
 */
import { mendJson } from "../protocol/mend_json.ts";
import type { ConversationId } from "../protocol/protocol.ts";
import type { Database, SqlValue } from "./database.ts";
import { KEYS_PER_STATEMENT, Lookup } from "./lookup.ts";

/** Users in one statement of {@link Messages.unsent}. */
const USERS_PER_STATEMENT = 200;
/** Where the conversation `c` ends for its member `m`, in SQL. */
const END = "CASE WHEN c.last_seq < m.until THEN c.last_seq ELSE m.until END";
/** What {@link MemberPosition.until} is of members, and the column's default. */
export const NO_END: number = Number.MAX_SAFE_INTEGER;

/**
 * The text of the row `m` of Message as it was up to the seq `until`, both in SQL: who is in a group no longer learns nothing
 * from an edit either. What was recalled since has none.
 */
export function textUntil(m: string, until: string): string {
  return `CASE WHEN ${until} >= ${NO_END} THEN ${m}.message ELSE COALESCE((SELECT v.message FROM Version v ` +
    `WHERE v.conversation = ${m}.conversation AND v.seq = ${m}.seq AND v.until > ${until} ` +
    `ORDER BY v.until LIMIT 1), ${m}.message) END`;
}

/** One row of the log. */
export interface StoredMessage extends Record<string, string | number | null> {
  /** Place in the conversation, from 1 without holes. */
  seq: number;
  /** User id. */
  sender: number;
  /** When it was stored, ms since the epoch. */
  at: number;
  /** The sender's JSON object; null once recalled. */
  message: string | null;
  /** 1: only for its sender to see; the other one of two blocked it. */
  hidden: number;
}

/** Whether `userId` may see an entry: whom one blocks writes for nobody. */
export function isVisible(
  { hidden, sender }: Pick<StoredMessage, "hidden" | "sender">,
  userId: number,
): boolean {
  return hidden === 0 || sender === userId;
}

/** How far a member has come in a conversation. */
export interface Position extends Record<string, string | number> {
  /** Entitled to what follows this seq. */
  since: number;
  /** Has everything up to this seq. */
  delivered: number;
  /** Has read everything up to this seq. */
  read: number;
}

/** A member's position in one conversation beside the conversation's end. */
export interface MemberPosition extends Position {
  /** Which conversation. */
  conversation: ConversationId;
  /** The newest seq that the user is entitled to. */
  last_seq: number;
  /** Entitled to nothing behind this seq; {@link NO_END}: still a member. */
  until: number;
  /** How far the furthest of the member's devices is, if that is known. */
  told?: number;
}

/** Where a position is moved to. */
export interface PositionMove {
  /** Whose. */
  userId: number;
  /** 0: of versions 1 and 2. */
  device: number;
  /** Where. */
  conversation: ConversationId;
  /** Has everything up to this seq. */
  delivered: number;
  /** The user has read everything up to this seq. */
  read: number;
}

/** Something that somebody has not been sent yet. */
export interface Unsent extends Record<string, number | string> {
  /** User id, or device id. */
  owner: number;
  /** Where. */
  conversation: ConversationId;
  /** The newest seq there that the owner is entitled to. */
  last_seq: number;
}

/** A page of history. */
export interface HistoryRange {
  /** Only what follows this seq. */
  after: number;
  /** Only what precedes this seq. */
  before: number;
  /** Rows at most. */
  limit: number;
  /** The oldest rows of the range, ascending; else the newest, descending. */
  isForward: boolean;
}

/** Reads Message, Conversation and Member; moves positions. */
export class Messages {
  readonly #db: Database;
  readonly #positions: Lookup<number, MemberPosition & { userid: number }>;
  readonly #begins: Lookup<ConversationId, { id: ConversationId; first_seq: number }>;
  readonly #devicePositions: Lookup<number, MemberPosition & { device: number }>;
  readonly #peers: Lookup<ConversationId, Position & { userid: number; conversation: ConversationId }>;

  /** Reads and writes `db`. */
  constructor(db: Database) {
    this.#db = db;
    const told = `${db.dialect.greatest("m.delivered", "m.furthest")} AS told`;
    const positions =
      `SELECT m.userid, m.conversation, m.since, m.until, m.delivered, m.\`read\`, ${END} AS last_seq, ${told} ` +
      "FROM Member m JOIN Conversation c ON c.id = m.conversation ";
    const devicePositions =
      "SELECT v.id AS device, m.conversation, m.since, m.until, COALESCE(d.delivered, 0) AS delivered, m.`read`, " +
      `${END} AS last_seq, ${told} FROM Device v JOIN Member m ON m.userid = v.userid ` +
      "JOIN Conversation c ON c.id = m.conversation " +
      "LEFT JOIN DeviceCursor d ON d.device = v.id AND d.conversation = m.conversation ";
    this.#positions = new Lookup({
      read: (userIds, limit) => {
        const { sql, params } = db.dialect.isOneOf("m.userid", userIds);
        return db.query(`${positions}WHERE ${sql} LIMIT ${limit}`, params);
      },
      readOn: (userId, after, limit) =>
        db.query(
          `${positions}WHERE m.userid = ? AND m.conversation > ? ORDER BY m.conversation LIMIT ${limit}`,
          [userId, after?.conversation ?? ""],
        ),
      keyOf: ({ userid }) => userid,
    });
    this.#begins = new Lookup({
      read: (conversations) => {
        const { sql, params } = db.dialect.isOneOf("id", conversations);
        return db.query(`SELECT id, first_seq FROM Conversation WHERE first_seq > 1 AND ${sql}`, params);
      },
      keyOf: ({ id }) => id,
    });
    this.#devicePositions = new Lookup({
      read: (devices, limit) => {
        const { sql, params } = db.dialect.isOneOf("v.id", devices);
        return db.query(`${devicePositions}WHERE ${sql} LIMIT ${limit}`, params);
      },
      readOn: (device, after, limit) =>
        db.query(
          `${devicePositions}WHERE v.id = ? AND m.conversation > ? ORDER BY m.conversation LIMIT ${limit}`,
          [device, after?.conversation ?? ""],
        ),
      keyOf: ({ device }) => device,
    });
    this.#peers = new Lookup({
      read: (conversations) => {
        const { sql, params } = db.dialect.isOneOf("conversation", conversations);
        const delivered = db.dialect.greatest("delivered", "furthest");
        return db.query(
          `SELECT userid, conversation, since, ${delivered} AS delivered, \`read\` FROM Member WHERE ${sql}`,
          params,
        );
      },
      keyOf: ({ conversation }) => conversation,
    });
  }

  /** Rows after `seq` that `reader` is entitled to, ascending. */
  after(
    conversation: ConversationId,
    seq: number,
    limit: number,
    reader: number,
  ): Promise<StoredMessage[]> {
    return this.history(conversation, { after: seq, before: NO_END, limit, isForward: true }, reader);
  }

  /**
   * A page of history, as far as `reader` is entitled to it. Who is in a group, and since when, is decided by the statement
   * that reads: what a connection knows of that may be a moment old.
   */
  history(
    conversation: ConversationId,
    { after, before, limit, isForward }: HistoryRange,
    reader: number,
  ): Promise<StoredMessage[]> {
    const isGroup = conversation.startsWith("g");
    const [text, from, condition, params] = isGroup
      ? [
        textUntil("m", "p.until"),
        `Member p ${this.#db.dialect.joinInOrder} Message m ON m.conversation = p.conversation AND m.seq > p.since AND m.seq <= p.until`,
        "p.userid = ? AND p.conversation = ?",
        [reader, conversation],
      ]
      : ["m.message", "Message m", "m.conversation = ?", [conversation]];
    return this.#read(
      `SELECT m.seq, m.sender, m.at, ${text} AS message, m.hidden FROM ${from} WHERE ${condition} AND m.seq > ? AND m.seq < ? ` +
        `ORDER BY m.seq ${isForward ? "ASC" : "DESC"} LIMIT ${limit}`,
      [...params, after, before],
    );
  }

  /** What is in the log may be of a time when more was let through than every reader takes. */
  async #read(sql: string, params: SqlValue[]): Promise<StoredMessage[]> {
    const rows = await this.#db.query<StoredMessage>(sql, params);
    for (const row of rows) if (row.message !== null) row.message = mendJson(row.message).text;
    return rows;
  }

  /** One row, if `reader` is entitled to it. */
  async one(conversation: ConversationId, seq: number, reader: number): Promise<StoredMessage | undefined> {
    return (await this.after(conversation, seq - 1, 1, reader)).find((row) => row.seq === seq);
  }

  /** How far the furthest device of a member of a one-to-one conversation has come, and how many messages it still lacks. */
  async undelivered(
    conversation: ConversationId,
    userId: number,
  ): Promise<{ delivered: number; waiting: number }> {
    const [row] = await this.#db.query<{ delivered: number; last_seq: number }>(
      `SELECT ${this.#db.dialect.greatest("m.delivered", "m.furthest")} AS delivered, c.last_seq ` +
        "FROM Member m JOIN Conversation c ON c.id = m.conversation WHERE m.userid = ? AND m.conversation = ?",
      [userId, conversation],
    );
    return row
      ? { delivered: row.delivered, waiting: row.last_seq - row.delivered }
      : { delivered: 0, waiting: 0 };
  }

  /** The length of all messages after `seq` together, in bytes. */
  async textBytes(conversation: ConversationId, seq: number): Promise<number> {
    const [row] = await this.#db.query<{ bytes: number | string | null }>(
      "SELECT SUM(OCTET_LENGTH(message)) AS bytes FROM Message WHERE conversation = ? AND seq > ?",
      [conversation, seq],
    );
    return Number(row?.bytes ?? 0);
  }

  /** Every conversation `userId` is in, and how far it has come by versions 1 and 2. */
  async positions(userId: number): Promise<readonly MemberPosition[]> {
    return await this.#positions.rows(userId);
  }

  /** Every conversation the user of a device is in, and how far the device has come. */
  async positionsOfDevice(device: number): Promise<readonly MemberPosition[]> {
    return await this.#devicePositions.rows(device);
  }

  /** How far the members of the given conversations other than `userId` have come. */
  async peers(
    userId: number,
    conversations: readonly ConversationId[],
  ): Promise<Map<ConversationId, Position>> {
    const peers = new Map<ConversationId, Position>();
    // Some at a time: others ask too.
    for (let start = 0; start < conversations.length; start += KEYS_PER_STATEMENT) {
      const some = conversations.slice(start, start + KEYS_PER_STATEMENT);
      for (const rows of await Promise.all(some.map((conversation) => this.#peers.rows(conversation)))) {
        for (const row of rows) if (row.userid !== userId) peers.set(row.conversation, row);
      }
    }
    return peers;
  }

  /** Where a conversation's log begins, if something of it has been trimmed. */
  async begin(conversation: ConversationId): Promise<number | undefined> {
    return (await this.#begins.rows(conversation))[0]?.first_seq;
  }

  /** Which conversations of the given users hold more than the database knows to be delivered by versions 1 and 2. */
  unsent(userIds: readonly number[]): Promise<Unsent[]> {
    return this.#unsent(
      userIds,
      "m.userid",
      "Member m JOIN Conversation c ON c.id = m.conversation",
      "m.delivered",
    );
  }

  /** The same of devices. */
  unsentToDevices(devices: readonly number[]): Promise<Unsent[]> {
    return this.#unsent(
      devices,
      "v.id",
      "Device v JOIN Member m ON m.userid = v.userid JOIN Conversation c ON c.id = m.conversation " +
        "LEFT JOIN DeviceCursor d ON d.device = v.id AND d.conversation = m.conversation",
      this.#db.dialect.greatest("COALESCE(d.delivered, 0)", "m.since"),
    );
  }

  async #unsent(
    owners: readonly number[],
    owner: string,
    tables: string,
    delivered: string,
  ): Promise<Unsent[]> {
    const found: Unsent[] = [];
    for (let start = 0; start < owners.length; start += USERS_PER_STATEMENT) {
      const some = owners.slice(start, start + USERS_PER_STATEMENT);
      const { sql, params } = this.#db.dialect.isOneOf(owner, some);
      const rows = await this.#db.query<Unsent>(
        `SELECT ${owner} AS owner, m.conversation, ${END} AS last_seq FROM ${tables} ` +
          `WHERE ${sql} AND c.last_seq > ${delivered} AND m.until > ${delivered}`,
        params,
      );
      // Not as arguments of one push(): more than some 100 000 rows would overflow the stack.
      for (const row of rows) found.push(row);
    }
    return found;
  }

  /** Moves positions of versions 1 and 2, only ever forward, in one statement. Rows come sorted by user and conversation. */
  async advance(moves: readonly Omit<PositionMove, "device">[]): Promise<void> {
    const { dialect } = this.#db;
    const tail = dialect.upsert(["userid", "conversation"], {
      delivered: dialect.greatest("delivered", "new.delivered"),
      "`read`": dialect.greatest("`read`", "new.`read`"),
    });
    await this.#db.insert({
      into: "INSERT INTO Member (userid, conversation, since, delivered, `read`)",
      rows: moves.map((
        { userId, conversation, delivered, read },
      ) => [userId, conversation, 0, delivered, read]),
      tail,
    });
  }

  /**
   * Moves positions of devices, only ever forward, each with the furthest of its user's. Rows come sorted as there. A device
   * that is not there any more gets none: nobody would ever take it away.
   */
  async advanceDevices(moves: readonly PositionMove[]): Promise<void> {
    const { dialect } = this.#db;
    const furthest = new Map<string, PositionMove>();
    for (const move of moves) {
      const key = `${move.userId} ${move.conversation}`;
      const other = furthest.get(key);
      furthest.set(key, {
        ...move,
        delivered: Math.max(move.delivered, other?.delivered ?? 0),
        read: Math.max(move.read, other?.read ?? 0),
      });
    }
    await this.#db.insert({
      into: "INSERT INTO Member (userid, conversation, since, delivered, `read`, furthest)",
      rows: [...furthest.values()].map((
        { userId, conversation, delivered, read },
      ) => [userId, conversation, 0, 0, read, delivered]),
      tail: dialect.upsert(["userid", "conversation"], {
        "`read`": dialect.greatest("`read`", "new.`read`"),
        furthest: dialect.greatest("furthest", "new.furthest"),
      }),
    });
    const tail = dialect.upsert(["device", "conversation"], {
      delivered: dialect.greatest("delivered", "new.delivered"),
    });
    await this.#db.transaction(async (tx) => {
      const ids = [...new Set(moves.map(({ device }) => device))].sort((a, b) => a - b);
      const { sql, params } = dialect.isOneOf("id", ids);
      // Whoever removes one has it locked first, too: either its positions are there to be removed, or it is not there.
      const found = await tx.query<{ id: number }>(
        `SELECT id FROM Device WHERE ${sql} ORDER BY id${dialect.forUpdate}`,
        params,
      );
      const present = new Set(found.map(({ id }) => id));
      const rows = moves.filter(({ device }) => present.has(device))
        .sort((a, b) => a.device - b.device || (a.conversation < b.conversation ? -1 : 1))
        .map(({ device, conversation, delivered }) => [device, conversation, delivered]);
      if (rows.length === 0) return;
      await tx.insert({ into: "INSERT INTO DeviceCursor (device, conversation, delivered)", rows, tail });
    });
  }
}
