/**
 * What happens, for programs: each event as one object.
 *
 * @module
 */

import type { JsonObject } from "../../protocol/protocol.ts";
import { actionOf, detailsOf } from "../core/entries.ts";
import type { SessionEvent } from "../core/events.ts";
import type { ChatMessage } from "../core/messages.ts";

function messageJson(message: ChatMessage): JsonObject {
  const { conversation, seq, sender, name, text, at } = message;
  const { reply, mentions } = detailsOf(message);
  return {
    conversation,
    seq,
    at,
    id: sender,
    name,
    text,
    ...(reply === undefined ? {} : { reply }),
    ...(mentions.length === 0 ? {} : { mentions }),
  };
}

/**
 * The event as `--json` prints it: `event` says which, the rest is as in the protocol, ids as numbers and times in ms since
 * the epoch.
 */
export function eventJson(event: SessionEvent): JsonObject {
  switch (event.kind) {
    case "message":
    case "stored":
      return { event: event.kind, ...messageJson(event.message) };
    case "entry": {
      const { conversation, seq, at, sender, name, frame = {} } = event.entry;
      const { msgid: _msgid, ...fields } = frame;
      const kind = actionOf(event.entry) === undefined ? "system" : "action";
      return { ...fields, event: kind, conversation, seq, at, by: sender, name };
    }
    case "receipt": {
      const { conversation, seq, id, kind } = event.receipt;
      return { event: kind, conversation, seq, ...(id === undefined ? {} : { id }) };
    }
    case "refused":
      return {
        event: "refused",
        conversation: event.entry.conversation,
        text: event.entry.text,
        reason: event.reason,
      };
    case "recalled":
      return { event: "recalled", conversation: event.conversation, seq: event.seq, by: event.id };
    case "logged_in": {
      const { id, name, version, friends, groups } = event.profile;
      return { event: "logged_in", id, name, version, friends, groups };
    }
    case "logged_out":
    case "status":
      return { event: event.kind, text: event.text };
  }
}
