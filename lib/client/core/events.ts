/**
 * What the session tells the user.
 *
 * @module
 */

import type { ConversationId } from "../../protocol/protocol.ts";
import type { ChatMessage } from "./messages.ts";
import type { Profile } from "./profile.ts";
import type { Receipt } from "./receipts.ts";
import type { OutboxEntry } from "./store.ts";

/** One thing that happened, in the order in which it is to be shown. */
export type SessionEvent =
  /** About the connection. */
  | { kind: "status"; text: string }
  /** Logged in by the user's own hand, not by a reconnect. */
  | { kind: "logged_in"; profile: Profile }
  /** The session is over though the user did not ask for it. */
  | { kind: "logged_out"; text: string }
  /** Somebody said something; in version 3 perhaps the user, on another device. */
  | { kind: "message"; message: ChatMessage }
  /** An entry of version 3 that is no message: something was done to one, or happened to the conversation. */
  | { kind: "entry"; entry: ChatMessage }
  /** A message of ours is on the server; it may have no seq. */
  | { kind: "stored"; message: ChatMessage }
  /** A message of ours went further. */
  | { kind: "receipt"; receipt: Receipt }
  /** A message of ours will not be taken, and is not kept by the session any more; `reason`: the server's words. */
  | { kind: "refused"; entry: OutboxEntry; errno: number; reason: string }
  /** Somebody took a message back. */
  | { kind: "recalled"; conversation: ConversationId; seq: number; id: number };
