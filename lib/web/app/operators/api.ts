/**
 * What the page for operators asks of its node.
 *
 * @module
 */

/** A node as the others see it. */
export interface NodeSeen {
  /** Name. */
  node: string;
  /** Version of the program. */
  version: string;
  /** When it was started, ms since the epoch. */
  since: number;
  /** Where its page is, "host:port". */
  http: string;
  /** Users online. */
  users: number;
  /** Their devices. */
  devices: number;
  /** Connections. */
  connections: number;
  /** Messages a second. */
  rate: number;
  /** Of its event loop, ms. */
  lagMs: number;
  /** Bytes that wait. */
  queueBytes: number;
  /** How long ago it has said so, ms. */
  ageMs: number;
}

/** A line of the log. */
export interface LogLine {
  /** ms since the epoch. */
  at: number;
  /** How bad. */
  level: "warn" | "error";
  /** What. */
  message: string;
  /** About what. */
  fields: Record<string, unknown>;
}

/** How a node does. */
export interface State {
  /** Its clock, ms since the epoch. */
  at: number;
  /** Its name. */
  node: string;
  /** Its version. */
  version: string;
  /** All nodes. */
  nodes: NodeSeen[];
  /** Why it should not be given clients. */
  problems: string[];
  /** Whether Redis is there; null: there is none to be. */
  redis: boolean | null;
  /** Connections to the database; null with SQLite. */
  pool: Record<string, number> | null;
  /** By limit, what it has refused or slowed down. */
  limited: Record<string, number>;
  /** Of the log. */
  lines: { counts: Record<string, number>; newest: LogLine[] };
  /** What a row has. */
  columns: string[];
  /** Between two rows, ms. */
  stepMs: number;
  /** The number of the first row. */
  first: number;
  /** Of the last hour. */
  rows: number[][];
}

/** A user. */
export interface UserRow {
  /** Id. */
  id: number;
  /** Name. */
  name: string;
  /** online or offline. */
  state: string;
  /** active, disabled or deleted. */
  status: string;
  /** May log in here. */
  administrator: boolean;
}

/** A user, with more. */
export interface UserDetails extends UserRow {
  /** Where it is a member. */
  groups: { id: number; groupname: string; role: string }[];
  /** Of version 3. */
  devices: { id: number; name: string; seen: number; hasToken: boolean }[];
}

/** A group. */
export interface GroupRow {
  /** Id. */
  id: number;
  /** Name. */
  groupname: string;
  /** Description. */
  groupdesc: string;
  /** When it was dissolved; 0: it was not. */
  dissolved: number;
}

/** A group, with more. */
export interface GroupDetails extends GroupRow {
  /** The oldest place that is kept. */
  first_seq?: number;
  /** The newest. */
  last_seq?: number;
  /** Some of them. */
  members: { id: number; name: string; state: string; role: string }[];
  /** There are others. */
  more: boolean;
}

/** What an operator has done. */
export interface AuditEvent {
  /** Ascends. */
  id: number;
  /** ms since the epoch. */
  at: number;
  /** Who. */
  actor: string;
  /** What. */
  what: string;
  /** To whom. */
  userId: number | null;
  /** What else. */
  detail: Record<string, unknown>;
}

/** The node has said no. */
export class Refused extends Error {
  /** Of HTTP. */
  readonly status: number;

  /** `message`: for people. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function ask<Reply>(path: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(path, { credentials: "same-origin", ...init });
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  throw new Refused(response.status, problemOf(text));
}

function problemOf(text: string): string {
  try {
    return String(JSON.parse(text).problem);
  } catch {
    return text.trim();
  }
}

/** Sends fields; rejects with {@link Refused}, or a TypeError where the node is not reached. */
export function post<Reply>(path: string, fields: Record<string, string>): Promise<Reply> {
  return ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(fields),
  });
}

/** How the node does; rows from this one on. */
export function getState(from: number): Promise<State> {
  return ask(`api/state?from=${from}`);
}

/** Looks something up. */
export function look<Reply>(what: string, of: string): Promise<Reply> {
  return post("api/look", { what, of });
}

/** Does something. `name`: typed again, where it hurts. */
export function act(what: string, of: string, name = ""): Promise<{ lines: string[]; json: unknown }> {
  return post("api/act", { what, of, name });
}
