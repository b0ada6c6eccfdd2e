/**
 * Why the server refuses something, in the language of the page. Its own words are in English.
 *
 * @module
 */

import { integerOf } from "../../client/core/messages.ts";
import { NO_ANSWER } from "../../client/core/requests.ts";
import type { Reply } from "../../client/core/requests.ts";
import { ERRNO } from "../../protocol/protocol.ts";
import { duration, isolate, t } from "./texts.ts";
import type { TextKey } from "./texts.ts";

/** Errnos that say what there is to say, whatever the server's words are. */
const BY_ERRNO: Readonly<Record<number, TextKey>> = {
  [NO_ANSWER]: "err_no_answer",
  [ERRNO.ALREADY_ONLINE]: "err_online",
  [ERRNO.NOT_LOGGED_IN]: "err_not_logged_in",
  [ERRNO.UNKNOWN_MSGID]: "err_unknown",
  [ERRNO.NOT_FOUND]: "err_not_found",
  [ERRNO.TOO_MANY_REQUESTS]: "err_too_many",
  [ERRNO.TOO_LARGE]: "err_too_large",
  [ERRNO.UNAVAILABLE]: "err_unavailable",
  [ERRNO.TOKEN_UNKNOWN]: "err_not_logged_in",
};

/** The server's words where an errno has several meanings, and what the page says for them. */
export const REASONS: Readonly<Record<string, TextKey>> = {
  "A conversation has at most {n} pinned messages": "why_pins",
  "A creator stays one; hand the group over instead": "why_hand_over",
  "A group has at most {n} links at a time; revoke one": "why_links",
  "A group has at most {n} members": "why_members",
  "A message has at most {n} different reactions": "why_reactions",
  "A message has at most {n} former texts, of {bytes} bytes together": "why_edits",
  "A message mentions at most {n} users": "why_mentions",
  "A user can be in at most {n} groups": "why_groups",
  "A user can be the creator of at most {n} groups": "why_owned",
  "Half of a surrogate pair is no text": "why_text",
  "Hand the group over to somebody else before you leave it": "why_hand_over",
  "Here users are found by their whole names only": "why_whole_name",
  "It is too late to edit this message": "why_late",
  "It is too late to recall this message": "why_late",
  "Only a group's creator and admins can mention everybody in it": "why_admins",
  "Only its sender can edit a message": "why_sender",
  "Only its sender, or the group's creator, can recall a message": "why_sender",
  "Only the group's creator and admins can add somebody": "why_admins",
  "Only the group's creator and admins can do that": "why_admins",
  "Only the group's creator and admins can pin a message": "why_admins",
  "Only the group's creator and admins can remove somebody": "why_admins",
  "Only the group's creator can do that": "why_owner",
  "Only the group's creator can remove an admin": "why_owner",
  "Signing up here needs an invitation that is good": "invite_wrong",
  "Signing up is closed here": "signup_closed",
  "That is you": "why_self",
  "That is you; leave the group instead": "why_self",
  "The database does not take this": "why_text",
  "The description is longer than {n} characters": "why_description",
  "The name begins or ends with white space": "why_name_spaces",
  "The name has a number in parentheses, as ids are shown": "why_name_number",
  "The name has an accent without a letter": "why_name_signs",
  "The name has characters that Unicode does not know": "why_name_signs",
  "The name has control or invisible characters": "why_name_signs",
  "The name has two spaces in a row": "why_name_spaces",
  "The name is empty": "need_name",
  "The name is longer than {n} characters": "why_name_long",
  "The name is not valid Unicode": "why_name_signs",
  "The password has just been changed elsewhere": "why_password_changed",
  "The password is empty": "need_password",
  "The password is longer than {n} characters": "why_password_long",
  "The password is not valid Unicode": "why_text",
  "The password is shorter than {n} characters": "why_password_short",
  "The status has control characters or line breaks": "why_status_signs",
  "The status is longer than {n} characters": "why_status_long",
  "This account has been changed; log in again": "why_changed",
  "This account has been disabled": "why_disabled",
  "This code is not good": "why_code",
  "This group name is taken": "why_group_taken",
  "This is not your password": "why_password",
  "This name is taken": "why_name_taken",
  "Wrong id or password": "wrong_password",
  "Wrong name or password": "wrong_password",
  "You are not a member of group {id}": "why_outside",
  "You can add at most {n} friends": "why_friends",
  "You can be the creator of at most {n} groups": "why_owned",
  "You can block at most {n} users": "why_blocked",
  "You cannot add yourself as a friend": "why_self",
  "{name} has not added you as a friend, and can be invited by a link only": "why_no_friend",
};

/** Why something did not work, and what to do. What the page has no words for the server says itself. */
export function failureOf({ errno, text, frame }: Partial<Reply> & Pick<Reply, "errno" | "text">): string {
  const waitMs = integerOf(frame?.retry_after_ms, 1);
  if (errno === ERRNO.TOO_MANY_REQUESTS && waitMs !== undefined) {
    return t("err_too_many_wait", { time: duration(waitMs) });
  }
  const key = BY_ERRNO[errno];
  return key === undefined ? reasonOf(text) ?? (text || t("err_other")) : t(key);
}

function reasonOf(text: string): string | undefined {
  for (const [words, key] of Object.entries(REASONS)) {
    const pattern = words.replace(
      /\{(\w+)\}/g,
      (_, name) => `(?<${name}>${name === "name" ? ".+" : "\\d+"})`,
    );
    const match = new RegExp(`^${pattern}$`).exec(text);
    if (match === null) continue;
    const { n, name } = match.groups ?? {};
    return t(key, { ...(n && { n: Number(n) }), ...(name && { name: isolate(name) }) });
  }
  return undefined;
}
