/**
 * What a login reply says about the user.
 *
 * @module
 */

import { isJsonObject } from "../../protocol/protocol.ts";
import type { JsonObject, ProtocolVersion } from "../../protocol/protocol.ts";
import type { HeartbeatRhythm } from "./heartbeat.ts";
import type { ConversationPosition } from "./inbox.ts";
import { integerOf, listOf, readChatFrame, textOf } from "./messages.ts";
import type { ChatMessage } from "./messages.ts";

/** A user as others see them. */
export interface Person {
  /** The user id. */
  id: number;
  /** The name; may be empty. */
  name: string;
  /** "online" or "offline" at the time of the reply. */
  state: string;
}

/** A member of a group. */
export interface GroupMember extends Person {
  /** "creator", "admin" or "normal". */
  role: string;
}

/** A group the user is in. */
export interface Group {
  /** The group id. */
  id: number;
  /** Its name. */
  name: string;
  /** Its description. */
  description: string;
  /** Its members, the user among them; version 3 has none here. */
  members: GroupMember[];
  /** How many there are. */
  memberCount: number;
  /** The user's own role, where the server says it by itself. */
  role: string;
  /** How one joins: "open", "link" or "closed"; empty where the server does not say. */
  join: string;
}

/** A login reply, read. */
export interface Profile {
  /** The user's id. */
  id: number;
  /** The user's name. */
  name: string;
  /** What the server answered in. */
  version: ProtocolVersion;
  /** For RESUME; undefined when the server gave none. */
  token: string | undefined;
  /** When to beat; undefined when the server announced nothing. */
  heartbeat: HeartbeatRhythm | undefined;
  /** Friends, in the server's order. */
  friends: Person[];
  /** Groups, in the server's order. */
  groups: Group[];
  /** Version 1: messages that came while the user was away, oldest first. */
  offlineMessages: ChatMessage[];
  /** Version 2: where the conversations stand. */
  conversations: ConversationPosition[];
  /** Version 3: there are others, in which nothing has happened for longer. */
  hasMoreConversations: boolean;
}

/** Version 1 nests objects as strings of JSON, version 2 as objects; an entry that is neither is left out. */
function readObjects(value: unknown): JsonObject[] {
  return listOf(value).map(readObject).filter((entry) => entry !== undefined);
}

function readObject(value: unknown): JsonObject | undefined {
  if (typeof value !== "string") return isJsonObject(value) ? value : undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    return isJsonObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a user in a list of the server's. */
export function readPerson(entry: JsonObject): Person {
  return { id: integerOf(entry.id) ?? 0, name: textOf(entry.name), state: textOf(entry.state) };
}

/** Reads a group in a list of the server's. */
export function readGroup(entry: JsonObject): Group {
  const members = readObjects(entry.users).map((user) => ({ ...readPerson(user), role: textOf(user.role) }));
  return {
    id: integerOf(entry.id) ?? 0,
    name: textOf(entry.groupname),
    description: textOf(entry.groupdesc),
    members,
    memberCount: integerOf(entry.members) ?? members.length,
    role: textOf(entry.role),
    join: textOf(entry.join),
  };
}

/** Reads an entry of `conversations`. */
export function readPosition(entry: JsonObject): ConversationPosition {
  const { peer } = entry;
  return {
    conversation: textOf(entry.conversation),
    lastSeq: integerOf(entry.last_seq) ?? 0,
    delivered: integerOf(entry.delivered) ?? 0,
    read: integerOf(entry.read) ?? 0,
    peer: isJsonObject(peer)
      ? { delivered: integerOf(peer.delivered) ?? 0, read: integerOf(peer.read) ?? 0 }
      : undefined,
  };
}

function readRhythm(value: unknown): HeartbeatRhythm | undefined {
  if (!isJsonObject(value)) return undefined;
  const intervalMs = integerOf(value.interval_ms, 1);
  const misses = integerOf(value.misses, 1);
  return intervalMs === undefined || misses === undefined ? undefined : { intervalMs, misses };
}

/** Reads a successful login reply; `now` dates what carries no time. */
export function readProfile(frame: JsonObject, now: number): Profile {
  // A server that knows version 2 echoes the cid; the original ignores both.
  const isV1 = frame.cid === undefined && frame.token === undefined;
  const version = isV1 ? 1 : frame.device_id === undefined ? 2 : 3;
  return {
    id: integerOf(frame.id) ?? 0,
    name: textOf(frame.name),
    version,
    token: textOf(frame.token) || undefined,
    heartbeat: readRhythm(frame.heartbeat),
    friends: readObjects(frame.friends).map(readPerson),
    groups: readObjects(frame.groups).map(readGroup),
    offlineMessages: readObjects(frame.offlineMsg).map((entry) => readChatFrame(entry, now))
      .filter((message) => message !== undefined),
    conversations: readObjects(frame.conversations).map(readPosition),
    hasMoreConversations: frame.more === true,
  };
}
