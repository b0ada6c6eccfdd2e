/**
 * Frames for version 1 clients that read with one recv into a buffer and parse up to the first NUL, as the original's own
 * does: what does not fit into the buffer ends such a client, or is lost on it.
 *
 * @module
 */
import { isJsonObject, type JsonObject, MSGID } from "../protocol/protocol.ts";
import type { Group, GroupMember } from "../store/groups.ts";
import type { User } from "../store/users.ts";

/** Longest `time` in a frame that is cut; the original's has 19 characters. */
const TIME_MAX = 19;
/** The fields of a chat frame that such a client reads, in the original's order, and our own. */
const CHAT_FIELDS = ["msgid", "id", "name", "toid", "groupid", "msg", "time", "conversation", "seq", "at"];

const encoder = new TextEncoder();

/** Of a text in UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** The text as it stands between the quotes of a JSON string. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/**
 * A frame as frames of at most `maxBytes` each: a chat frame that is longer becomes several, with the text in numbered
 * parts and without fields that such a client does not read. Any other stays as it is. `maxBytes`: at least 511.
 */
export function fitFrame(frame: string, maxBytes: number): string[] {
  if (frame.length <= maxBytes && byteLength(frame) <= maxBytes) return [frame];
  const chat: unknown = JSON.parse(frame);
  if (!isJsonObject(chat) || (chat.msgid !== MSGID.ONE_CHAT_MSG && chat.msgid !== MSGID.GROUP_CHAT_MSG)) {
    return [frame];
  }
  const fields: JsonObject = {};
  for (const field of CHAT_FIELDS) if (field in chat) fields[field] = chat[field];
  fields.time = String(chat.time).slice(0, TIME_MAX).toWellFormed();
  const text = String(chat.msg);
  const write = (msg: string) => JSON.stringify({ ...fields, msg });
  const whole = write(text);
  if (byteLength(whole) <= maxBytes) return [whole];

  const room = maxBytes - byteLength(write(""));
  // There are fewer parts than characters, and their number is written twice.
  const parts = cutText(text, room - `(${text.length}/${text.length}) `.length);
  return parts.map((part, index) => write(`(${index + 1}/${parts.length}) ${part}`));
}

/** Cuts between code points, so that no part takes more than `room` bytes in a JSON string. */
function cutText(text: string, room: number): string[] {
  const parts: string[] = [];
  let part = "";
  let length = 0;
  for (const character of text) {
    const size = byteLength(inJson(character));
    if (length + size > room) {
      parts.push(part);
      part = "";
      length = 0;
    }
    part += character;
    length += size;
  }
  parts.push(part);
  return parts;
}

/** What a login reply tells besides who has logged in. */
export interface LoginLists {
  /** Of the user. */
  friends: User[];
  /** Of the user, with their members. */
  groups: Group[];
}

/** What stands around the lists in a reply. */
const LIST_NAMES = ',"friends":[],"groups":[]';

/**
 * As much of the lists as `roomBytes` of a version 1 login reply hold: those who are online first, and groups before their
 * members. Friends leave half of the room to groups, if there are so many of both.
 */
export function fitLists({ friends, groups }: LoginLists, roomBytes: number): LoginLists {
  let room = roomBytes - LIST_NAMES.length;
  const take = <Item>(items: Item[], costOf: (item: Item) => number, reserve = 0): Item[] => {
    let count = 0;
    for (const item of items) {
      const cost = costOf(item) + ",".length;
      if (cost > room - reserve) break;
      room -= cost;
      count++;
    }
    return items.splice(0, count);
  };
  const waiting = onlineFirst(friends);
  const kept = take(waiting, inTextBytes, room / 2);
  const keptGroups = take(groups.map((group) => ({ ...group, users: [] as GroupMember[] })), inTextBytes);
  keptGroups.forEach(({ users }, index) => {
    // A text within a text.
    const costOf = (member: GroupMember) => byteLength(inJson(JSON.stringify(JSON.stringify(member))));
    users.push(...take(onlineFirst(groups[index]?.users ?? []), costOf));
  });
  return { friends: [...kept, ...take(waiting, inTextBytes)], groups: keptGroups };
}

/** How much a list's item takes: JSON in a string. */
function inTextBytes(item: unknown): number {
  return byteLength(JSON.stringify(JSON.stringify(item)));
}

function onlineFirst<Person extends { state: string }>(people: readonly Person[]): Person[] {
  const isOnline = ({ state }: Person) => state === "online";
  return [...people.filter(isOnline), ...people.filter((person) => !isOnline(person))];
}
