/**
 * The lines of an export: JSON objects, each of which stands for a row of the database, told apart by `kind`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isJsonObject } from "../protocol/protocol.ts";
import type { SqlValue } from "../store/database.ts";

/** How a value stands in a line. `bytes`: as base64. A `?` marks one that may be null, or missing. */
type FieldType = "integer" | "integer?" | "text" | "text?" | "bytes?";

/** The fields of each kind of line, in order. */
export const FIELDS = {
  user: { id: "integer", name: "text", status: "integer", legacy: "integer?" },
  friend: { userid: "integer", friendid: "integer" },
  group: { id: "integer", groupname: "text", groupdesc: "text", joining: "integer?", dissolved: "integer?" },
  group_member: { groupid: "integer", userid: "integer", grouprole: "text" },
  conversation: {
    id: "text",
    first_seq: "integer",
    last_seq: "integer",
    last_chat: "integer",
    at: "integer",
    members: "integer",
  },
  member: {
    userid: "integer",
    conversation: "text",
    since: "integer",
    delivered: "integer",
    read: "integer",
    furthest: "integer?",
    until: "integer?",
    ended: "integer?",
  },
  device: { id: "integer", userid: "integer", name: "text", created: "integer", seen: "integer" },
  device_position: { device: "integer", conversation: "text", delivered: "integer" },
  message: {
    conversation: "text",
    seq: "integer",
    sender: "integer",
    cid: "bytes?",
    at: "integer",
    kind: "integer",
    recalled: "integer",
    hidden: "integer",
    message: "text?",
  },
  version: { conversation: "text", seq: "integer", until: "integer", at: "integer", message: "text" },
  reaction: {
    conversation: "text",
    seq: "integer",
    emoji: "bytes?",
    userid: "integer",
    at: "integer",
    hidden: "integer?",
  },
  pin: { conversation: "text", seq: "integer", userid: "integer", at: "integer", hidden: "integer?" },
  mention: { conversation: "text", seq: "integer", userid: "integer" },
} as const satisfies Readonly<Record<string, Readonly<Record<string, FieldType>>>>;

/** Fields that name a user, group or device … */
const IDS: ReadonlySet<string> = new Set(["id", "friendid", "groupid", "device"]);
/** … and those that may be 0, for everybody or an operator. */
const USERS: ReadonlySet<string> = new Set(["userid", "sender"]);
/** As the columns have it. */
const MAX_ID = 2 ** 31 - 1;

/** What a line stands for. */
export type Kind = keyof typeof FIELDS;

/** A row, by column. */
export type RecordRow = Readonly<Record<string, SqlValue>>;

/** A line that was read. */
export interface ReadRecord {
  /** What it stands for. */
  kind: Kind;
  /** All fields of its kind. */
  row: RecordRow;
}

/** The table that has the rows of a kind, where it has its name. */
export function tableOf(kind: Kind): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

/** What a column is called in a line, where `kind` is that of the line. */
function fieldOf(column: string): string {
  return column === "kind" ? "entry" : column;
}

/** A row as a line. */
export function formatRecord(kind: Kind, row: RecordRow): string {
  const fields = Object.keys(FIELDS[kind]).map((name) => {
    const value = row[name] ?? null;
    return [fieldOf(name), value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value];
  });
  return JSON.stringify({ kind, ...Object.fromEntries(fields) });
}

/** A line as a row; throws an Error that says what is wrong with it. */
export function readRecord(line: string): ReadRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error("not JSON");
  }
  if (!isJsonObject(value)) throw new Error("not a JSON object");
  const { kind } = value;
  if (!isKind(kind)) throw new Error(`not of a kind that is known: ${JSON.stringify(kind) ?? "none"}`);
  const row: Record<string, SqlValue> = {};
  for (const [column, type] of Object.entries(FIELDS[kind])) {
    const name = fieldOf(column);
    row[column] = readField(name, type, value[name] ?? null);
  }
  return { kind, row };
}

function isKind(kind: unknown): kind is Kind {
  return typeof kind === "string" && Object.hasOwn(FIELDS, kind);
}

function readField(name: string, type: FieldType, value: unknown): SqlValue {
  if (value === null && type.endsWith("?")) return null;
  if (type.startsWith("integer") && typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
    if (!IDS.has(name) && !USERS.has(name)) return value;
    if (value <= MAX_ID && (value > 0 || USERS.has(name))) return value;
    throw new Error(`its field ${name} is no id`);
  }
  if (type.startsWith("text") && typeof value === "string" && value.isWellFormed()) return value;
  if (type === "bytes?" && typeof value === "string") {
    const bytes = Buffer.from(value, "base64");
    if (bytes.toString("base64") === value) return new Uint8Array(bytes);
  }
  throw new Error(`its field ${name} is missing or of the wrong type`);
}
