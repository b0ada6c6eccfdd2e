// Made by "deno task bundle"; the sources are in lib/web/app.
// lib/protocol/page_links.ts
const $m0 = (() => {
function pageLink(page , { kind, code } ) {
return `${page}#${kind}-${code}`;
}
function readPageLink(address ) {
const [, kind, code = ""] = /#(invite|reset|join)-([\w-]{1,64})$/.exec(address) ?? [];
return kind === "invite" || kind === "reset" || kind === "join" ? { kind, code } : undefined;
}
return { pageLink, readPageLink };
})();
// lib/protocol/protocol.ts
const $m1 = (() => {
const MSGID = {
LOGIN_MSG: 1,
LOGIN_MSG_ACK: 2,
LOGINOUT_MSG: 3,
SIGNUP_MSG: 4,
SIGNUP_MSG_ACK: 5,
ONE_CHAT_MSG: 6,
ADD_FRIEND_MSG: 7,
CREATE_GROUP_MSG: 8,
ADD_GROUP_MSG: 9,
GROUP_CHAT_MSG: 10,
ACK_MSG: 11,
DELIVERED_MSG: 12,
READ_MSG: 13,
RECEIPT_MSG: 14,
HISTORY_MSG: 15,
HISTORY_MSG_ACK: 16,
RECALL_MSG: 17,
HEARTBEAT_MSG: 18,
HEARTBEAT_MSG_ACK: 19,
NOTICE_MSG: 20,
RESUME_MSG: 21,
DEVICE_MSG: 22,
ACTION_MSG: 23,
GROUP_MSG: 24,
SYSTEM_MSG: 25,
CONTACT_MSG: 26,
FIND_MSG: 27,
PROFILE_MSG: 28,
SETTING_MSG: 29,
TYPING_MSG: 30,
PRESENCE_MSG: 31,
SEARCH_MSG: 32,
SEARCH_MSG_ACK: 33,
CONVERSATIONS_MSG: 34,
ACCOUNT_MSG: 35,
RESET_MSG: 36,
} ;
const ERRNO = {
OK: 0,
REFUSED: 1,
ALREADY_ONLINE: 2,
NOT_LOGGED_IN: 3,
MALFORMED: 4,
UNKNOWN_MSGID: 5,
NOT_FOUND: 6,
NOT_ALLOWED: 7,
TOO_MANY_REQUESTS: 8,
TOO_LARGE: 9,
UNAVAILABLE: 10,
TOKEN_UNKNOWN: 11,
} ;
const DEPTH_MAX = 64;
function isJsonObject(value ) {
return typeof value === "object" && value !== null && !Array.isArray(value);
}
const LINE_BREAKS = /[\u0085\u2028\u2029]/g;
function toJson(value ) {
return escapeLineBreaks(JSON.stringify(value));
}
function escapeLineBreaks(json ) {
return json.replace(LINE_BREAKS, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
function conversationOfUsers(a , b ) {
return a < b ? `u${a}-${b}` : `u${b}-${a}`;
}
function blockBit(blocker , other ) {
return blocker < other ? 1 : 2;
}
function isBlocked(conversation , sender , blocked ) {
if (blocked === 0) return false;
const place = parseConversation(conversation);
if (!place || !("users" in place)) return false;
const [one, other] = place.users;
return (blocked & blockBit(sender === one ? other : one, sender)) !== 0;
}
function conversationOfGroup(groupId ) {
return `g${groupId}`;
}
function parseConversation(id ) {
const match = /^(?:g([1-9]\d{0,9})|u([1-9]\d{0,9})-([1-9]\d{0,9}))$/.exec(id);
if (!match) return undefined;
if (match[1] !== undefined) return { groupId: Number(match[1]) };
const users = [Number(match[2]), Number(match[3])];
return users[0] <= users[1] ? { users } : undefined;
}
function otherOf(conversation , me ) {
const parsed = parseConversation(conversation);
if (parsed === undefined || "groupId" in parsed) return undefined;
const [low, high] = parsed.users;
return low === me ? high : low;
}
function spliceFields(text , conversation , seq , at ) {
return `${text.slice(0, -1)},"conversation":"${conversation}","seq":${seq},"at":${at}}`;
}
function splicedTime(frame ) {
return Number(frame.slice(frame.lastIndexOf(":") + 1, -1));
}
return { MSGID, ERRNO, DEPTH_MAX, isJsonObject, toJson, escapeLineBreaks, conversationOfUsers, blockBit, isBlocked, conversationOfGroup, parseConversation, otherOf, spliceFields, splicedTime };
})();
// lib/client/core/messages.ts
const $m2 = (() => {
const { conversationOfGroup, conversationOfUsers, MSGID, parseConversation } = $m1;
function integerOf(value , least = 0) {
return typeof value === "number" && Number.isSafeInteger(value) && value >= least ? value : undefined;
}
function textOf(value ) {
return typeof value === "string" ? value : "";
}
function listOf(value ) {
return Array.isArray(value) ? value : [];
}
function conversationOf(frame , sender ) {
if (frame.msgid === MSGID.GROUP_CHAT_MSG) {
const groupId = integerOf(frame.groupid, 1);
return groupId === undefined ? undefined : conversationOfGroup(groupId);
}
const to = integerOf(frame.toid, 1);
return to === undefined ? undefined : conversationOfUsers(sender, to);
}
function parseTime(time ) {
const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)$/.exec(textOf(time));
const at = match ? Date.parse(`${match[1]}T${match[2]}`) : Number.NaN;
return Number.isNaN(at) ? undefined : at;
}
function readChatFrame(frame , now ) {
const sender = integerOf(frame.id, 1);
if (sender === undefined) return undefined;
const conversation = textOf(frame.conversation) || conversationOf(frame, sender);
if (conversation === undefined) return undefined;
return {
conversation,
seq: integerOf(frame.seq, 1) ?? null,
sender,
name: textOf(frame.name),
text: typeof frame.msg === "string" ? frame.msg : JSON.stringify(frame.msg) ?? "",
at: integerOf(frame.at) ?? parseTime(frame.time) ?? now,
frame,
};
}
function readEntryFrame(frame , now ) {
const seq = integerOf(frame.seq, 1);
const conversation = textOf(frame.conversation);
if (seq === undefined || parseConversation(conversation) === undefined) return undefined;
const sender = integerOf(frame.msgid === MSGID.SYSTEM_MSG ? frame.by : frame.id, 1) ?? 0;
return {
conversation,
seq,
sender,
name: textOf(frame.by_name) || textOf(frame.name),
text: null,
at: integerOf(frame.at) ?? now,
frame,
};
}
function isEntryFrame({ msgid } ) {
return msgid === MSGID.ACTION_MSG || msgid === MSGID.SYSTEM_MSG;
}
function readHistoryEntry(
entry ,
conversation ,
now ,
) {
const seq = integerOf(entry.seq, 1);
if (seq === undefined) return undefined;
const frame = { ...entry, conversation };
if (isEntryFrame(entry)) return readEntryFrame(frame, now);
if (entry.recalled === true) {
const sender = integerOf(entry.id, 1) ?? 0;
return {
frame,
isCurrent: true,
conversation,
seq,
sender,
name: textOf(entry.name),
text: null,
at: integerOf(entry.at) ?? now,
};
}
const message = readChatFrame(frame, now);
return message === undefined ? undefined : { ...message, isCurrent: true };
}
return { integerOf, textOf, listOf, readChatFrame, readEntryFrame, readHistoryEntry };
})();
// lib/web/app/dom.ts
const $m3 = (() => {
function el (
tag ,
attributes = {},
...children
) {
const element = document.createElement(tag);
setAttributes(element, attributes);
element.append(...present(children));
return element;
}
function setAttributes(element , attributes ) {
for (const [name, value] of Object.entries(attributes)) {
if (typeof value === "function") element.addEventListener(name.slice(2), value );
else if (name === "value" || name === "checked") Object.assign(element, { [name]: value });
else if (value === undefined || value === null || value === false) element.removeAttribute(name);
else element.setAttribute(name, value === true ? "" : String(value));
}
}
function replace(parent , ...children ) {
parent.replaceChildren(...present(children));
}
function present(children ) {
return children.filter((child) =>
child !== undefined && child !== null && child !== false
);
}
const SVG = "http://www.w3.org/2000/svg";
function icon(path , className = "") {
const svg = document.createElementNS(SVG, "svg");
svg.setAttribute("viewBox", "0 0 24 24");
svg.setAttribute("aria-hidden", "true");
svg.setAttribute("class", `icon ${className}`.trim());
const shape = document.createElementNS(SVG, "path");
shape.setAttribute("d", path);
svg.append(shape);
return svg;
}
return { el, replace, icon };
})();
// lib/web/app/forms.ts
const $m4 = (() => {
const { el } = $m3;
function field(
label ,
attributes ,
) {
const input = el("input", { class: "input", type: "text", ...attributes });
return { element: el("label", { class: "field" }, el("span", {}, label), input), input };
}
function choice(
label ,
options ,
value ,
) {
const input = el(
"select",
{ class: "input" },
...options.map(([option, text]) => el("option", { value: option }, text)),
);
input.value = value;
return { element: el("label", { class: "field" }, el("span", {}, label), input), input };
}
function form(
parts ,
submit ,
onSubmit ,
look = "main",
) {
const problem = el("p", { class: "problem", role: "alert", hidden: true });
const button = el("button", { type: "submit", class: `button ${look}` }, submit);
const element = el(
"form",
{
class: "form",
novalidate: true,
onsubmit: async (event ) => {
event.preventDefault();
if (button.disabled) return;
button.disabled = true;
problem.style.visibility = "hidden";
const text = await onSubmit().catch((error ) => String(error));
button.disabled = false;
problem.style.visibility = "";
problem.hidden = text === "";
problem.textContent = text;
},
},
...parts,
problem,
button,
);
return element;
}
return { field, choice, form };
})();
// lib/web/app/prefs.ts
const $m5 = (() => {
const DEFAULTS = {
theme: "system",
language: "",
hasDetails: false,
notify: "off",
isNotifySettled: false,
};
const KEY = "prefs";
function load() {
try {
const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
return { ...DEFAULTS, ...(kept ) };
} catch {
return { ...DEFAULTS };
}
}
const prefs = load();
function setPref (name , value ) {
prefs[name] = value;
try {
localStorage.setItem(KEY, JSON.stringify(prefs));
} catch {
}
}
function forgetPrefs() {
try {
localStorage.removeItem(KEY);
} catch {
}
}
function applyTheme() {
if (prefs.theme === "system") delete document.documentElement.dataset.theme;
else document.documentElement.dataset.theme = prefs.theme;
}
return { prefs, setPref, forgetPrefs, applyTheme };
})();
// lib/client/core/cid.ts
const $m6 = (() => {
function createCid(nowMs ) {
const bytes = crypto.getRandomValues(new Uint8Array(16));
const time = Math.floor(nowMs).toString(16).padStart(12, "0");
for (let index = 0; index < 6; index++) {
bytes[index] = Number.parseInt(time.slice(2 * index, 2 * index + 2), 16);
}
bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
return { createCid };
})();
// lib/client/core/requests.ts
const $m7 = (() => {
const { ERRNO } = $m1;
const { createCid } = $m6;
const { integerOf, textOf } = $m2;
const NO_ANSWER = -1;
const ANSWER_TIMEOUT_MS = 20_000;
const ERRNO_TEXTS = {
[ERRNO.REFUSED]: "refused",
[ERRNO.ALREADY_ONLINE]: "this user is online already",
[ERRNO.NOT_LOGGED_IN]: "not logged in",
[ERRNO.MALFORMED]: "the server does not accept the request",
[ERRNO.UNKNOWN_MSGID]: "the server does not know this request",
[ERRNO.NOT_FOUND]: "no such user, group or message",
[ERRNO.NOT_ALLOWED]: "not allowed",
[ERRNO.TOO_MANY_REQUESTS]: "too many requests, try again later",
[ERRNO.TOO_LARGE]: "too large",
[ERRNO.UNAVAILABLE]: "the server cannot do that at the moment, try again later",
[ERRNO.TOKEN_UNKNOWN]: "the session has expired",
};
function readReply(frame ) {
const errno = integerOf(frame.errno) ?? ERRNO.OK;
const text = errno === ERRNO.OK ? "" : textOf(frame.errmsg) || ERRNO_TEXTS[errno] || `error ${errno}`;
return { errno, text, frame };
}
function noReply(text ) {
return { errno: NO_ANSWER, text, frame: {} };
}
function isTemporary({ errno } ) {
return errno === NO_ANSWER || errno === ERRNO.NOT_LOGGED_IN || errno === ERRNO.TOO_MANY_REQUESTS ||
errno === ERRNO.UNAVAILABLE;
}
class Requests {
#clock ;
#wallNow ;
#send ;
#pending = new Map ();
constructor(options ) {
this.#clock = options.clock;
this.#wallNow = options.wallNow;
this.#send = options.send;
}
get size() {
return this.#pending.size;
}
ask(request , options ) {
const cid = createCid(this.#wallNow());
const frame = { ...request, cid };
const { promise, resolve } = Promise.withResolvers ();
const timer = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
this.#end(cid, noReply(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
});
this.#pending.set(cid, {
frame,
isRepeatable: options.isRepeatable,
resolve: (reply) => {
timer.cancel();
resolve(reply);
},
});
if (!this.#send(frame) && !options.isRepeatable) this.#end(cid, noReply("not connected"));
return promise;
}
answer(frame ) {
return this.#end(textOf(frame.cid), readReply(frame));
}
lost() {
for (const [cid, { isRepeatable }] of this.#pending) {
if (!isRepeatable) this.#end(cid, noReply("the connection was lost"));
}
}
resend() {
for (const { frame } of this.#pending.values()) this.#send(frame);
}
abandon(text ) {
for (const cid of this.#pending.keys()) this.#end(cid, noReply(text));
}
#end(cid , reply ) {
const pending = this.#pending.get(cid);
if (pending === undefined) return false;
this.#pending.delete(cid);
pending.resolve(reply);
return true;
}
}
return { NO_ANSWER, readReply, noReply, isTemporary, Requests };
})();
// lib/web/app/texts_en.ts
const $m8 = (() => {
const ENGLISH = {
any_number: "Any number",
app: "Chat",
add_friend: "Add to friends",
add_people: "Add people",
all: "all",
back: "Back",
beginning_group: "This is where {name} begins.",
beginning_notes: "Notes to yourself. Nobody else sees them.",
beginning_one: "This is where your conversation with {name} begins.",
block: "Block",
block_ask: "{name} will not reach you any more and is not told. In groups you still see each other.",
cancel: "Cancel",
change_password: "Change password",
close: "Close",
closed_blocked: "You have blocked this person. Unblock them in the details to write.",
closed_dissolved: "This group was dissolved. What was said stays here.",
closed_group: "You are not in this group any more. What was said stays here.",
conversations: "Conversations",
copied: "Copied",
copy: "Copy",
copy_text: "Copy text",
create: "Create",
days_one: "{n} day",
days_other: "{n} days",
delete_about: "This cannot be undone. What becomes of your messages and groups is shown before.",
delete_account: "Delete account",
delete_browser: "What this browser keeps is removed, its settings too.",
delete_devices:
"Nobody can log in on this account any more: all your devices are logged out at once, and your name is free for others.",
delete_done: "Your account is deleted. Nothing of it is left in this browser.",
delete_groups:
"You leave your groups. Those that you own get another owner; one with nobody else in it is dissolved.",
delete_messages: "What you have said stays with those to whom you have said it, under the name “{name}”.",
delete_name: "Type your name, {name}, to confirm",
delete_name_wrong: "That is not your name.",
deleted_user: "deleted user",
details: "Details",
devices: "Devices",
discard: "Discard",
dissolve: "Dissolve group",
dissolve_ask: "Nobody will be able to write in {group} any more. Members keep what was said.",
draft: "Draft:",
edit: "Edit",
edit_group: "Edit group",
edited: "edited",
editing: "Editing your message",
emoji: "Emoji",
empty_text: "Choose a conversation, or press Ctrl K to jump to one.",
empty_title: "Nothing is open",
err_no_answer: "The server does not answer. Try again in a moment.",
err_not_found: "There is no such person, group or message.",
err_not_logged_in: "You are not logged in any more. Load the page again.",
err_online: "You are just being logged in elsewhere. Try again in a moment.",
err_other: "That did not work. Try again.",
err_too_large: "That is too long. Make it shorter.",
err_too_many: "Too many at once. Wait a little and try again.",
err_too_many_wait: "Too many at once. Try again in {time}.",
err_unavailable: "The server cannot do that at the moment. Try again soon.",
err_unknown: "This server cannot do that.",
everybody: "all – everybody in the group",
failed_one: "{n} message not sent",
failed_other: "{n} messages not sent",
filter: "Search conversations",
find_person: "Search everywhere",
group: "Group {id}",
group_about: "What it is about (optional)",
group_name: "Name of the group",
hand_over: "Make owner",
hand_over_ask: "{name} will own the group, and you will be an admin.",
have_account: "Log in instead",
invitation_bad: "This invitation is not good any more, or there is no such open group.",
invite_code: "Invitation code",
invite_needed: "This server asks for an invitation code. Its operator gives them out.",
invite_wrong: "This code is not valid, or was used up.",
join_about: "Somebody invites you into a group.",
leave_owner: "You own {group}. Make somebody else the owner first, or dissolve it.",
link_lifetime: "It is good for",
link_made: "Whoever has this link can join until {when}. It is shown this once.",
link_opens: "Until now only people who are added can join. With a link that changes.",
link_revoke: "Take it back",
link_revoked: "Nobody can join by that link any more.",
link_uses: "How many may join by it",
notify_no: "No, thanks",
people_one: "{n} person",
people_other: "{n} people",
signup_closed: "This server takes no new accounts. Ask its operator.",
invite_link: "Invite by link",
join: "Join",
join_closed: "Only people who are added",
join_group: "Join a group",
join_link: "People with a link, or who are added",
join_open: "Anybody",
jump: "Newest",
jump_hint: "Name of a person, a group, or what to do",
jump_new: "{n} new",
jump_title: "Jump to",
key_complete: "Complete a name, or an emoji by its name",
key_conversations: "Conversation above or below",
key_edit: "In an empty field: edit your last message",
key_escape: "One level up",
key_help: "This list",
key_jump: "Jump to anything",
key_menu: "On a message: what can be done with it",
key_messages: "With the focus in the log: next or previous message",
key_pin: "Pin the message",
key_react: "React to the message",
key_reply: "Reply to the message",
key_unread: "Next unread conversation",
keys: "Keyboard",
language: "Language",
language_browser: "As the browser",
last_seen: "Last seen {when}",
leave: "Leave group",
leave_ask: "You will get nothing that is said in {group} from now on.",
link_or_number: "Invitation, or the number of an open group",
loading: "Loading…",
log_in: "Log in",
log_out: "Log out",
log_out_ask: "What is kept in this browser is removed. Your messages stay on the server.",
log_out_waiting_one: "{n} message has not been sent and will be lost.",
log_out_waiting_other: "{n} messages have not been sent and will be lost.",
logged_out_note: "This device was logged out. Log in to go on; what you have written is kept.",
make_admin: "Make admin",
make_link: "Make a link",
make_normal: "Make normal member",
members_one: "{n} member",
members_other: "{n} members",
mentions_one: "{n} mention",
mentions_other: "{n} mentions",
messages: "Messages",
messages_wait_one: "{n} message waits",
messages_wait_other: "{n} messages wait",
more: "More",
more_emoji: "More…",
mute: "Mute",
mute_always: "Until I turn it on",
mute_day: "For a day",
mute_hour: "For an hour",
name: "Name",
need_name: "Type a name.",
need_password: "Type a password.",
new: "New",
new_chat: "New conversation",
new_group: "New group",
new_message: "New message",
new_password: "New password",
no_account: "Create an account",
no_conversations: "No conversations yet. Press + to start one.",
no_match: "No conversation has that name.",
nobody_found: "Nothing found.",
not_edited: "Not changed: {why}",
not_sent: "Not sent: {why}",
notes: "Notes to self",
notifications: "Notifications",
notify_ask: "A message came while you were away.",
notify_denied:
"This browser does not allow notifications here. You can change that in its settings for this page.",
notify_off: "Off",
notify_on: "Who wrote",
notify_text: "Who wrote, and what",
notify_yes: "Notify me next time",
now: "Now",
offline: "offline",
old_password: "Present password",
online: "online",
parts_one: "It is sent as {n} message.",
parts_other: "It is sent as {n} messages.",
operator: "An operator",
password: "Password",
password_note: "All your other devices are logged out.",
paste_lines_one: "You paste a long text in {n} line.",
paste_lines_other: "You paste a long text of {n} lines.",
paste_one: "Put it into one message",
paste_parts: "Send as several",
paste_title: "Long text",
person_added: "{name} was added",
person_name: "Name of a person",
pin: "Pin",
pinned: "Pinned",
profile: "Profile",
quote_older: "An earlier message",
react: "React",
read_by_one: "read by {n}",
read_by_other: "read by {n}",
recall: "Delete for everybody",
recall_ask: "The message is removed for everybody. Some may have read it.",
recalled: "This message was deleted",
recalled_own: "You deleted this message",
remove: "Remove from group",
remove_ask: "{name} will get nothing that is said here from now on.",
remove_device: "Log out",
remove_device_ask: "{name} is logged out at once.",
remove_friend: "Remove from friends",
reply: "Reply",
replying_to: "Reply to {name}",
reset: "Choose a new password",
role_admin: "admin",
role_creator: "owner",
role_normal: "member",
save: "Save",
saved: "Saved",
send: "Send",
send_message: "Message",
settings: "Settings",
show_all: "Show all",
sign_up: "Create account",
state_back_in: "Trying again in {n} s",
state_connecting: "Connecting…",
state_elsewhere: "Chat is open in another tab.",
state_forgetful: "This browser keeps nothing: close the page only when everything is sent.",
state_lost: "The connection was lost.",
state_offline: "Offline",
state_replaced: "You are connected from another place.",
state_restarts: "The server restarts.",
status: "Status",
sys_added: "{by} added {name}",
sys_created: "{by} created the group",
sys_dissolved: "{by} dissolved the group",
sys_edited: "{by} changed the group",
sys_join: "{by} changed who may join: {join}",
sys_joined: "{name} joined",
sys_left: "{name} left",
sys_other: "{by} changed something in the group",
sys_removed: "{by} removed {name}",
sys_renamed: "{by} named the group {group}",
sys_role: "{by} made {name} {role}",
theme: "Appearance",
theme_dark: "Dark",
theme_light: "Light",
theme_system: "As the device",
this_device: "This device",
tick_clock: "on its way",
tick_delivered: "delivered",
tick_read: "read",
tick_stored: "sent",
today: "Today",
try_again: "Try again",
typing: "typing…",
typing_many: "Several people are typing…",
typing_one: "{name} is typing…",
typing_two: "{name} and {other} are typing…",
unblock: "Unblock",
unmute: "Unmute",
unpin: "Unpin",
unread_one: "{n} unread",
unread_other: "{n} unread",
use_here: "Use here",
user: "User {id}",
versions: "Earlier texts",
who_may_join: "Who may join",
why_admins: "Only the owner and the admins of a group can do that.",
why_blocked: "You can block {n} people at most.",
why_changed: "This account was changed just now. Log in again.",
why_code: "This code is not good, or not any more. Ask for another one.",
why_description: "The description can have {n} characters at most.",
why_disabled: "This account is disabled. Ask the operator of the server.",
why_edits: "This message was changed too often. Write a new one.",
why_friends: "You can have {n} friends at most.",
why_group_taken: "Another group has this name. Choose another one.",
why_groups: "One can be in {n} groups at most.",
why_hand_over: "Make somebody else the owner first.",
why_late: "It is too late for that.",
why_links: "A group has {n} links at most. Take one back first.",
why_members: "A group has {n} members at most.",
why_mentions: "A message can mention {n} people at most.",
why_name_long: "A name can have {n} characters at most.",
why_name_number: "A name cannot have a number in parentheses.",
why_name_signs: "The name has characters that cannot be in a name.",
why_name_spaces: "A name cannot have spaces at its ends, or two in a row.",
why_name_taken: "Somebody else has this name. Choose another one.",
why_no_friend: "{name} has not added you as a friend. Invite them by a link.",
why_outside: "You are not in this group any more.",
why_owned: "One can own {n} groups at most.",
why_owner: "Only the owner of the group can do that.",
why_password: "This is not your password.",
why_password_changed: "The password was changed on another device just now.",
why_password_long: "A password can have {n} characters at most.",
why_password_short: "A password has {n} characters at least.",
why_pins: "A conversation has {n} pinned messages at most. Unpin one first.",
why_reactions: "A message has {n} different reactions at most.",
why_self: "That is you.",
why_sender: "Only who has written a message can do that.",
why_status_long: "The status can have {n} characters at most.",
why_status_signs: "The status has characters that cannot be in it.",
why_text: "This text has characters that cannot be stored.",
why_whole_name: "Here people are found by their whole names only.",
write_to: "Message {name}",
wrong_password: "The name or the password is wrong.",
yesterday: "Yesterday",
you: "You",
you_object: "you",
} ;
return { ENGLISH };
})();
// lib/web/app/texts_zh.ts
const $m9 = (() => {
const CHINESE = {
any_number: "人数不限",
app: "聊天",
add_friend: "加为好友",
add_people: "添加成员",
all: "所有人",
back: "返回",
beginning_group: "这里是 {name} 的开始。",
beginning_notes: "写给自己的笔记，别人看不到。",
beginning_one: "这里是你与 {name} 对话的开始。",
block: "拉黑",
block_ask: "{name} 将无法再联系你，也不会收到通知。在群组中你们仍能看到彼此。",
cancel: "取消",
change_password: "修改密码",
close: "关闭",
closed_blocked: "你已拉黑此人。要发送消息，请在详情中取消拉黑。",
closed_dissolved: "此群组已解散。之前的消息会保留在这里。",
closed_group: "你已不在此群组中。之前的消息会保留在这里。",
conversations: "会话",
copied: "已复制",
copy: "复制",
copy_text: "复制文字",
create: "创建",
days_one: "{n} 天",
days_other: "{n} 天",
delete_about: "此操作无法撤销。确认之前会说明消息和群组将如何处理。",
delete_account: "删除账号",
delete_browser: "此浏览器中保存的数据和设置将被清除。",
delete_devices: "此账号将无法再登录：你的所有设备立即退出登录，你的用户名可被他人使用。",
delete_done: "你的账号已删除，此浏览器中没有留下任何数据。",
delete_groups: "你将退出所有群组。你拥有的群组会有新的群主；没有其他成员的群组将被解散。",
delete_messages: "你发送过的消息会保留在对方和群组的记录中，署名为“{name}”。",
delete_name: "请输入你的用户名 {name} 以确认",
delete_name_wrong: "这不是你的用户名。",
deleted_user: "已注销用户",
details: "详情",
devices: "设备",
discard: "丢弃",
dissolve: "解散群组",
dissolve_ask: "{group} 中将无人能再发言。成员仍可查看已有消息。",
draft: "草稿：",
edit: "编辑",
edit_group: "编辑群组",
edited: "已编辑",
editing: "正在编辑消息",
emoji: "表情",
empty_text: "选择一个会话，或按 Ctrl K 快速跳转。",
empty_title: "未打开会话",
err_no_answer: "服务器没有响应，请稍后重试。",
err_not_found: "找不到该用户、群组或消息。",
err_not_logged_in: "你已退出登录，请重新加载页面。",
err_online: "你正在别处登录，请稍后重试。",
err_other: "操作失败，请重试。",
err_too_large: "内容太长，请缩短。",
err_too_many: "操作太频繁，请稍候再试。",
err_too_many_wait: "操作太频繁，请在{time}后重试。",
err_unavailable: "服务器暂时无法处理，请稍后重试。",
err_unknown: "此服务器不支持该操作。",
everybody: "所有人 – 群组全体成员",
failed_one: "{n} 条消息未发送",
failed_other: "{n} 条消息未发送",
filter: "搜索会话",
find_person: "搜索全部",
group: "群组 {id}",
group_about: "群组简介（可选）",
group_name: "群组名称",
hand_over: "转让群主",
hand_over_ask: "{name} 将成为群主，你将成为管理员。",
have_account: "已有账号？登录",
invitation_bad: "此邀请已失效，或没有这个公开群组。",
invite_code: "邀请码",
invite_needed: "此服务器需要邀请码，请向管理员索取。",
invite_wrong: "邀请码无效或已用完。",
join_about: "有人邀请你加入一个群组。",
leave_owner: "你是 {group} 的群主。请先转让群主，或解散群组。",
link_lifetime: "有效期",
link_made: "在 {when} 之前，持有此链接的人可以加入。链接只显示这一次。",
link_opens: "目前只能由成员添加。创建链接后将改为可通过链接加入。",
link_revoke: "撤回链接",
link_revoked: "该链接已失效。",
link_uses: "可加入人数",
notify_no: "不用了",
people_one: "{n} 人",
people_other: "{n} 人",
signup_closed: "此服务器不开放注册，请联系管理员。",
invite_link: "链接邀请",
join: "加入",
join_closed: "仅限被添加的人",
join_group: "加入群组",
join_link: "持有链接或被添加的人",
join_open: "任何人",
jump: "最新消息",
jump_hint: "输入人名、群组或操作",
jump_new: "{n} 条新消息",
jump_title: "跳转到",
key_complete: "补全人名或表情名称",
key_conversations: "上一个/下一个会话",
key_edit: "输入框为空时：编辑上一条消息",
key_escape: "返回上一级",
key_help: "显示此列表",
key_jump: "快速跳转",
key_menu: "在消息上：打开操作菜单",
key_messages: "焦点在消息列表时：下一条/上一条消息",
key_pin: "置顶消息",
key_react: "回应消息",
key_reply: "回复消息",
key_unread: "下一个未读会话",
keys: "键盘快捷键",
language: "语言",
language_browser: "跟随浏览器",
last_seen: "最近在线：{when}",
leave: "退出群组",
leave_ask: "此后你将收不到 {group} 中的消息。",
link_or_number: "邀请码，或公开群组的编号",
loading: "加载中…",
log_in: "登录",
log_out: "退出登录",
log_out_ask: "此浏览器中的数据将被清除。你的消息仍保存在服务器上。",
log_out_waiting_one: "有 {n} 条消息尚未发送，将会丢失。",
log_out_waiting_other: "有 {n} 条消息尚未发送，将会丢失。",
logged_out_note: "此设备已退出登录。请重新登录，你写的内容已保留。",
make_admin: "设为管理员",
make_link: "生成链接",
make_normal: "取消管理员",
members_one: "{n} 位成员",
members_other: "{n} 位成员",
mentions_one: "{n} 条提及",
mentions_other: "{n} 条提及",
messages: "消息",
messages_wait_one: "{n} 条消息待发送",
messages_wait_other: "{n} 条消息待发送",
more: "更多",
more_emoji: "更多…",
mute: "免打扰",
mute_always: "直到手动开启",
mute_day: "一天",
mute_hour: "一小时",
name: "用户名",
need_name: "请输入名称。",
need_password: "请输入密码。",
new: "新消息",
new_chat: "新会话",
new_group: "新建群组",
new_message: "新消息",
new_password: "新密码",
no_account: "注册账号",
no_conversations: "还没有会话。点击 + 开始。",
no_match: "没有匹配的会话。",
nobody_found: "未找到结果。",
not_edited: "未修改：{why}",
not_sent: "未发送：{why}",
notes: "我的笔记",
notifications: "通知",
notify_ask: "你离开时收到了新消息。",
notify_denied: "浏览器不允许此页面发送通知，可在浏览器的网站设置中更改。",
notify_off: "关闭",
notify_on: "显示发送者",
notify_text: "显示发送者和内容",
notify_yes: "以后通知我",
now: "立即重试",
offline: "离线",
old_password: "当前密码",
online: "在线",
parts_one: "将作为 {n} 条消息发送。",
parts_other: "将作为 {n} 条消息发送。",
operator: "管理员",
password: "密码",
password_note: "你的其他设备将全部退出登录。",
paste_lines_one: "你粘贴了 {n} 行长文本。",
paste_lines_other: "你粘贴了 {n} 行长文本。",
paste_one: "作为一条消息",
paste_parts: "分成多条发送",
paste_title: "长文本",
person_added: "已添加 {name}",
person_name: "人名",
pin: "置顶",
pinned: "已置顶",
profile: "个人资料",
quote_older: "较早的消息",
react: "回应",
read_by_one: "{n} 人已读",
read_by_other: "{n} 人已读",
recall: "撤回",
recall_ask: "消息将对所有人撤回，但可能已有人读过。",
recalled: "消息已撤回",
recalled_own: "你撤回了一条消息",
remove: "移出群组",
remove_ask: "{name} 此后将收不到这里的消息。",
remove_device: "退出登录",
remove_device_ask: "{name} 将立即退出登录。",
remove_friend: "删除好友",
reply: "回复",
replying_to: "回复 {name}",
reset: "设置新密码",
role_admin: "管理员",
role_creator: "群主",
role_normal: "成员",
save: "保存",
saved: "已保存",
send: "发送",
send_message: "发消息",
settings: "设置",
show_all: "显示全部",
sign_up: "注册",
state_back_in: "{n} 秒后重试",
state_connecting: "正在连接…",
state_elsewhere: "聊天已在另一个标签页中打开。",
state_forgetful: "此浏览器无法保存数据：请在全部发送后再关闭页面。",
state_lost: "连接已断开。",
state_offline: "离线",
state_replaced: "你已在别处连接。",
state_restarts: "服务器正在重启。",
status: "状态",
sys_added: "{by} 添加了 {name}",
sys_created: "{by} 创建了群组",
sys_dissolved: "{by} 解散了群组",
sys_edited: "{by} 修改了群组信息",
sys_join: "{by} 更改了加入方式：{join}",
sys_joined: "{name} 加入了群组",
sys_left: "{name} 退出了群组",
sys_other: "{by} 更改了群组",
sys_removed: "{by} 移除了 {name}",
sys_renamed: "{by} 将群组命名为 {group}",
sys_role: "{by} 将 {name} 设为{role}",
theme: "外观",
theme_dark: "深色",
theme_light: "浅色",
theme_system: "跟随系统",
this_device: "本设备",
tick_clock: "发送中",
tick_delivered: "已送达",
tick_read: "已读",
tick_stored: "已发送",
today: "今天",
try_again: "重试",
typing: "正在输入…",
typing_many: "多人正在输入…",
typing_one: "{name} 正在输入…",
typing_two: "{name} 和 {other} 正在输入…",
unblock: "取消拉黑",
unmute: "取消免打扰",
unpin: "取消置顶",
unread_one: "{n} 条未读",
unread_other: "{n} 条未读",
use_here: "在此使用",
user: "用户 {id}",
versions: "历史版本",
who_may_join: "谁可以加入",
why_admins: "只有群主和管理员可以这样做。",
why_blocked: "最多可拉黑 {n} 人。",
why_changed: "此账号刚刚有变动，请重新登录。",
why_code: "此代码无效或已失效，请索取新的代码。",
why_description: "简介最多 {n} 个字符。",
why_disabled: "此账号已被停用，请联系服务器管理员。",
why_edits: "此消息修改次数过多，请另发一条新消息。",
why_friends: "最多可添加 {n} 位好友。",
why_group_taken: "此群名已被使用，请换一个。",
why_groups: "每人最多可加入 {n} 个群组。",
why_hand_over: "请先将群主转让给他人。",
why_late: "已超过可操作的时间。",
why_links: "一个群组最多有 {n} 个邀请链接，请先收回一个。",
why_members: "一个群组最多有 {n} 名成员。",
why_mentions: "一条消息最多可提及 {n} 人。",
why_name_long: "名称最多 {n} 个字符。",
why_name_number: "名称中不能有括号括起来的数字。",
why_name_signs: "名称中有不允许的字符。",
why_name_spaces: "名称首尾不能有空格，中间不能有连续空格。",
why_name_taken: "此用户名已被使用，请换一个。",
why_no_friend: "{name} 没有添加你为好友，请用链接邀请。",
why_outside: "你已不在此群组中。",
why_owned: "每人最多可拥有 {n} 个群组。",
why_owner: "只有群主可以这样做。",
why_password: "这不是你的密码。",
why_password_changed: "密码刚刚在另一台设备上被修改。",
why_password_long: "密码最多 {n} 个字符。",
why_password_short: "密码至少 {n} 个字符。",
why_pins: "一个会话最多置顶 {n} 条消息，请先取消一条。",
why_reactions: "一条消息最多有 {n} 种回应。",
why_self: "这是你自己。",
why_sender: "只有消息的发送者可以这样做。",
why_status_long: "状态最多 {n} 个字符。",
why_status_signs: "状态中有不允许的字符。",
why_text: "文字中有无法保存的字符。",
why_whole_name: "此服务器只能按完整用户名查找用户。",
write_to: "发消息给 {name}",
wrong_password: "用户名或密码错误。",
yesterday: "昨天",
you: "你",
you_object: "你",
};
return { CHINESE };
})();
// lib/web/app/texts.ts
const $m10 = (() => {
const { ENGLISH } = $m8;
const { CHINESE } = $m9;
const LANGUAGES = [
{ tag: "en", name: "English", table: ENGLISH },
{ tag: "zh-CN", name: "简体中文", table: CHINESE },
];
let language = LANGUAGES[0] ;
let locale = "en";
function setLanguage(wanted , browser ) {
const primary = (tag ) => tag.split("-")[0];
const find = (tag ) =>
LANGUAGES.find((known) => known.tag === tag) ??
LANGUAGES.find((known) => primary(known.tag) === primary(tag));
const known = [wanted, ...browser].map((tag) => find(tag)).find((found) => found !== undefined);
language = known ?? language;
locale = browser.find((tag) => find(tag) === language) ?? language.tag;
formats.clear();
plurals = remembered(() => new Intl.PluralRules(language.tag));
numbers = remembered(() => new Intl.NumberFormat(locale));
}
function remembered (make ) {
let made ;
return () => made ??= make();
}
let plurals = remembered(() => new Intl.PluralRules(language.tag));
let numbers = remembered(() => new Intl.NumberFormat(locale));
function languageTag() {
return language.tag;
}
function t(key , values = {}) {
return language.table[key].replace(/\{(\w+)\}/g, (_, name) => {
const value = values[name];
return typeof value === "number" ? number(value) : value ?? "";
});
}
function plural (
key ,
n ,
values = {},
) {
const rule = plurals().select(n);
const one = `${key}_one` ;
return t(rule === "one" && one in language.table ? one : `${key}_other` , { ...values, n });
}
function isolate(name ) {
return `\u2068${name}\u2069`;
}
const formats = new Map ();
function formatter(options ) {
const key = JSON.stringify(options);
const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
formats.set(key, known);
return known;
}
function format(at , options ) {
return formatter(options).format(at);
}
function number(value ) {
return numbers().format(value);
}
function duration(ms ) {
const seconds = Math.ceil(ms / 1000);
const [value, unit] = seconds < 100 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
const style = "unit";
return new Intl.NumberFormat(locale, { style, unit, unitDisplay: "long" }).format(value);
}
const CLOCK = { hour: "2-digit", minute: "2-digit" } ;
function time(at ) {
return format(at, CLOCK);
}
function bareTime(at ) {
const parts = formatter(CLOCK).formatToParts(at).filter(({ type }) => type !== "dayPeriod");
return parts.map(({ value }) => value).join("").trim();
}
function fullTime(at ) {
return format(at, { dateStyle: "full", timeStyle: "short" });
}
function dayOf(at ) {
const date = new Date(at);
return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}
const DAY_MS = 86_400_000;
function day(at , now ) {
if (dayOf(at) === dayOf(now)) return t("today");
if (dayOf(at) === dayOf(now - DAY_MS)) return t("yesterday");
const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
return format(at, {
weekday: "long",
day: "numeric",
month: "long",
...(isThisYear ? {} : { year: "numeric" }),
});
}
function shortTime(at , now ) {
if (at <= 0) return "";
if (dayOf(at) === dayOf(now)) return time(at);
if (dayOf(at) === dayOf(now - DAY_MS)) return t("yesterday");
if (now - at < 6 * DAY_MS) return format(at, { weekday: "short" });
return format(at, { day: "numeric", month: "short" });
}
return { LANGUAGES, setLanguage, languageTag, t, plural, isolate, number, duration, time, bareTime, fullTime, dayOf, day, shortTime };
})();
// lib/web/app/refusals.ts
const $m11 = (() => {
const { integerOf } = $m2;
const { NO_ANSWER } = $m7;
const { ERRNO } = $m1;
const { duration, isolate, t } = $m10;
const BY_ERRNO = {
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
const REASONS = {
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
function failureOf({ errno, text, frame } ) {
const waitMs = integerOf(frame?.retry_after_ms, 1);
if (errno === ERRNO.TOO_MANY_REQUESTS && waitMs !== undefined) {
return t("err_too_many_wait", { time: duration(waitMs) });
}
const key = BY_ERRNO[errno];
return key === undefined ? reasonOf(text) ?? (text || t("err_other")) : t(key);
}
function reasonOf(text ) {
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
return { REASONS, failureOf };
})();
// lib/web/app/entry_view.ts
const $m12 = (() => {
const { textOf } = $m2;
const { ERRNO } = $m1;
const { el, replace } = $m3;
const { field, form } = $m4;
const { setPref } = $m5;
const { failureOf } = $m11;
const { LANGUAGES, languageTag, t } = $m10;
class EntryView {
element = el("main", { class: "entry" });
#model ;
#options ;
#isNew ;
#code ;
constructor(model , options ) {
this.#model = model;
this.#options = options;
this.#isNew = options.link?.kind === "invite";
this.#code = options.link?.kind === "reset" ? options.link.code : undefined;
this.#draw("");
}
focus() {
const fields = [...this.element.querySelectorAll("input")];
(fields.find(({ value }) => value === "") ?? fields[0])?.focus();
}
#draw(typed ) {
if (this.#code !== undefined) return this.#drawReset(this.#code);
const isNew = this.#isNew;
const kept = this.#model.account;
const ended = kept !== undefined;
const name = field(t("name"), {
name: "username",
autocomplete: "username",
autocapitalize: "off",
spellcheck: "false",
maxlength: 50,
value: typed || (kept?.name ?? ""),
});
const password = field(t("password"), {
name: "password",
type: "password",
autocomplete: isNew ? "new-password" : "current-password",
});
const { link } = this.#options;
const code = link?.kind === "invite" ? link.code : "";
const invite = field(t("invite_code"), {
name: "code",
autocomplete: "off",
autocapitalize: "off",
value: code,
});
invite.element.hidden = code === "" || !isNew;
const submit = async () => {
const who = name.input.value.trim();
const secret = password.input.value;
if (who === "") return t("need_name");
if (secret === "") return t("need_password");
const reply = isNew
? await this.#model.signUp(who, secret, invite.input.value.trim())
: await this.#model.logIn(who, secret);
if (reply.errno === ERRNO.OK) return "";
if (reply.frame.signup === "closed") return t("signup_closed");
if (reply.frame.signup === "invite") {
const wasAsked = !invite.element.hidden;
invite.element.hidden = false;
invite.input.focus();
return wasAsked ? t("invite_wrong") : t("invite_needed");
}
return failureOf(reply);
};
const turn = el("button", {
type: "button",
class: "link",
onclick: () => {
this.#isNew = !isNew;
this.#draw(name.input.value);
},
}, isNew ? t("have_account") : t("no_account"));
replace(
this.element,
el(
"div",
{ class: "entry-card" },
el("h1", {}, isNew ? t("sign_up") : t("log_in")),
this.#options.isDeleted && el("p", { class: "secondary", role: "status" }, t("delete_done")),
ended && !isNew && el("p", { class: "secondary" }, t("logged_out_note")),
form([name.element, password.element, invite.element], isNew ? t("sign_up") : t("log_in"), submit),
el("div", { class: "entry-foot" }, turn, this.#language()),
),
);
this.focus();
}
#drawReset(code ) {
const password = field(t("new_password"), {
name: "password",
type: "password",
autocomplete: "new-password",
});
const submit = async () => {
const secret = password.input.value;
if (secret === "") return t("need_password");
const reply = await this.#model.resetPassword(code, secret);
if (reply.errno !== ERRNO.OK) return failureOf(reply);
const name = textOf(reply.frame.name);
if (this.#endReset(name)) await this.#model.logIn(name, secret);
return "";
};
const turn = el("button", {
type: "button",
class: "link",
onclick: () => this.#endReset(""),
}, t("have_account"));
replace(
this.element,
el(
"div",
{ class: "entry-card" },
el("h1", {}, t("reset")),
el("p", { class: "secondary" }, t("password_note")),
form([password.element], t("save"), submit),
el("div", { class: "entry-foot" }, turn, this.#language()),
),
);
this.focus();
}
#endReset(name ) {
this.#code = undefined;
this.#options.onReset();
if (this.#model.account?.token !== undefined) {
location.reload();
return false;
}
this.#draw(name);
return true;
}
#language() {
const other = LANGUAGES.find(({ tag }) => tag !== languageTag()) ?? LANGUAGES[0];
return other && el("button", {
type: "button",
class: "link",
lang: other.tag,
onclick: () => {
setPref("language", other.tag);
this.#options.onLanguage();
},
}, other.name);
}
}
return { EntryView };
})();
// lib/base/clock.ts
const $m13 = (() => {
const systemClock = {
now: () => performance.now(),
after(delayMs, callback) {
const id = setTimeout(callback, Math.max(0, delayMs));
return { cancel: () => clearTimeout(id) };
},
};
return { systemClock };
})();
// lib/base/errors.ts
const $m14 = (() => {
const EXIT = {
ok: 0,
failure: 1,
usage: 64,
unavailable: 69,
config: 78,
} ;
class FatalError extends Error {
name = "FatalError";
exitCode ;
constructor(exitCode , message , options ) {
super(message, options);
this.exitCode = exitCode;
}
}
const TEMPORARY = new Set(["conflict", "unavailable", "unfit", "full"]);
class DatabaseError extends Error {
name = "DatabaseError";
kind ;
outcomeUnknown ;
constructor(
kind ,
message ,
options = {},
) {
super(message, options);
this.kind = kind;
this.outcomeUnknown = options.outcomeUnknown ?? false;
}
}
class PresenceError extends Error {
name = "PresenceError";
constructor(reason ) {
super(`No user can be claimed: ${reason}`);
}
}
function isTemporary(error ) {
return error instanceof DatabaseError && TEMPORARY.has(error.kind);
}
function errorText(error ) {
return error instanceof Error ? error.message : String(error);
}
return { EXIT, FatalError, DatabaseError, PresenceError, isTemporary, errorText };
})();
// lib/client/core/back_off.ts
const $m15 = (() => {
const FIRST_CEILING_MS = 500;
const LAST_CEILING_MS = 30_000;
class BackOff {
#random ;
#attempts = 0;
constructor(random ) {
this.#random = random;
}
next() {
const ceiling = Math.min(LAST_CEILING_MS, FIRST_CEILING_MS * 2 ** this.#attempts++);
return Math.round(this.#random() * ceiling);
}
reset() {
this.#attempts = 0;
}
}
return { BackOff };
})();
// lib/protocol/entries.ts
const $m16 = (() => {
const { MSGID, toJson } = $m1;
const KIND = { chat: 0, action: 1, system: 2 } ;
const ACTION = `{"msgid":${MSGID.ACTION_MSG},`;
const SYSTEM = `{"msgid":${MSGID.SYSTEM_MSG},`;
function kindOf(text ) {
if (text.startsWith(ACTION)) return KIND.action;
return text.startsWith(SYSTEM) ? KIND.system : KIND.chat;
}
function actionText({ id, name } , ref , act , fields = {}) {
return toJson({ msgid: MSGID.ACTION_MSG, id, name, ref, act, ...fields });
}
const OPERATOR = { id: 0, name: "operator" };
const DELETED_NAME = "deleted user";
function systemText(what , { id, name } , by , fields = {}) {
const doer = by.id === id ? { by: id } : { by: by.id, by_name: by.name };
return toJson({ msgid: MSGID.SYSTEM_MSG, what, id, name, ...doer, ...fields });
}
const ENDING = new RegExp(`^\\{"msgid":${MSGID.SYSTEM_MSG},"what":"(left|removed|dissolved)","id":(\\d+),`);
function endsMembership(text , userId ) {
const [, what, id] = ENDING.exec(text) ?? [];
return what === "dissolved" || (what !== undefined && Number(id) === userId);
}
return { KIND, kindOf, actionText, OPERATOR, DELETED_NAME, systemText, endsMembership };
})();
// lib/client/core/show_name.ts
const $m17 = (() => {
const PLAIN =
/^[\p{L}\p{N}](?: ?[\p{L}\p{M}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\u200c\u200d\-_.'’·・])*$/u;
const MARKS = /[\u2611\u2705\u2714]/u;
const QUOTES = /["\\\u201c-\u201f\u2033\u301d\u301e\uff02]/gu;
function showName(name ) {
return PLAIN.test(name) && !MARKS.test(name) ? name : `"${name.replace(QUOTES, "\\$&")}"`;
}
return { showName };
})();
// lib/client/core/directory.ts
const $m18 = (() => {
const { OPERATOR } = $m16;
const { conversationOfGroup, otherOf, parseConversation } = $m1;
const { showName } = $m17;
class Directory {
me ;
#friends = new Map ();
#groups = new Map ();
#groupNames = new Map ();
#names = new Map ();
#states = new Map ();
constructor({ id, name, friends, groups } ) {
this.me = { id, name };
this.learnName(id, name);
this.refresh({ friends, groups });
}
learnName(id , name ) {
if (id > 0 && name !== "") this.#names.set(id, name);
}
isFriend(id ) {
return this.#friends.has(id);
}
addFriend(friend ) {
this.#friends.set(friend.id, friend);
this.learnName(friend.id, friend.name);
this.learnState(friend.id, friend.state);
}
friends() {
return [...this.#friends.values()].sort((one, other) => one.id - other.id);
}
groups() {
return [...this.#groups.values()].sort((one, other) => one.id - other.id);
}
nameOf(id ) {
return this.#names.get(id);
}
names() {
return this.#names;
}
stateOf(id ) {
return this.#states.get(id);
}
learnState(id , state ) {
if (state === "") return;
this.#states.set(id, state);
const friend = this.#friends.get(id);
if (friend !== undefined) this.#friends.set(id, { ...friend, state });
}
learnProfile(id , { name } ) {
this.learnName(id, name);
if (id === this.me.id && name !== "") this.me.name = name;
const friend = this.#friends.get(id);
if (friend !== undefined) this.#friends.set(id, { ...friend, name: name || friend.name });
}
refresh({ friends, groups } ) {
this.#friends.clear();
this.#groups.clear();
for (const friend of friends) this.addFriend(friend);
for (const group of groups) this.addGroup(group);
}
group(id ) {
return this.#groups.get(id);
}
addGroup(group ) {
this.#groups.set(group.id, group);
this.learnGroupName(group.id, group.name);
for (const { id, name } of group.members) this.learnName(id, name);
}
removeGroup(id ) {
this.#groups.delete(id);
}
learnGroupName(id , name ) {
if (name !== "") this.#groupNames.set(id, name);
}
groupName(id ) {
return this.#groupNames.get(id);
}
describeUser(id ) {
if (id === OPERATOR.id) return "an operator";
const name = this.#names.get(id);
return name === undefined ? `user ${id}` : `${showName(name)} (${id})`;
}
describeGroup(id ) {
const name = this.#groupNames.get(id);
return name ? `${showName(name)} (${conversationOfGroup(id)})` : conversationOfGroup(id);
}
describeConversation(conversation ) {
const parsed = parseConversation(conversation);
if (parsed !== undefined && "groupId" in parsed) return this.describeGroup(parsed.groupId);
const other = otherOf(conversation, this.me.id);
return other === undefined ? conversation : this.describeUser(other);
}
}
return { Directory };
})();
// lib/client/core/entries.ts
const $m19 = (() => {
const { isJsonObject, MSGID } = $m1;
const { integerOf, listOf, textOf } = $m2;
function idsOf(value ) {
return listOf(value).map((id) => integerOf(id, 1)).filter((id) => id !== undefined);
}
function detailsOf({ frame = {} } ) {
const { reactions } = frame;
return {
reply: integerOf(frame.reply, 1),
mentions: frame.mentions === "all" ? "all" : idsOf(frame.mentions),
editedAt: integerOf(frame.edited, 1),
reactions: new Map(
isJsonObject(reactions) ? Object.entries(reactions).map(([emoji, users]) => [emoji, idsOf(users)]) : [],
),
isPinned: frame.pinned === true,
};
}
function isMentioned(message , id ) {
const { mentions } = detailsOf(message);
return mentions === "all" || mentions.includes(id);
}
function actionOf({ frame } ) {
if (frame?.msgid !== MSGID.ACTION_MSG) return undefined;
return {
ref: integerOf(frame.ref, 1) ?? 0,
act: textOf(frame.act),
text: textOf(frame.msg),
emoji: textOf(frame.emoji),
isOn: frame.on === true,
};
}
function systemEventOf({ frame, sender } ) {
if (frame?.msgid !== MSGID.SYSTEM_MSG) return undefined;
return { what: textOf(frame.what), id: integerOf(frame.id, 1) ?? sender, frame };
}
function isSaid({ frame } ) {
return frame?.msgid !== MSGID.ACTION_MSG && frame?.msgid !== MSGID.SYSTEM_MSG;
}
function applyAction(message , entry ) {
const action = actionOf(entry);
if (action === undefined || message.text === null || !isSaid(message)) return undefined;
const { frame: before = {}, ...rest } = message;
switch (action.act) {
case "recall":
return { ...rest, text: null };
case "edit":
if ((integerOf(before.edited, 1) ?? 0) > entry.at) return undefined;
return { ...message, text: action.text, frame: { ...before, msg: action.text, edited: entry.at } };
case "react":
return { ...message, frame: { ...before, reactions: react(message, action, entry.sender) } };
case "pin":
return { ...message, frame: { ...before, pinned: action.isOn } };
default:
return undefined;
}
}
function react(message , { emoji, isOn } , user ) {
const { reactions } = detailsOf(message);
const others = (reactions.get(emoji) ?? []).filter((id) => id !== user);
const users = isOn ? [...others, user] : others;
const after = new Map(reactions).set(emoji, users);
return Object.fromEntries([...after].filter(([, ids]) => ids.length > 0));
}
return { detailsOf, isMentioned, actionOf, systemEventOf, isSaid, applyAction };
})();
// lib/client/core/inbox.ts
const $m20 = (() => {
const { MSGID } = $m1;
const { actionOf, applyAction, isSaid } = $m19;
const HISTORY_PAGE = 200;
const HOLE_DELAY_MS = 100;
const HOLE_RETRY_MS = 2000;
const ACK_DELAY_MS = 100;
const ACK_MESSAGES = 50;
const UNREAD_MOST = HISTORY_PAGE;
class Inbox {
#store ;
#clock ;
#me ;
#isForScript ;
#isModern ;
#peer ;
#conversations = new Map ();
#unacknowledged = new Set ();
#unacknowledgedMessages = 0;
#timers = new Set ();
#nextFlush ;
#round = 0;
#hasMore = false;
constructor(
options
,
) {
this.#store = options.store;
this.#clock = options.clock;
this.#me = options.me;
this.#isForScript = options.isForScript ?? false;
this.#isModern = options.isModern ?? false;
this.#peer = options.peer;
}
start(positions , hasMore = false) {
this.stop();
this.#conversations = new Map();
this.#hasMore = hasMore;
const stored = new Map(this.#store.conversations().map((state) => [state.id, state]));
this.#store.transaction(() => {
for (const position of positions) {
this.#take(position, stored.get(position.conversation));
stored.delete(position.conversation);
}
for (const state of stored.values()) {
if (hasMore) this.#add(state);
else if (state.top > 0) this.#archive(state.id);
}
});
for (const conversation of this.#conversations.values()) this.#resume(conversation);
}
add(positions ) {
const stored = new Map(this.#store.conversations().map((state) => [state.id, state]));
for (const position of positions) {
const { conversation: id } = position;
if (this.#conversations.has(id)) continue;
this.#store.transaction(() => this.#take(position, stored.get(id)));
this.#resume(this.#find(id));
}
}
async look(id ) {
const conversation = this.#find(id);
const round = this.#round;
const after = conversation.top;
const page = await this.#peer.askHistory(id, after, HISTORY_PAGE);
if (page === undefined || round !== this.#round || conversation.top !== after) return;
this.#store.transaction(() => this.#storePage(conversation, page, { after, settled: after }));
}
read(id , seq ) {
const conversation = this.#find(id);
if (seq <= conversation.shown) return;
conversation.shown = seq;
this.#store.saveConversation(conversation);
this.#scheduleAck(conversation);
}
readElsewhere(id , seq ) {
const conversation = this.#find(id);
conversation.readSent = Math.max(conversation.readSent, seq);
this.read(id, seq);
}
stop() {
this.#round++;
for (const timer of this.#timers) timer.cancel();
this.#timers.clear();
this.#nextFlush = undefined;
this.#unacknowledged.clear();
this.#unacknowledgedMessages = 0;
}
receive(message , isSent = false) {
const { seq } = message;
if (seq === null) {
this.#store.insert(message);
if (message.sender !== this.#me) this.#show(message);
return;
}
const conversation = this.#find(message.conversation, seq - 1);
if (isSent && seq > conversation.told) conversation.sent.add(seq);
if (!this.#store.insert(message)) {
if (this.#isSame(message, seq)) this.#scheduleAck(conversation);
else this.#startAnew(message, seq);
return;
}
this.#unacknowledgedMessages++;
conversation.known = Math.max(conversation.known, seq);
if (seq > conversation.top) conversation.held.add(seq);
this.#advance(conversation, conversation.top);
if (this.#hasHole(conversation)) this.#later(HOLE_DELAY_MS, () => this.#fill(conversation));
}
get isCaughtUp() {
for (const conversation of this.#conversations.values()) {
if (conversation.filling !== undefined || this.#hasHole(conversation)) return false;
}
return true;
}
catchUp(positions ) {
for (const { conversation: id, lastSeq } of positions) {
const conversation = this.#find(id);
conversation.known = Math.max(conversation.known, lastSeq);
if (this.#hasHole(conversation)) this.#fill(conversation);
}
}
async fillHole(id ) {
const conversation = this.#find(id);
if (this.#hasHole(conversation)) await this.#fill(conversation);
}
flush() {
this.#nextFlush = undefined;
for (const conversation of this.#unacknowledged) {
const { id, top, shown } = conversation;
if (top > conversation.deliveredSent) {
this.#acknowledge({ msgid: MSGID.DELIVERED_MSG, conversation: id, seq: top });
conversation.deliveredSent = top;
}
if (shown > conversation.readSent) {
this.#acknowledge({ msgid: MSGID.READ_MSG, conversation: id, seq: shown });
conversation.readSent = shown;
}
}
this.#unacknowledged.clear();
this.#unacknowledgedMessages = 0;
}
extend(id , messages , base ) {
const conversation = this.#find(id);
this.#store.transaction(() => {
for (const message of messages) {
const isBelow = message.seq !== null && message.seq <= conversation.top;
if (!this.#store.insert(message) && isBelow && isSaid(message)) this.#store.replace(message);
}
conversation.base = Math.min(conversation.base, base);
this.#store.saveConversation(conversation);
});
}
baseOf(id ) {
return this.#find(id).base;
}
#take(position , stored ) {
const { conversation: id, lastSeq, delivered, read } = position;
let state = stored;
if (state !== undefined && state.top > lastSeq) {
this.#archive(id);
state = undefined;
}
state ??= { id, base: delivered, top: delivered, shown: read };
const shown = Math.max(state.shown, read);
const isUnreadMissing = !this.#isForScript && shown < state.base;
const start = Math.max(shown, state.base - UNREAD_MOST);
const conversation = this.#add({
...state,
shown,
...(isUnreadMissing ? { base: start, top: start } : {}),
});
if (this.#isForScript && !this.#isModern) conversation.told = Math.max(conversation.told, delivered);
conversation.known = Math.max(conversation.known, delivered);
conversation.deliveredSent = delivered;
conversation.readSent = read;
this.#store.saveConversation(conversation);
}
#resume(conversation ) {
this.#advance(conversation, conversation.top);
this.#scheduleAck(conversation);
if (this.#hasHole(conversation)) this.#fill(conversation);
}
#find(id , before = 0) {
const start = this.#hasMore ? before : 0;
return this.#conversations.get(id) ?? this.#add({ id, base: start, top: start, shown: start });
}
#add(state ) {
const held = new Set(this.#store.seqsAbove(state.id, state.top));
const known = Math.max(state.top, ...held);
const told = this.#isForScript ? Math.max(state.top, state.shown) : state.shown;
const begun = { sent: new Set (), deliveredSent: 0, readSent: 0, filling: undefined };
const conversation = { ...state, held, known, told, ...begun };
this.#conversations.set(state.id, conversation);
return conversation;
}
#isSame(message , seq ) {
const stored = this.#store.find(message.conversation, seq);
return stored === undefined || (stored.text === null && isSaid(stored)) || stored.at === message.at;
}
#startAnew(message , seq ) {
this.#archive(message.conversation);
this.#conversations.delete(message.conversation);
this.#add({ id: message.conversation, base: seq - 1, top: seq - 1, shown: seq - 1 });
this.receive(message);
}
#archive(id ) {
this.#store.archiveConversation(id, this.#peer.wallNow());
}
#hasHole({ known, top } ) {
return known > top;
}
#advance(conversation , complete ) {
const { held, id, top } = conversation;
for (const seq of held) if (seq <= complete) held.delete(seq);
conversation.top = Math.max(conversation.top, complete);
while (held.delete(conversation.top + 1)) conversation.top++;
conversation.known = Math.max(conversation.known, conversation.top);
if (conversation.top === top && conversation.told >= top) return;
for (const message of this.#store.range(id, Math.min(conversation.told, top), conversation.top)) {
const seq = message.seq ?? 0;
if (seq > top) this.#apply(message);
const isSent = conversation.sent.delete(seq);
if (seq > conversation.told && !isSent && this.#isToShow(message)) this.#show(message);
}
conversation.told = Math.max(conversation.told, conversation.top);
if (!this.#isForScript) conversation.shown = conversation.told;
this.#store.saveConversation(conversation);
this.#scheduleAck(conversation);
}
#isToShow(message ) {
if (message.sender === this.#me && !this.#isModern) return false;
return message.text !== null || !isSaid(message);
}
#apply(entry ) {
const action = actionOf(entry);
const message = action && this.#store.find(entry.conversation, action.ref);
const after = message && applyAction(message, entry);
if (after !== undefined) this.#store.replace(after);
}
#fill(conversation ) {
conversation.filling ??= this.#fillPages(conversation).finally(() => {
conversation.filling = undefined;
this.#peer.changed();
});
return conversation.filling;
}
async #fillPages(conversation ) {
const round = this.#round;
while (this.#hasHole(conversation)) {
const { top: after, known: settled } = conversation;
const page = await this.#peer.askHistory(conversation.id, after, HISTORY_PAGE);
if (round !== this.#round) return;
if (page === undefined) {
this.#later(HOLE_RETRY_MS, () => this.#fill(conversation));
return;
}
try {
this.#store.transaction(() => this.#storePage(conversation, page, { after, settled }));
} catch (error) {
this.#peer.failed(error);
return;
}
}
}
#storePage(
conversation ,
{ messages, hasMore } ,
{ after, settled } ,
) {
for (const message of messages) {
if (message.seq !== null && this.#store.insert(message)) this.#unacknowledgedMessages++;
}
const last = messages.at(-1)?.seq ?? 0;
this.#advance(conversation, hasMore && last > after ? last : Math.max(last, settled));
}
#acknowledge(frame ) {
const round = this.#round;
this.#store.afterCommit(() => round === this.#round && this.#peer.send(frame));
}
#show(message ) {
this.#store.afterCommit(() => this.#peer.show(message));
}
#scheduleAck(conversation ) {
this.#unacknowledged.add(conversation);
const isUrgent = this.#unacknowledgedMessages >= ACK_MESSAGES;
if (this.#nextFlush === "now" || (this.#nextFlush === "soon" && !isUrgent)) return;
this.#nextFlush = isUrgent ? "now" : "soon";
this.#later(isUrgent ? 0 : ACK_DELAY_MS, () => this.flush());
}
#later(delayMs , action ) {
const timer = this.#clock.after(delayMs, () => {
this.#timers.delete(timer);
action();
});
this.#timers.add(timer);
}
}
return { HISTORY_PAGE, Inbox };
})();
// lib/client/core/time_text.ts
const $m21 = (() => {
function formatTime(at ) {
const date = new Date(at);
if (Number.isNaN(date.getTime())) return "0000-00-00 00:00:00";
const two = (value ) => String(value).padStart(2, "0");
const day = `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${
    two(date.getDate())
  }`;
return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
return { formatTime };
})();
// lib/client/core/outbox.ts
const $m22 = (() => {
const { ERRNO, MSGID, otherOf, parseConversation } = $m1;
const { createCid } = $m6;
const { integerOf, textOf } = $m2;
const { formatTime } = $m21;
const WINDOW = 32;
function chatFrame(
{ conversation, text, at, fields } ,
me ,
) {
const parsed = parseConversation(conversation);
const common = { ...fields, id: me.id, name: me.name, msg: text, time: formatTime(at) };
if (parsed === undefined) throw new Error(`Cannot send to "${conversation}": not a conversation`);
if ("groupId" in parsed) return { msgid: MSGID.GROUP_CHAT_MSG, groupid: parsed.groupId, ...common };
return { msgid: MSGID.ONE_CHAT_MSG, toid: otherOf(conversation, me.id), ...common };
}
class Outbox {
#store ;
#clock ;
#backOff ;
#me ;
#peer ;
#waiting = [];
#inFlight = new Map ();
#version ;
#pauseTimer ;
constructor(options
) {
this.#store = options.store;
this.#clock = options.clock;
this.#backOff = options.backOff;
this.#me = options.me;
this.#peer = options.peer;
this.#takeBack();
}
get size() {
return this.#waiting.length + this.#inFlight.size;
}
hasFor(conversation ) {
const isTo = (entry ) => entry.conversation === conversation;
return this.#waiting.some(isTo) || [...this.#inFlight.values()].some(isTo);
}
add(conversation , text , fields ) {
const at = this.#peer.wallNow();
const entry = { cid: createCid(at), conversation, text, at, ...(fields === undefined ? {} : { fields }) };
this.#store.addToOutbox(entry);
this.#waiting.push(entry);
this.#sendNext();
return entry.cid;
}
start(version ) {
this.stop();
this.#version = version;
this.#sendNext();
}
stop() {
this.#version = undefined;
this.#endPause();
this.#takeBack();
}
answer(reply ) {
const entry = this.#inFlight.get(textOf(reply.cid));
if (entry === undefined) return false;
const errno = integerOf(reply.errno) ?? ERRNO.OK;
const retryAfterMs = integerOf(reply.retry_after_ms);
const isTooSoon = errno === ERRNO.TOO_MANY_REQUESTS && retryAfterMs !== undefined;
if (errno === ERRNO.UNAVAILABLE || isTooSoon || errno === ERRNO.NOT_LOGGED_IN) {
this.#pause(retryAfterMs);
return true;
}
this.#inFlight.delete(entry.cid);
if (errno === ERRNO.OK) {
this.#backOff.reset();
this.#settle(entry, { seq: integerOf(reply.seq, 1) ?? null, at: integerOf(reply.at) ?? entry.at });
} else {
this.#store.removeFromOutbox(entry.cid);
this.#peer.refused(entry, reply);
}
this.#sendNext();
return true;
}
found(cid , place ) {
const entry = this.#inFlight.get(cid) ?? this.#waiting.find((waiting) => waiting.cid === cid);
if (entry === undefined) return false;
this.#inFlight.delete(cid);
this.#waiting = this.#waiting.filter((waiting) => waiting.cid !== cid);
this.#settle(entry, place);
this.#sendNext();
return true;
}
refuseLongest(reply ) {
let longest ;
for (const entry of this.#inFlight.values()) {
if (longest === undefined || entry.text.length > longest.text.length) longest = entry;
}
if (longest === undefined) return;
this.#inFlight.delete(longest.cid);
this.#store.removeFromOutbox(longest.cid);
this.#peer.refused(longest, reply);
}
#sendNext() {
while (this.#version !== undefined && this.#pauseTimer === undefined && this.#inFlight.size < WINDOW) {
const entry = this.#waiting.shift();
if (entry === undefined) return;
const frame = chatFrame(entry, this.#me);
if (this.#version === 1) {
this.#peer.send(frame);
this.#settle(entry, { seq: null, at: entry.at });
} else {
this.#inFlight.set(entry.cid, entry);
this.#peer.send({ ...frame, cid: entry.cid });
}
}
}
#settle(entry , place ) {
this.#store.transaction(() => {
this.#store.removeFromOutbox(entry.cid);
this.#peer.stored(entry, place);
});
}
#pause(delayMs ) {
if (this.#pauseTimer !== undefined) return;
this.#pauseTimer = this.#clock.after(delayMs ?? this.#backOff.next(), () => {
this.#endPause();
this.#takeBack();
this.#sendNext();
});
}
#endPause() {
this.#pauseTimer?.cancel();
this.#pauseTimer = undefined;
}
#takeBack() {
this.#inFlight.clear();
this.#waiting = this.#store.outbox();
}
}
return { Outbox };
})();
// lib/client/core/receipts.ts
const $m23 = (() => {
function movePeer(
store ,
me ,
peer ,
) {
const { conversation, id, since = 0 } = peer;
const before = store.peer(conversation, id);
const read = Math.max(before.read, peer.read);
const delivered = Math.max(before.delivered, peer.delivered, read);
if (read === before.read && delivered === before.delivered) return [];
store.savePeer(conversation, id, { delivered, read }, since);
const readSeq = store.lastSeqOf(conversation, me, Math.max(before.read, since), read);
const deliveredSeq = store.lastSeqOf(conversation, me, Math.max(before.delivered, read, since), delivered);
const receipts = [];
if (readSeq > 0) receipts.push({ conversation, id, kind: "read", seq: readSeq });
if (deliveredSeq > 0) receipts.push({ conversation, id, kind: "delivered", seq: deliveredSeq });
return receipts;
}
return { movePeer };
})();
// lib/client/core/account.ts
const $m24 = (() => {
const { ERRNO, isJsonObject, MSGID, otherOf, parseConversation } = $m1;
const { BackOff } = $m15;
const { Directory } = $m18;
const { isSaid } = $m19;
const { HISTORY_PAGE, Inbox } = $m20;
const { integerOf, listOf, readChatFrame, readEntryFrame, readHistoryEntry, textOf } = $m2;
const { Outbox } = $m22;
const { movePeer } = $m23;
const { isTemporary, readReply } = $m7;
const TOLD = {
leave: () => ({ what: "left" }),
add: () => ({ what: "added" }),
remove: () => ({ what: "removed" }),
role: ({ role }) => ({ what: "role", role }),
transfer: () => ({ what: "role", role: "creator" }),
edit: ({ groupname, groupdesc, join }) => ({ what: "edited", groupname, groupdesc, join }),
link: () => ({ what: "edited", join: "link" }),
dissolve: () => ({ what: "dissolved" }),
};
const MOST_RECEIPTS = 10;
class Account {
directory ;
store ;
version ;
#peer ;
#inbox ;
#outbox ;
#progress = 0;
#positions = [];
#isCatchingUp = false;
#isClosed = false;
constructor(options
) {
const { profile, store, clock, isForScript, peer } = options;
this.directory = new Directory(profile);
this.store = store;
this.version = profile.version;
this.#peer = peer;
const wallNow = () => peer.wallNow();
this.#inbox = new Inbox({
store,
clock,
me: profile.id,
isForScript,
isModern: profile.version === 3,
peer: {
show: (message) => this.#show(message),
send: (frame) => peer.send(frame),
askHistory: (conversation, after, limit) => this.#askHistory({ conversation, after, limit }),
wallNow,
changed: () => peer.changed(),
failed: (error) => peer.failed(error),
},
});
this.#outbox = new Outbox({
store,
clock,
backOff: new BackOff(options.random),
me: this.directory.me,
peer: {
send: (frame) => peer.send(frame),
stored: (entry, place) => this.#stored(entry, place),
refused: (entry, reply) => this.#refused(entry, reply),
wallNow,
},
});
}
get unsent() {
return this.#outbox.size;
}
hasUnsentFor(conversation ) {
return this.#outbox.hasFor(conversation);
}
get progress() {
return this.#progress;
}
get isSettled() {
return this.unsent === 0 && (this.version === 1 || (this.#isCatchingUp && this.#inbox.isCaughtUp));
}
start(profile ) {
this.#isCatchingUp = false;
this.#positions = profile.conversations;
this.directory.refresh(profile);
if (this.version !== 1) this.#inbox.start(profile.conversations, profile.hasMoreConversations);
for (const message of profile.offlineMessages) this.#receive(message);
for (const { conversation, peer } of profile.conversations) {
const id = otherOf(conversation, profile.id);
if (peer !== undefined && id !== undefined) this.#movePeer({ conversation, id, ...peer });
}
this.#outbox.start(this.version);
}
stop() {
this.#inbox.stop();
this.#outbox.stop();
}
close() {
this.#isClosed = true;
this.stop();
this.store[Symbol.dispose]();
}
send(conversation , text , fields ) {
return this.#outbox.add(conversation, text, fields);
}
read(conversation , seq ) {
this.#inbox.read(conversation, seq);
}
look(conversation ) {
return this.#inbox.look(conversation);
}
addConversations(positions ) {
this.#inbox.add(positions);
}
catchUp() {
if (this.#isCatchingUp || this.version === 1) return;
this.#isCatchingUp = true;
this.#inbox.catchUp(this.#positions);
}
flush() {
if (this.version !== 1) this.#inbox.flush();
}
receive(frame ) {
switch (frame.msgid) {
case MSGID.ONE_CHAT_MSG:
case MSGID.GROUP_CHAT_MSG: {
const message = readChatFrame(frame, this.#peer.wallNow());
if (message !== undefined && !this.#isFromHere(message)) this.#receive(message);
break;
}
case MSGID.ACTION_MSG:
case MSGID.SYSTEM_MSG: {
const entry = readEntryFrame(frame, this.#peer.wallNow());
if (entry !== undefined) this.#receive(entry);
break;
}
case MSGID.RECEIPT_MSG:
this.#receiveReceipt(frame);
break;
case MSGID.RECALL_MSG:
this.#receiveRecall(frame);
break;
}
}
answer(reply ) {
return this.#outbox.answer(reply);
}
refuseLongest(reply ) {
this.#outbox.refuseLongest(reply);
}
async history(
conversation ,
count ,
) {
let problem = "";
if (this.version !== 1) {
this.#inbox.catchUp(this.#positions.filter((position) => position.conversation === conversation));
await this.#inbox.fillHole(conversation);
}
while (this.version !== 1 && problem === "") {
const base = this.#inbox.baseOf(conversation);
const have = this.store.latest(conversation, count).filter(({ seq }) =>
seq === null || seq > base
).length;
if (have >= count || base === 0) break;
problem = (await this.older(conversation, Math.min(HISTORY_PAGE, count - have))).text;
}
return { messages: this.store.latest(conversation, count), problem };
}
async older(conversation , limit ) {
const before = this.#inbox.baseOf(conversation) + 1;
const reply = await this.#peer.askOnce({ msgid: MSGID.HISTORY_MSG, conversation, before, limit });
if (reply.errno === ERRNO.OK) this.#extend(conversation, this.#readPage(conversation, reply));
return reply;
}
async act(conversation , ref , details ) {
const frame = { msgid: MSGID.ACTION_MSG, conversation, ref, ...details };
const reply = await this.#peer.ask(frame);
const { id, name } = this.directory.me;
const entry = reply.errno === ERRNO.OK && reply.frame.seq !== undefined
? readEntryFrame({ ...reply.frame, ...frame, id, name }, this.#peer.wallNow())
: undefined;
if (entry !== undefined && !this.#isClosed) this.#inbox.receive(entry, true);
return reply;
}
async changeGroup(groupId , op , details ) {
const frame = { msgid: MSGID.GROUP_MSG, op, groupid: groupId, ...details };
const reply = await this.#peer.ask(frame);
const { id: me, name: myName } = this.directory.me;
const id = integerOf(details.id, 1) ?? me;
const name = this.directory.nameOf(id) ?? textOf(reply.frame.name);
const told = { id, name, by: me, ...(id === me ? {} : { by_name: myName }), ...TOLD[op]?.(details) };
const entry = reply.errno === ERRNO.OK && reply.frame.seq !== undefined
? readEntryFrame({ ...reply.frame, msgid: MSGID.SYSTEM_MSG, ...told }, this.#peer.wallNow())
: undefined;
if (entry !== undefined && !this.#isClosed) this.#inbox.receive(entry);
return reply;
}
recall(conversation , seq ) {
this.store.recall(conversation, seq);
}
#extend(conversation , { messages, hasMore } ) {
const first = messages[0]?.seq ?? 1;
this.#inbox.extend(conversation, messages, hasMore ? first - 1 : 0);
}
async #askHistory(
query ,
) {
const reply = await this.#peer.askOnce({ msgid: MSGID.HISTORY_MSG, ...query });
if (isTemporary(reply)) return undefined;
return reply.errno === ERRNO.OK
? this.#readPage(query.conversation, reply)
: { messages: [], hasMore: false };
}
#readPage(conversation , { frame } ) {
const messages = listOf(frame.messages).filter(isJsonObject)
.map((entry) => readHistoryEntry(entry, conversation, this.#peer.wallNow()))
.filter((message) => message !== undefined);
for (const message of messages) this.#isFromHere(message);
return { messages, hasMore: frame.more === true };
}
#receive(message ) {
this.directory.learnName(message.sender, message.name);
this.#inbox.receive(this.version === 1 ? { ...message, seq: null } : message);
}
#isFromHere(message ) {
const { sender, frame } = message;
const cid = textOf(frame?.cid);
return sender === this.directory.me.id && cid !== "" && this.#outbox.found(cid, message);
}
#show(message ) {
this.#progressed();
this.directory.learnName(message.sender, message.name);
this.#peer.emit(isSaid(message) ? { kind: "message", message } : { kind: "entry", entry: message });
}
#stored(entry , { seq, at } ) {
this.#progressed();
const { cid, conversation, text, fields } = entry;
const { id, name } = this.directory.me;
const frame = { ...fields, cid };
const message = { conversation, seq, sender: id, name, text, at, frame };
this.#inbox.receive(message, true);
if (this.version === 1) return;
this.#peer.emit({ kind: "stored", message });
if (seq === null) return;
for (const peer of this.store.peersAt(conversation, seq)) {
this.#tell({ conversation, id: peer.id, kind: peer.read >= seq ? "read" : "delivered", seq });
}
}
#progressed() {
this.store.afterCommit(() => this.#progress++);
}
#refused(entry , reply ) {
this.#progressed();
const { errno, text } = readReply(reply);
this.#peer.emit({ kind: "refused", entry, errno, reason: text });
}
#receiveReceipt(frame ) {
const conversation = textOf(frame.conversation);
const id = integerOf(frame.id, 1);
if (id === undefined || parseConversation(conversation) === undefined) return;
if (id === this.directory.me.id) {
this.#inbox.readElsewhere(conversation, integerOf(frame.read) ?? 0);
return;
}
this.#movePeer({
conversation,
id,
delivered: integerOf(frame.delivered) ?? 0,
read: integerOf(frame.read) ?? 0,
since: integerOf(frame.since) ?? 0,
});
}
#movePeer(peer ) {
for (const receipt of movePeer(this.store, this.directory.me.id, peer)) this.#tell(receipt);
}
#tell(receipt ) {
const { conversation, kind, seq } = receipt;
const parsed = parseConversation(conversation);
const group = parsed !== undefined && "groupId" in parsed
? this.directory.group(parsed.groupId)
: undefined;
const others = (group?.memberCount ?? 0) - 1;
if (others <= MOST_RECEIPTS) this.#peer.emit({ kind: "receipt", receipt });
else if (this.store.countPeers(conversation, kind, seq) === others) {
this.#peer.emit({ kind: "receipt", receipt: { ...receipt, id: undefined } });
}
}
#receiveRecall(frame ) {
const conversation = textOf(frame.conversation);
const seq = integerOf(frame.seq, 1);
const id = integerOf(frame.id, 1);
if (seq === undefined || id === undefined) return;
const known = this.store.find(conversation, seq);
if (known === undefined || known.text === null) return;
this.store.recall(conversation, seq);
if (id !== this.directory.me.id) this.#peer.emit({ kind: "recalled", conversation, seq, id });
}
}
return { Account };
})();
// lib/client/core/heartbeat.ts
const $m25 = (() => {
class Heartbeat {
#peer ;
#clock ;
#timer ;
#lastBeatAt = 0;
constructor(peer , clock ) {
this.#peer = peer;
this.#clock = clock;
}
start(rhythm ) {
this.#timer?.cancel();
this.#lastBeatAt = this.#clock.now();
this.#schedule(rhythm, rhythm.intervalMs);
}
stop() {
this.#timer?.cancel();
}
#schedule(rhythm , delayMs ) {
this.#timer = this.#clock.after(delayMs, () => this.#check(rhythm));
}
#check(rhythm ) {
const now = this.#clock.now();
const { lastSentAt, lastReceivedAt } = this.#peer;
if (now - lastReceivedAt >= rhythm.intervalMs * rhythm.misses) {
this.stop();
this.#peer.lost();
return;
}
const quietSince = Math.min(lastSentAt, Math.max(lastReceivedAt, this.#lastBeatAt));
if (now - quietSince >= rhythm.intervalMs) {
this.#lastBeatAt = now;
this.#peer.beat();
this.#schedule(rhythm, rhythm.intervalMs);
} else this.#schedule(rhythm, rhythm.intervalMs - (now - quietSince));
}
}
return { Heartbeat };
})();
// lib/client/core/link.ts
const $m26 = (() => {
const { isJsonObject } = $m1;
const CONNECT_TIMEOUT_MS = 10_000;
class Link {
#dial ;
#clock ;
#events ;
#transport ;
#isOpen = false;
#lastSentAt = 0;
#lastReceivedAt = 0;
#connectTimer ;
constructor(options ) {
this.#dial = options.dial;
this.#clock = options.clock;
this.#events = options.events;
}
get isOpen() {
return this.#isOpen;
}
get lastSentAt() {
return this.#lastSentAt;
}
get lastReceivedAt() {
return this.#lastReceivedAt;
}
open() {
if (this.#transport !== undefined) return;
const isCurrent = () => this.#transport === transport;
const transport = this.#dial({
onOpen: () => isCurrent() && this.#opened(),
onFrames: (frames) => isCurrent() && this.#receive(frames),
onClose: (reason) => isCurrent() && this.#lose(reason),
});
this.#transport = transport;
this.#connectTimer = this.#clock.after(
CONNECT_TIMEOUT_MS,
() => this.close(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`),
);
}
send(frame ) {
if (!this.#isOpen || this.#transport === undefined) return false;
this.#lastSentAt = this.#clock.now();
this.#transport.send(JSON.stringify(frame));
return true;
}
close(reason ) {
if (this.#transport !== undefined) this.#lose(reason);
}
async end() {
const transport = this.#transport;
this.#forget();
await transport?.end();
}
#opened() {
this.#connectTimer?.cancel();
this.#isOpen = true;
this.#lastSentAt = this.#lastReceivedAt = this.#clock.now();
this.#events.onOpen();
}
#receive(texts ) {
this.#lastReceivedAt = this.#clock.now();
const frames = texts.map(parseFrame).filter((frame) => frame !== undefined);
if (frames.length > 0 && this.#isOpen) this.#events.onFrames(frames);
}
#lose(reason ) {
this.#transport?.close();
this.#forget();
this.#events.onClose(reason);
}
#forget() {
this.#connectTimer?.cancel();
this.#transport = undefined;
this.#isOpen = false;
}
}
function parseFrame(text ) {
try {
const value = JSON.parse(text);
return isJsonObject(value) ? value : undefined;
} catch {
return undefined;
}
}
return { Link };
})();
// lib/client/core/profile.ts
const $m27 = (() => {
const { isJsonObject } = $m1;
const { integerOf, listOf, readChatFrame, textOf } = $m2;
function readObjects(value ) {
return listOf(value).map(readObject).filter((entry) => entry !== undefined);
}
function readObject(value ) {
if (typeof value !== "string") return isJsonObject(value) ? value : undefined;
try {
const parsed = JSON.parse(value);
return isJsonObject(parsed) ? parsed : undefined;
} catch {
return undefined;
}
}
function readPerson(entry ) {
return { id: integerOf(entry.id) ?? 0, name: textOf(entry.name), state: textOf(entry.state) };
}
function readGroup(entry ) {
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
function readPosition(entry ) {
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
function readRhythm(value ) {
if (!isJsonObject(value)) return undefined;
const intervalMs = integerOf(value.interval_ms, 1);
const misses = integerOf(value.misses, 1);
return intervalMs === undefined || misses === undefined ? undefined : { intervalMs, misses };
}
function readProfile(frame , now ) {
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
return { readPerson, readGroup, readPosition, readProfile };
})();
// lib/client/core/client_session.ts
const $m28 = (() => {
const { errorText } = $m14;
const { ERRNO, MSGID } = $m1;
const { Account } = $m24;
const { BackOff } = $m15;
const { createCid } = $m6;
const { Heartbeat } = $m25;
const { Link } = $m26;
const { integerOf, textOf } = $m2;
const { readProfile } = $m27;
const { NO_ANSWER, noReply, readReply, Requests } = $m7;
const LOGIN_TIMEOUT_MS = 20_000;
const PROBE_TIMEOUT_MS = 1000;
const RESUME_PATIENCE_MS = 3000;
const STABLE_MS = 10_000;
class ClientSession {
#options ;
#link ;
#heartbeat ;
#requests ;
#backOff ;
#account ;
#identity ;
#authentication ;
#probe ;
#isProbed = false;
#newest = 3;
#resumeTimer ;
#notice ;
#reconnectTimer ;
#opening ;
#change = Promise.withResolvers ();
#isOnline = false;
#onlineSince = 0;
#isEnding = false;
#stopping ;
constructor(options ) {
this.#options = options;
const { dial, clock, wallNow, random } = options;
this.#link = new Link({
dial,
clock,
events: {
onOpen: () => this.#opened(),
onFrames: (frames) => this.#receive(frames),
onClose: (reason) => this.#closed(reason),
},
});
const link = this.#link;
this.#heartbeat = new Heartbeat({
get lastSentAt() {
return link.lastSentAt;
},
get lastReceivedAt() {
return link.lastReceivedAt;
},
beat: () => void link.send({ msgid: MSGID.HEARTBEAT_MSG }),
lost: () => link.close("the server is silent"),
}, clock);
this.#requests = new Requests({ clock, wallNow, send: (frame) => this.#isOnline && link.send(frame) });
this.#backOff = new BackOff(random);
}
get account() {
return this.#account;
}
get isOnline() {
return this.#isOnline;
}
get nextChange() {
return this.#change.promise;
}
get isSettled() {
if (this.#account === undefined) return true;
return this.#isOnline && this.#requests.size === 0 && this.#account.isSettled;
}
async connect() {
if (this.#link.isOpen) return "";
if (this.#opening === undefined) {
this.#opening = Promise.withResolvers ();
this.#status(`connecting to ${this.#options.server}`);
this.#open();
}
return await this.#opening.promise;
}
async signup(name , password , invite ) {
const problem = await this.connect();
if (problem !== "") return noReply(problem);
const { promise, resolve } = Promise.withResolvers ();
const frame = { msgid: MSGID.SIGNUP_MSG, name, password };
this.#authenticate(invite === undefined ? frame : { ...frame, invite }, resolve);
return promise;
}
async resetPassword(code , password ) {
const problem = await this.connect();
if (problem !== "") return noReply(problem);
const { promise, resolve } = Promise.withResolvers ();
this.#authenticate({ msgid: MSGID.RESET_MSG, code, password }, resolve);
return promise;
}
async login(who , password ) {
const problem = await this.connect();
if (problem !== "") return noReply(problem);
await this.#reachVersion2();
if (!this.#link.isOpen) return noReply("the connection was lost");
const { promise, resolve } = Promise.withResolvers ();
this.#authenticate(this.#loginRequest(who, password), (reply) => {
if (reply.errno === ERRNO.OK) this.#begin(reply.frame, password);
resolve(reply);
});
return promise;
}
#loginRequest(who , password ) {
const named = typeof who === "number" ? { id: who } : { name: who };
const request = { msgid: MSGID.LOGIN_MSG, ...named, password };
const { modern } = this.#options;
if (modern === undefined || this.#newest < 3) return request;
const deviceId = modern.deviceOf?.(who);
return { ...request, device: modern.device, ...(deviceId === undefined ? {} : { device_id: deviceId }) };
}
async #reachVersion2() {
if (this.#options.modern === undefined || this.#isProbed || !this.#link.isOpen) return;
const { promise, resolve } = Promise.withResolvers ();
this.#sendProbe(PROBE_TIMEOUT_MS, resolve);
await promise;
}
#sendProbe(timeoutMs , onEnd ) {
const cid = createCid(this.#options.wallNow());
const timer = this.#options.clock.after(timeoutMs, () => this.#endProbe(false));
this.#isProbed = true;
this.#probe = { cid, timer, onEnd };
this.#link.send({ msgid: MSGID.RESUME_MSG, v: 2, cid, token: "-" });
}
#endProbe(isAnswered ) {
const probe = this.#probe;
this.#probe = undefined;
probe?.timer.cancel();
probe?.onEnd(isAnswered);
}
#watchResume(identity ) {
this.#resumeTimer = this.#options.clock.after(RESUME_PATIENCE_MS, () => {
const waiting = this.#authentication;
this.#sendProbe(LOGIN_TIMEOUT_MS, (isAnswered) => {
if (!isAnswered || waiting === undefined || this.#authentication !== waiting) return;
this.#newest = 2;
this.#tryToRestore(identity);
});
});
}
resume(id , token ) {
this.#identity = { id, password: undefined, token };
if (this.#link.isOpen) this.#restore(this.#identity);
else this.#open();
}
refresh() {
this.#notice = { code: "refresh", text: "asking anew", canReconnect: true, retryAfterMs: 0 };
this.#link.close("asking anew");
}
retry() {
if (this.#link.isOpen) this.#link.send({ msgid: MSGID.HEARTBEAT_MSG });
else if (this.#identity !== undefined) {
this.#reconnectTimer?.cancel();
this.#open();
}
}
async logout() {
const account = this.#account;
if (account === undefined) return "";
account.flush();
this.#heartbeat.stop();
const frame = { msgid: MSGID.LOGINOUT_MSG, id: account.directory.me.id };
const reply = account.version === 1 ? undefined : await this.askOnce(frame);
const wasSent = account.version === 1 && this.#isOnline && this.#link.send(frame);
this.#forget("logged out");
this.#endAuthentication(noReply("logged out"));
if (reply?.frame.token_valid === true) {
return "the server forgets this session for good when its database is back";
}
if (wasSent || reply?.errno === ERRNO.OK) return "";
await this.#link.end();
return `the server has not confirmed it (${reply?.text ?? "not connected"}); the connection is closed`;
}
async ask(frame ) {
if (this.#account !== undefined && this.#account.version !== 1) {
return await this.#requests.ask(frame, { isRepeatable: true });
}
return this.#isOnline && this.#link.send(frame) ? undefined : noReply("not connected");
}
askOnce(frame ) {
return this.#requests.ask(frame, { isRepeatable: false });
}
async changePassword(old , wanted ) {
const reply = await this.askOnce({ msgid: MSGID.PROFILE_MSG, password: { old, new: wanted } });
const token = textOf(reply.frame.token);
if (reply.errno !== ERRNO.OK || this.#identity === undefined || token === "") return reply;
const { id, password } = this.#identity;
this.#identity = { id, password: password === undefined ? undefined : wanted, token };
this.#options.modern?.onToken?.(token);
return reply;
}
stop() {
return this.#stopping ??= this.#stop();
}
leave() {
this.#isOnline = false;
return this.stop();
}
async #stop() {
this.#isEnding = true;
this.#account?.flush();
if (this.#isOnline) this.#link.send({ msgid: MSGID.LOGINOUT_MSG, id: this.#account?.directory.me.id });
this.#forget("the client ends");
this.#heartbeat.stop();
this.#endAuthentication(noReply("the client ends"));
this.#endProbe(false);
this.#opening?.resolve("the client ends");
await this.#link.end();
}
#opened() {
this.#isProbed = false;
this.#newest = 3;
this.#opening?.resolve("");
this.#opening = undefined;
if (this.#identity !== undefined) this.#restore(this.#identity);
}
#closed(reason ) {
const wasOnline = this.#isOnline;
const notice = this.#notice;
if (wasOnline && this.#options.clock.now() - this.#onlineSince >= STABLE_MS) this.#backOff.reset();
this.#notice = undefined;
this.#isOnline = false;
this.#heartbeat.stop();
this.#account?.stop();
this.#requests.lost();
this.#opening?.resolve(`cannot connect to ${this.#options.server}: ${reason}`);
const isFirst = this.#opening !== undefined;
this.#opening = undefined;
this.#endProbe(false);
this.#endAuthentication(noReply(`the connection was lost: ${reason}`));
this.#changed();
if (this.#isEnding) return;
if (this.#identity !== undefined && notice?.canReconnect !== false) {
const fate = wasOnline && notice === undefined ? "; what you write is kept and sent then" : "";
this.#reconnectLater(wasOnline ? "connection lost" : "cannot connect", reason, notice, fate);
} else if (this.#identity !== undefined) {
this.#forget("logged out");
this.#options.modern?.onLink({ kind: "ended", code: notice?.code });
this.#emit({ kind: "logged_out", text: notice?.text ?? reason });
} else if (!isFirst) {
this.#status(`connection closed: ${notice?.text ?? reason}; your next choice opens it again`);
}
}
#reconnectLater(what , reason , notice , fate ) {
const delayMs = notice?.retryAfterMs ?? this.#backOff.next();
const why = notice?.text || reason;
this.#status(`${what} (${why}), reconnecting in ${(delayMs / 1000).toFixed(1)} s${fate}`);
this.#options.modern?.onLink({ kind: "waiting", inMs: delayMs, code: notice?.code });
this.#reconnectTimer = this.#options.clock.after(delayMs, () => this.#open());
}
#open() {
this.#options.modern?.onLink({ kind: "connecting" });
this.#link.open();
}
#restore(identity ) {
const isSafe = this.#options.modern === undefined || this.#isProbed ||
(identity.token !== undefined && this.#account?.version !== 2);
if (isSafe) this.#tryToRestore(identity);
else {
this.#reachVersion2().then(() => {
if (this.#link.isOpen && this.#identity === identity) this.#tryToRestore(identity);
});
}
}
#tryToRestore(identity ) {
const { id, password, token } = identity;
const frame = token === undefined
? this.#loginRequest(id, password ?? "")
: { msgid: MSGID.RESUME_MSG, token };
this.#authenticate(frame, (reply) => {
const isTokenRefused = reply.errno === ERRNO.TOKEN_UNKNOWN || reply.errno === ERRNO.REFUSED;
if (reply.errno === ERRNO.OK) {
this.#status(token === undefined ? "logged in again" : "resumed");
this.#begin(reply.frame, password);
} else if (token !== undefined && isTokenRefused && password !== undefined) {
identity.token = undefined;
this.#restore(identity);
} else if (isTokenRefused) {
this.#forget("logged out");
this.#options.modern?.onLink({ kind: "ended", code: "token" });
this.#emit({ kind: "logged_out", text: reply.text });
} else if (reply.errno !== NO_ANSWER) {
const retryAfterMs = integerOf(reply.frame.retry_after_ms);
this.#notice ??= { code: undefined, text: reply.text, canReconnect: true, retryAfterMs };
this.#link.close(reply.text);
}
});
if (token !== undefined && !this.#isProbed && this.#options.modern !== undefined) {
this.#watchResume(identity);
}
}
#authenticate(request , onReply ) {
this.#endAuthentication(noReply("given up for another attempt"));
const cid = createCid(this.#options.wallNow());
const timer = this.#options.clock.after(LOGIN_TIMEOUT_MS, () => {
this.#link.close(`no answer within ${LOGIN_TIMEOUT_MS / 1000} s`);
});
this.#authentication = { cid, timer, onReply };
const v = this.#options.modern === undefined ? 2 : this.#newest;
this.#link.send(this.#options.isV1 ? request : { ...request, v, cid });
}
#endAuthentication(reply ) {
const authentication = this.#authentication;
if (authentication === undefined) return;
this.#authentication = undefined;
this.#resumeTimer?.cancel();
authentication.timer.cancel();
authentication.onReply(reply);
}
#begin(frame , password ) {
const profile = readProfile(frame, this.#options.wallNow());
const isAgain = this.#identity?.id === profile.id && this.#account?.version === profile.version;
this.#options.modern?.onLogin(frame);
if (!isAgain) {
this.#account?.close();
this.#account = this.#openAccount(profile);
}
this.#identity = { id: profile.id, password, token: profile.token };
this.#isOnline = true;
this.#onlineSince = this.#options.clock.now();
if (!isAgain) this.#emit({ kind: "logged_in", profile });
this.#account?.start(profile);
this.#requests.resend();
this.#options.modern?.onLink({ kind: "online" });
if (profile.heartbeat !== undefined) this.#heartbeat.start(profile.heartbeat);
this.#changed();
}
#openAccount(profile ) {
const { clock, random, wallNow } = this.#options;
return new Account({
profile,
store: this.#options.openStore(profile.id, profile.version),
clock,
random,
isForScript: this.#options.isForScript ?? false,
peer: {
send: (frame) => void this.#link.send(frame),
askOnce: (frame) => this.askOnce(frame),
ask: (frame) => this.#requests.ask(frame, { isRepeatable: true }),
emit: (event) => this.#emit(event),
wallNow,
changed: () => this.#changed(),
failed: (error) => this.#storeFailed(error),
},
});
}
#forget(why ) {
this.#identity = undefined;
this.#isOnline = false;
this.#heartbeat.stop();
this.#reconnectTimer?.cancel();
this.#requests.abandon(why);
this.#account?.close();
this.#account = undefined;
this.#changed();
}
#receive(frames ) {
try {
for (let index = 0; index < frames.length;) index = this.#receiveSome(frames, index);
} catch (error) {
this.#storeFailed(error);
}
this.#changed();
}
#receiveSome(frames , index ) {
const store = this.#account?.store;
const isAlone = (frame ) => this.#isAuthenticationReply(frame);
const next = frames.findIndex((frame, at) => at > index && isAlone(frame));
const end = next < 0 ? frames.length : next;
const [first] = frames.slice(index, end);
if (store === undefined || (first !== undefined && isAlone(first))) {
if (first !== undefined) this.#receiveOne(first);
return index + 1;
}
store.transaction(() => frames.slice(index, end).forEach((frame) => this.#receiveOne(frame)));
return end;
}
#isAuthenticationReply(frame ) {
if (this.#probe !== undefined && frame.cid === this.#probe.cid) return true;
return frame.msgid === MSGID.LOGIN_MSG_ACK || frame.msgid === MSGID.SIGNUP_MSG_ACK ||
(this.#authentication !== undefined && frame.cid === this.#authentication.cid);
}
#receiveOne(frame ) {
if (this.#probe !== undefined && frame.cid === this.#probe.cid) {
this.#endProbe(true);
return;
}
if (this.#isAuthenticationReply(frame)) {
if (frame.cid === undefined || frame.cid === this.#authentication?.cid) {
this.#endAuthentication(readReply(frame));
}
return;
}
switch (frame.msgid) {
case MSGID.NOTICE_MSG:
this.#receiveNotice(frame);
break;
case MSGID.ACK_MSG:
case MSGID.HISTORY_MSG_ACK:
case MSGID.SEARCH_MSG_ACK:
if (this.#account?.answer(frame) || this.#requests.answer(frame)) break;
this.#receiveStrayError(frame);
break;
default:
this.#account?.receive(frame);
this.#options.modern?.onFrame(frame);
}
}
#receiveNotice(frame ) {
const text = textOf(frame.text) || textOf(frame.code) || "no reason given";
if (frame.code === "announcement") return this.#status(`announcement: ${text}`);
const retryAfterMs = integerOf(frame.retry_after_ms);
this.#notice = {
code: textOf(frame.code) || undefined,
text,
canReconnect: frame.reconnect !== false,
retryAfterMs,
};
if (frame.code === "bad_frame") this.#account?.refuseLongest({ errno: ERRNO.TOO_LARGE, errmsg: text });
}
#receiveStrayError(frame ) {
const { errno, text } = readReply(frame);
if (errno === ERRNO.OK || frame.cid !== undefined) return;
if (errno === ERRNO.TOO_LARGE) this.#account?.refuseLongest(frame);
else this.#status(`the server reports an error: ${text}`);
}
#storeFailed(error ) {
const text = `cannot keep the local history: ${errorText(error)}`;
this.#notice ??= { code: undefined, text, canReconnect: true, retryAfterMs: undefined };
this.#link.close(text);
}
#status(text ) {
this.#emit({ kind: "status", text });
}
#emit(event ) {
const tell = () => this.#options.onEvent(event);
if (this.#account === undefined) tell();
else this.#account.store.afterCommit(tell);
}
#changed() {
this.#change.resolve();
this.#change = Promise.withResolvers ();
}
}
return { ClientSession };
})();
// lib/client/core/conversation_list.ts
const $m29 = (() => {
const { isJsonObject } = $m1;
const { isMentioned } = $m19;
const { integerOf, listOf, textOf } = $m2;
function readSummary(entry ) {
const { last, peer } = entry;
return {
conversation: textOf(entry.conversation),
lastSeq: integerOf(entry.last_seq) ?? 0,
read: integerOf(entry.read) ?? 0,
unread: integerOf(entry.unread) ?? 0,
mentions: integerOf(entry.mentions) ?? 0,
at: integerOf(entry.at) ?? 0,
mutedUntil: integerOf(entry.muted_until, 1),
last: isJsonObject(last)
? {
seq: integerOf(last.seq) ?? 0,
id: integerOf(last.id) ?? 0,
name: textOf(last.name),
text: textOf(last.msg),
}
: undefined,
peer: isJsonObject(peer) && integerOf(peer.id, 1) !== undefined
? { id: integerOf(peer.id, 1) ?? 0, name: textOf(peer.name), state: textOf(peer.state) }
: undefined,
};
}
function nextBefore({ conversations, more } ) {
const last = listOf(conversations).findLast(isJsonObject);
return more === true && last !== undefined ? integerOf(last.at) : undefined;
}
class ConversationList {
#me ;
#summaries = new Map ();
constructor(me ) {
this.#me = me;
}
all() {
return [...this.#summaries.values()].sort((one, other) => other.at - one.at);
}
get(conversation ) {
return this.#summaries.get(conversation);
}
set(summaries ) {
for (const summary of summaries) this.#summaries.set(summary.conversation, summary);
}
remove(conversation ) {
this.#summaries.delete(conversation);
}
add(message ) {
const { conversation, seq, sender, name, text, at } = message;
const before = this.#find(conversation);
if (seq !== null && seq <= before.lastSeq) return;
const isNews = sender !== this.#me && (seq === null || seq > before.read);
this.#summaries.set(conversation, {
...before,
lastSeq: seq ?? before.lastSeq,
at: Math.max(before.at, at),
last: { seq: seq ?? 0, id: sender, name, text: text ?? "" },
unread: before.unread + (isNews ? 1 : 0),
mentions: before.mentions + (isNews && isMentioned(message, this.#me) ? 1 : 0),
});
}
touch(conversation , seq , at ) {
const before = this.#find(conversation);
if (seq <= before.lastSeq) return;
this.#summaries.set(conversation, { ...before, lastSeq: seq, at: Math.max(before.at, at) });
}
changed({ conversation, seq, sender, name, text } ) {
const before = this.#summaries.get(conversation);
if (before?.last === undefined || before.last.seq !== seq) return;
this.#summaries.set(conversation, { ...before, last: { seq, id: sender, name, text: text ?? "" } });
}
read(conversation , read , left ) {
const before = this.#find(conversation);
if (read <= before.read) return;
this.#summaries.set(conversation, {
...before,
read,
unread: read >= before.lastSeq ? 0 : Math.min(before.unread, left.unread),
mentions: read >= before.lastSeq ? 0 : Math.min(before.mentions, left.mentions),
});
}
mute(conversation , until ) {
this.#summaries.set(conversation, { ...this.#find(conversation), mutedUntil: until });
}
#find(conversation ) {
return this.#summaries.get(conversation) ??
{
conversation,
lastSeq: 0,
read: 0,
unread: 0,
mentions: 0,
at: 0,
mutedUntil: undefined,
last: undefined,
peer: undefined,
};
}
}
return { readSummary, nextBefore, ConversationList };
})();
// lib/client/core/other_log.ts
const $m30 = (() => {
function fallBack(
store ,
positions ,
now ,
) {
const byId = new Map(positions.map((position) => [position.conversation, position]));
store.transaction(() => {
for (const { id, base, top, shown } of store.conversations()) {
const position = byId.get(id);
if (position === undefined) {
store.archiveConversation(id, now);
continue;
}
const common = Math.min(top, position.lastSeq, position.delivered);
store.forgetAbove(id, common);
store.saveConversation({
id,
base: Math.min(base, common),
top: common,
shown: Math.min(shown, Math.max(common, position.read)),
});
}
});
}
return { fallBack };
})();
// lib/web/app/authenticate.ts
const $m31 = (() => {
const { createCid } = $m6;
const { textOf } = $m2;
const { noReply, readReply } = $m7;
const { isJsonObject } = $m1;
const TIMEOUT_MS = 20_000;
function authenticate(dial , request ) {
const cid = createCid(Date.now());
const { promise, resolve } = Promise.withResolvers ();
const transport = dial({
onOpen: () => transport.send(JSON.stringify({ ...request, v: 3, cid })),
onFrames: (frames) => {
for (const frame of frames.map(parse)) if (frame?.cid === cid) resolve(readReply(frame));
},
onClose: () => resolve(noReply("")),
});
const timer = setTimeout(() => resolve(noReply("")), TIMEOUT_MS);
return promise.finally(() => {
clearTimeout(timer);
transport.close();
});
}
function parse(text ) {
const frame = JSON.parse(text);
return isJsonObject(frame) && textOf(frame.cid) !== "" ? frame : undefined;
}
return { authenticate };
})();
// lib/web/app/database.ts
const $m32 = (() => {
const STORES = ["kept", "conversations", "outbox", "drafts"];
function settle (request ) {
return new Promise((resolve, reject) => {
request.onsuccess = () => resolve(request.result);
request.onerror = () => reject(request.error);
});
}
class Database {
#database ;
#onFailure ;
#changes = [];
#writing = Promise.resolve();
constructor(database , onFailure ) {
this.#database = database;
this.#onFailure = onFailure;
}
static async open(name , onFailure ) {
try {
const request = indexedDB.open(name, 1);
request.onupgradeneeded = () => {
for (const store of STORES) request.result.createObjectStore(store);
};
return new Database(await settle(request), onFailure);
} catch {
onFailure();
return new Database(undefined, onFailure);
}
}
async all(store ) {
if (this.#database === undefined) return [];
await this.#writing;
const objects = this.#database.transaction(store).objectStore(store);
const [keys, values] = await Promise.all([settle(objects.getAllKeys()), settle(objects.getAll())]);
return keys.map((key, index) => [String(key), values[index]]);
}
async get(store , key ) {
if (this.#database === undefined) return undefined;
await this.#writing;
return await settle(this.#database.transaction(store).objectStore(store).get(key));
}
set(store , key , value ) {
return this.#change({ store, key, value });
}
clear() {
return this.#change("clear");
}
get written() {
return this.#writing;
}
#change(change ) {
if (this.#changes.push(change) === 1) this.#writing = this.#writing.then(() => this.#write());
return this.#writing;
}
async #write() {
const changes = this.#changes;
this.#changes = [];
if (this.#database === undefined) return;
try {
const transaction = this.#database.transaction(STORES, "readwrite", { durability: "relaxed" });
for (const change of changes) {
if (change === "clear") { for (const store of STORES) transaction.objectStore(store).clear(); }
else if (change.value === undefined) transaction.objectStore(change.store).delete(change.key);
else transaction.objectStore(change.store).put(change.value, change.key);
}
await new Promise ((resolve, reject) => {
transaction.oncomplete = () => resolve();
transaction.onabort = () => reject(transaction.error);
});
} catch {
this.#onFailure();
}
}
}
return { Database };
})();
// lib/web/app/device_name.ts
const $m33 = (() => {
const BROWSERS = [
[/\bEdg\//, "Edge"],
[/\bOPR\//, "Opera"],
[/\bFirefox\//, "Firefox"],
[/\bSamsungBrowser\//, "Samsung Internet"],
[/\bChromium\//, "Chromium"],
[/Chrome\//, "Chrome"],
[/\bSafari\//, "Safari"],
];
const SYSTEMS = [
[/\bAndroid\b/, "Android"],
[/\biPhone\b/, "iPhone"],
[/\biPad\b/, "iPad"],
[/\bWindows\b/, "Windows"],
[/\bMac OS X\b/, "Mac"],
[/\bCrOS\b/, "ChromeOS"],
[/\bLinux\b/, "Linux"],
];
function deviceName(userAgent ) {
const find = (names ) => names.find(([sign]) => sign.test(userAgent))?.[1];
const [browser, system] = [find(BROWSERS) ?? "Browser", find(SYSTEMS)];
return system === undefined ? browser : `${browser} on ${system}`;
}
return { deviceName };
})();
// lib/web/app/people.ts
const $m34 = (() => {
const { integerOf, listOf, textOf } = $m2;
const { isJsonObject } = $m1;
class People {
users = new Map ();
groups = new Map ();
user(id ) {
return this.users.get(id) ??
{ id, name: "", state: "", status: "", isFriend: false, isBlocked: false };
}
learn(frame , more = {}) {
const id = integerOf(frame.id, 1);
if (id === undefined) return undefined;
const before = this.user(id);
const person = {
...before,
name: textOf(frame.name) || before.name,
state: textOf(frame.state) || before.state,
status: typeof frame.status === "string" ? frame.status : before.status,
isBlocked: typeof frame.blocked === "boolean" ? frame.blocked : before.isBlocked,
...more,
};
this.users.set(id, person);
return person;
}
learnGroup(frame ) {
const id = integerOf(frame.id, 1);
if (id === undefined) return undefined;
const before = this.groups.get(id);
const users = listOf(frame.users).filter(isJsonObject);
const members = Array.isArray(frame.users)
? users.map((user) => this.learnMember(user))
: before?.members;
const group = {
id,
name: textOf(frame.groupname) || before?.name || "",
description: typeof frame.groupdesc === "string" ? frame.groupdesc : before?.description ?? "",
join: textOf(frame.join) || before?.join || "",
role: textOf(frame.role) || before?.role || "normal",
count: integerOf(frame.members) ?? members?.length ?? before?.count ?? 0,
members,
isOver: false,
};
this.groups.set(id, group);
return group;
}
learnMember(frame ) {
const person = this.learn(frame);
return { id: person?.id ?? 0, role: textOf(frame.role) || "normal" };
}
changeGroup(id , change ) {
const group = this.groups.get(id);
if (group !== undefined) this.groups.set(id, { ...group, ...change });
}
follow(groupId , frame , me ) {
const group = this.groups.get(groupId);
const id = integerOf(frame.id, 1) ?? 0;
const others = group?.members?.filter((member) => member.id !== id);
switch (frame.what) {
case "created":
case "joined":
case "added":
if (group === undefined || id === me) {
const role = frame.what === "created" ? "creator" : "normal";
this.learnGroup({ id: groupId, groupname: frame.groupname, role });
} else if (others === undefined || others.length === group.members?.length) {
this.changeGroup(groupId, {
count: group.count + 1,
members: others && [...others, { id, role: "normal" }],
});
}
break;
case "left":
case "removed":
if (id === me) this.changeGroup(groupId, { isOver: true, members: undefined });
else if (group !== undefined) this.changeGroup(groupId, { count: group.count - 1, members: others });
break;
case "role": {
const role = textOf(frame.role);
const isOld = (member ) => role === "creator" && member.role === "creator";
this.changeGroup(groupId, {
...(id === me
? { role }
: group?.role === "creator" && role === "creator"
? { role: "admin" }
: {}),
members: others && [
...others.map((member) => isOld(member) ? { ...member, role: "admin" } : member),
{ id, role },
],
});
break;
}
case "edited":
this.changeGroup(groupId, {
...(textOf(frame.groupname) === "" ? {} : { name: textOf(frame.groupname) }),
...(typeof frame.groupdesc === "string" ? { description: frame.groupdesc } : {}),
...(textOf(frame.join) === "" ? {} : { join: textOf(frame.join) }),
});
break;
case "dissolved":
this.changeGroup(groupId, { isOver: true });
break;
}
}
}
return { People };
})();
// lib/web/app/conversation.ts
const $m35 = (() => {
const { detailsOf } = $m19;
const { integerOf } = $m2;
const { isJsonObject, MSGID, otherOf, parseConversation } = $m1;
const KEPT_ENTRIES = 80;
const EMOJI_MAX_LENGTH = 32;
const MENTIONS_MOST = 50;
function readEntry(message , seq ) {
const { sender, name, at, text, frame = {} } = message;
if (frame.msgid === MSGID.SYSTEM_MSG) return { seq, sender, name, at, text, kind: "system", frame };
const { reply, mentions, editedAt, reactions, isPinned } = detailsOf(message);
const entry = { seq, sender, name, at, text, kind: "chat" };
if (reply !== undefined) entry.reply = reply;
if (mentions === "all") entry.mentions = "all";
else if (mentions.length > 0) entry.mentions = mentions.slice(0, MENTIONS_MOST);
if (editedAt !== undefined) entry.edited = editedAt;
const shown = [...reactions].filter(([emoji, ids]) => emoji.length <= EMOJI_MAX_LENGTH && ids.length > 0);
if (shown.length > 0) entry.reactions = Object.fromEntries(shown.map(([emoji, ids]) => [emoji, [...ids]]));
if (isPinned || isJsonObject(frame.pinned)) entry.isPinned = true;
if (isJsonObject(frame.reaction_counts)) {
entry.counts = Object.fromEntries(
Object.entries(frame.reaction_counts).map(([emoji, count]) => [emoji, integerOf(count) ?? 0]),
);
}
return entry;
}
function lastOf({ seq, sender: id, name, text, at } ) {
return { seq, id, name, text: text ?? "", at };
}
function messageOf(conversation , entry ) {
const { seq, sender, name, text, at, reply, mentions, edited, reactions, counts, isPinned } = entry;
const frame = entry.frame ??
{ reply, mentions, edited, reactions, reaction_counts: counts, pinned: isPinned };
return { conversation, seq, sender, name, text, at, frame };
}
class Conversation {
id ;
peerId ;
groupId ;
entries = [];
state ;
head = { lastSeq: 0, unread: 0, mentions: 0, at: 0, mutedUntil: 0, last: undefined };
peers = new Map ();
typing = new Map ();
version = 0;
#me ;
#actions = new Map ();
constructor(id , me ) {
this.id = id;
this.#me = me;
this.state = { id, base: 0, top: 0, shown: 0 };
const parsed = parseConversation(id);
if (parsed !== undefined && "groupId" in parsed) this.groupId = parsed.groupId;
this.peerId = otherOf(id, me);
}
static read(kept , me ) {
const conversation = new Conversation(kept.state.id, me);
conversation.state = kept.state;
conversation.head = kept.head;
conversation.entries = kept.entries;
for (const action of kept.actions) conversation.#actions.set(action.seq ?? 0, action);
for (const [id, peer] of kept.peers) conversation.peers.set(id, peer);
return conversation;
}
keep() {
const entries = this.entries.slice(-KEPT_ENTRIES);
const first = entries[0]?.seq ?? this.state.top + 1;
const cut = entries.length < this.entries.length;
const base = cut ? Math.max(this.state.base, first - 1) : this.state.base;
return {
format: 1,
state: { ...this.state, base: Math.min(base, this.state.top) },
entries,
actions: [...this.#actions.values()],
peers: [...this.peers],
head: this.head,
};
}
insert(message , seq ) {
const { head } = this;
const isNew = seq > head.lastSeq;
head.lastSeq = Math.max(head.lastSeq, seq);
head.at = Math.max(head.at, message.at);
if (message.frame?.msgid === MSGID.ACTION_MSG) {
if (seq <= this.state.top || this.#actions.has(seq)) return false;
this.#actions.set(seq, message);
return true;
}
const index = this.#indexOf(seq);
if (this.entries[index]?.seq === seq) return false;
const entry = readEntry(message, seq);
this.entries.splice(index, 0, entry);
this.version++;
if (entry.kind === "chat") this.#count(entry, isNew);
this.typing.delete(message.sender);
return true;
}
replace(message , seq ) {
this.#change(seq, () => readEntry(message, seq));
if (this.head.last?.seq === seq) this.head.last = { ...this.head.last, text: message.text ?? "" };
}
forgetAbove(seq ) {
this.entries.length = this.#indexOf(seq + 1);
this.#actions.clear();
for (const [id, { delivered, read, since }] of this.peers) {
this.peers.set(id, { delivered: Math.min(delivered, seq), read: Math.min(read, seq), since });
}
this.head.lastSeq = Math.min(this.head.lastSeq, seq);
if ((this.head.last?.seq ?? 0) > seq) {
const last = this.entries.findLast(({ kind }) => kind === "chat");
this.head.last = last && lastOf(last);
}
this.version++;
}
setState(state ) {
if (state.shown > this.state.shown) this.readUpTo(state.shown);
this.state = state;
for (const seq of this.#actions.keys()) if (seq <= state.top) this.#actions.delete(seq);
}
find(seq ) {
const entry = this.entries[this.#indexOf(seq)];
return entry?.seq === seq ? entry : undefined;
}
seqsAbove(seq ) {
const shown = this.entries.slice(this.#indexOf(seq + 1)).map((entry) => entry.seq);
return [...shown, ...[...this.#actions.keys()].filter((action) => action > seq)].sort((a, b) => a - b);
}
range(after , upTo ) {
const isWithin = ({ seq } ) => (seq ?? 0) > after && (seq ?? 0) <= upTo;
const shown = this.entries.slice(this.#indexOf(after + 1)).filter(isWithin);
return [
...shown.map((entry) => messageOf(this.id, entry)),
...[...this.#actions.values()].filter(isWithin),
]
.sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
}
recall(seq ) {
this.#change(seq, ({ reactions: _, counts: __, edited: ___, ...entry }) => ({
...entry,
text: null,
isPinned: false,
}));
if (this.head.last?.seq === seq) this.head.last = { ...this.head.last, text: "" };
}
readUpTo(seq ) {
const { head } = this;
if (head.unread === 0 && head.mentions === 0) return;
const isWhole = this.state.base <= seq;
const rest = this.entries.filter((entry) => entry.seq > seq && this.#isUnread(entry));
head.unread = seq >= head.lastSeq ? 0 : isWhole ? rest.length : Math.min(head.unread, rest.length);
head.mentions = Math.min(head.mentions, rest.filter((entry) => this.isForMe(entry)).length);
}
isForMe({ mentions } ) {
return mentions === "all" || (mentions?.includes(this.#me) ?? false);
}
countPeers(kind , seq ) {
let count = 0;
for (const peer of this.peers.values()) if (peer[kind] >= seq && peer.since < seq) count++;
return count;
}
#isUnread({ kind, sender, text } ) {
return kind === "chat" && sender !== this.#me && text !== null;
}
#count(entry , isNew ) {
const { head } = this;
if (entry.seq >= (head.last?.seq ?? 0)) head.last = lastOf(entry);
if (!isNew || !this.#isUnread(entry) || entry.seq <= this.state.shown) return;
head.unread = Math.min(100, head.unread + 1);
if (this.isForMe(entry)) head.mentions++;
}
#change(seq , change ) {
const index = this.#indexOf(seq);
const entry = this.entries[index];
if (entry?.seq !== seq) return;
this.entries[index] = change(entry);
this.version++;
}
#indexOf(seq ) {
let low = 0;
let high = this.entries.length;
if ((this.entries[high - 1]?.seq ?? 0) < seq) return high;
while (low < high) {
const middle = (low + high) >> 1;
if ((this.entries[middle]?.seq ?? 0) < seq) low = middle + 1;
else high = middle;
}
return low;
}
}
return { messageOf, Conversation };
})();
// lib/web/app/store.ts
const $m36 = (() => {
const { Conversation, messageOf } = $m35;
const KEEP_DELAY_MS = 300;
class BrowserStore {
all = new Map ();
unsent = new Map ();
#me ;
#database ;
#onChange ;
#dirty = new Set ();
#keepTimer ;
#isClosed = false;
constructor(me , database , onChange ) {
this.#me = me;
this.#database = database;
this.#onChange = onChange;
}
static async open(
me ,
database ,
onChange ,
) {
const store = new BrowserStore(me, database, onChange);
const [conversations, unsent] = await Promise.all([
database.all("conversations"),
database.all("outbox"),
]);
for (const [id, kept] of conversations) {
store.all.set(id, Conversation.read(kept , me));
}
for (const [cid, entry] of unsent) store.unsent.set(cid, entry );
return store;
}
get(id ) {
const known = this.all.get(id);
if (known !== undefined) return known;
const conversation = new Conversation(id, this.#me);
this.all.set(id, conversation);
return conversation;
}
unsentFor(id ) {
return [...this.unsent.values()].filter(({ conversation }) => conversation === id);
}
changed(conversation ) {
this.#onChange(conversation);
this.#dirty.add(conversation);
this.#keepTimer ??= setTimeout(() => this.keep(), KEEP_DELAY_MS);
}
keep() {
clearTimeout(this.#keepTimer);
this.#keepTimer = undefined;
if (this.#isClosed) return;
for (const conversation of this.#dirty) {
if (this.all.get(conversation.id) === conversation) {
this.#database.set("conversations", conversation.id, conversation.keep());
}
}
this.#dirty.clear();
}
fail(entry , failure ) {
this.#putUnsent({ ...entry, failure });
}
transaction (work ) {
return work();
}
afterCommit(action ) {
action();
}
conversations() {
return [...this.all.values()].filter(({ state }) => state.top > 0).map(({ state }) => ({ ...state }));
}
saveConversation({ id, base, top, shown } ) {
const conversation = this.get(id);
const { state } = conversation;
if (state.base === base && state.top === top && state.shown === shown) return;
conversation.setState({ id, base, top, shown });
this.changed(conversation);
}
archiveConversation(id ) {
const conversation = this.all.get(id);
if (conversation === undefined) return;
this.all.delete(id);
this.#database.set("conversations", id, undefined);
this.#onChange(conversation);
}
insert(message ) {
const { seq } = message;
if (seq === null) return false;
const conversation = this.get(message.conversation);
if (!conversation.insert(message, seq)) return false;
this.changed(conversation);
return true;
}
find(id , seq ) {
const conversation = this.all.get(id);
const entry = conversation?.find(seq);
return entry === undefined ? undefined : messageOf(id, entry);
}
replace(message ) {
const conversation = this.all.get(message.conversation);
if (conversation === undefined || message.seq === null) return;
conversation.replace(message, message.seq);
this.changed(conversation);
}
forgetAbove(id , seq ) {
const conversation = this.all.get(id);
if (conversation === undefined) return;
conversation.forgetAbove(seq);
this.changed(conversation);
}
seqsAbove(id , seq ) {
return this.all.get(id)?.seqsAbove(seq) ?? [];
}
range(id , after , upTo ) {
return this.all.get(id)?.range(after, upTo) ?? [];
}
latest(id , count ) {
return (this.all.get(id)?.entries.slice(-count) ?? []).map((entry) => messageOf(id, entry));
}
lastSeqOf(id , sender , after = 0, upTo = Number.MAX_SAFE_INTEGER) {
const last = this.all.get(id)?.entries.findLast((entry) =>
entry.sender === sender && entry.seq > after && entry.seq <= upTo && entry.text !== null
);
return last?.seq ?? 0;
}
recall(id , seq ) {
const conversation = this.all.get(id);
if (conversation === undefined) return;
conversation.recall(seq);
this.changed(conversation);
}
outbox() {
return [...this.unsent.values()].filter(({ failure }) => failure === undefined);
}
addToOutbox(entry ) {
this.#putUnsent(entry);
}
removeFromOutbox(cid ) {
const entry = this.unsent.get(cid);
if (entry === undefined) return;
this.unsent.delete(cid);
this.#database.set("outbox", cid, undefined);
this.#onUnsent(entry);
}
peer(id , user ) {
return this.all.get(id)?.peers.get(user) ?? { delivered: 0, read: 0 };
}
countPeers(id , kind , seq ) {
return this.all.get(id)?.countPeers(kind, seq) ?? 0;
}
peersAt(id , seq ) {
return [...this.all.get(id)?.peers ?? []]
.filter(([, { delivered, since }]) => delivered >= seq && since < seq)
.map(([user, { delivered, read }]) => ({ id: user, delivered, read }));
}
savePeer(id , user , { delivered, read } , since = 0) {
const conversation = this.get(id);
conversation.peers.set(user, { delivered, read, since });
this.changed(conversation);
}
[Symbol.dispose]() {
this.keep();
}
close() {
this.keep();
this.#isClosed = true;
}
#putUnsent(entry ) {
this.unsent.set(entry.cid, entry);
this.#database.set("outbox", entry.cid, entry);
this.#onUnsent(entry);
}
#onUnsent({ conversation: id } ) {
const conversation = this.get(id);
conversation.version++;
this.#onChange(conversation);
}
}
return { BrowserStore };
})();
// lib/web/app/tabs.ts
const $m37 = (() => {
const LOCK = "chat-connection";
const CHANNEL = "chat-tabs";
class Tabs {
#channel = new BroadcastChannel(CHANNEL);
#onGain ;
#onLose ;
#release ;
#isAsking = false;
constructor(options ) {
this.#onGain = options.onGain;
this.#onLose = options.onLose;
this.#channel.onmessage = () => this.#yield();
}
get isActive() {
return this.#release !== undefined;
}
wait() {
if (this.#isAsking || this.isActive) return;
this.#isAsking = true;
if (!("locks" in navigator)) {
this.#release = () => {};
this.#onGain();
return;
}
navigator.locks.request(LOCK, () => {
this.#isAsking = false;
return new Promise ((resolve) => {
this.#release = resolve;
this.#onGain();
});
});
}
take() {
this.wait();
if (!this.isActive) this.#channel.postMessage("take");
}
async #yield() {
const release = this.#release;
if (release === undefined) return;
this.#release = undefined;
await this.#onLose();
release();
this.wait();
}
}
return { Tabs };
})();
// lib/web/app/within.ts
const $m38 = (() => {
async function within(work , timeoutMs ) {
const late = Promise.withResolvers ();
const timer = setTimeout(() => late.resolve(false), timeoutMs);
try {
return await Promise.race([work.then(() => true), late.promise]);
} finally {
clearTimeout(timer);
}
}
return { within };
})();
// lib/web/app/model.ts
const $m39 = (() => {
const { systemClock } = $m13;
const { createCid } = $m6;
const { ClientSession } = $m28;
const { nextBefore } = $m29;
const { integerOf, listOf, textOf } = $m2;
const { fallBack } = $m30;
const { readPosition } = $m27;
const { isTemporary, NO_ANSWER, noReply } = $m7;
const { readPageLink } = $m0;
const { conversationOfGroup, conversationOfUsers, ERRNO, isJsonObject, MSGID } = $m1;
const { authenticate } = $m31;
const { Database } = $m32;
const { deviceName } = $m33;
const { People } = $m34;
const { forgetPrefs } = $m5;
const { BrowserStore } = $m36;
const { Tabs } = $m37;
const { within } = $m38;
const PAGE = 200;
const TYPING_INTERVAL_MS = 3000;
const TYPING_SHOWN_MS = 5000;
const FRESH_MS = 60_000;
const LOG_OUT_MS = 2000;
const CONNECT_MS = 10_000;
const OTHER_TAB_MS = 100;
const OLDER_RETRY_MS = 2000;
const FRAME_REST_BYTES = 5536;
const FEATURES = [
MSGID.DEVICE_MSG,
MSGID.ACTION_MSG,
MSGID.GROUP_MSG,
MSGID.CONTACT_MSG,
MSGID.FIND_MSG,
MSGID.ACCOUNT_MSG,
MSGID.PROFILE_MSG,
MSGID.SETTING_MSG,
MSGID.TYPING_MSG,
MSGID.SEARCH_MSG,
MSGID.CONVERSATIONS_MSG,
];
const DELETED_SEARCH = "?deleted";
class Model {
account ;
people = new People();
link = { kind: "connecting", since: Date.now() };
isForgetful = false;
drafts = new Map ();
#dial ;
#tabs ;
#listeners = new Set ();
#topics = new Set ();
#features = new Set ();
#loading = new Map ();
#complete = new Set ();
#membersAsked = new Set ();
#root ;
#database ;
#databaseOf = 0;
#store ;
#session ;
#online = Promise.withResolvers ();
#currentId ;
#isScheduled = false;
#isDeleting = false;
#forgetting ;
#typingSentAt = 0;
#nextBefore ;
#listing ;
#maxFrame = 65_536;
#clockOffset = 0;
constructor(dial ) {
this.#dial = dial;
this.#tabs = new Tabs({ onGain: () => void this.#connect(), onLose: () => this.#giveUp() });
}
listen(listener , signal ) {
this.#listeners.add(listener);
signal?.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
}
onMessage = () => {};
async start() {
this.#root = await Database.open("chat", () => this.#forgets());
const kept = await this.#root.get("kept", "account");
if (kept !== undefined) await this.#begin(kept );
else this.changed("account");
}
async signUp(name , password , invite ) {
const request = { msgid: MSGID.SIGNUP_MSG, name, password };
const reply = await authenticate(this.#dial, invite === "" ? request : { ...request, invite });
const id = integerOf(reply.frame.id, 1);
return reply.errno === ERRNO.OK && id !== undefined ? await this.#logIn({ id }, password) : reply;
}
logIn(name , password ) {
return this.#logIn({ name }, password);
}
resetPassword(code , password ) {
return authenticate(this.#dial, { msgid: MSGID.RESET_MSG, code, password });
}
async logOut() {
const session = this.#session;
this.#session = undefined;
if (session !== undefined) await within(session.logout(), LOG_OUT_MS);
await this.#forget();
}
async deleteAccount(password ) {
await this.#connecting();
if (!this.isOnline) return noReply("");
this.#isDeleting = true;
const reply = await this.ask({ msgid: MSGID.ACCOUNT_MSG, op: "delete", password });
this.#isDeleting = reply.errno === ERRNO.OK || reply.errno === NO_ANSWER;
if (reply.errno === ERRNO.OK) await this.#forget();
return reply;
}
#forget() {
return this.#forgetting ??= this.#forgetAll();
}
async #forgetAll() {
this.#session = undefined;
this.#store?.close();
const kept = [this.#database, this.#root];
this.#database = this.#root = undefined;
await Promise.all(kept.map((database) => database?.clear()));
if (this.#isDeleting) forgetPrefs();
location.replace(`${location.pathname}${this.#isDeleting ? DELETED_SEARCH : ""}`);
}
has(msgid ) {
return this.#features.has(msgid);
}
get isOnline() {
return this.link.kind === "online";
}
get me() {
return this.account?.id ?? 0;
}
now() {
return Date.now() + this.#clockOffset;
}
get current() {
return this.#currentId === undefined ? undefined : this.#store?.get(this.#currentId);
}
get maxTextBytes() {
return Math.max(this.#maxFrame / 2, this.#maxFrame - FRAME_REST_BYTES);
}
get conversations() {
const unsentAt = new Map ();
for (const { conversation, at } of this.#store?.unsent.values() ?? []) unsentAt.set(conversation, at);
const activityOf = ({ id, head } ) => Math.max(head.at, unsentAt.get(id) ?? 0);
const shown = [...this.#store?.all.values() ?? []].filter(({ head, id }) =>
head.lastSeq > 0 || this.drafts.has(id) || id === this.#currentId || unsentAt.has(id) ||
this.people.groups.has(groupIdOf(id))
);
return shown.sort((a, b) => activityOf(b) - activityOf(a));
}
conversation(id ) {
return this.#store?.get(id);
}
withUser(id ) {
return conversationOfUsers(this.me, id);
}
unsentFor(id ) {
return this.#store?.unsentFor(id) ?? [];
}
get waiting() {
return this.#store?.outbox().length ?? 0;
}
open(id ) {
this.#currentId = id;
void this.reach();
if (this.current?.groupId !== undefined) void this.loadMembers(this.current.groupId);
this.changed("log", "list", "typing", "draft");
}
sendDraft(id , text , fields ) {
this.setDraft(id, undefined);
this.send(id, text, fields);
}
send(id , text , fields ) {
const kept = Object.keys(fields).length === 0 ? undefined : fields;
const account = this.#session?.account;
if (account === undefined) {
const at = Date.now();
this.#store?.addToOutbox({
cid: createCid(at),
conversation: id,
text,
at,
...(kept === undefined ? {} : { fields: kept }),
});
} else account.send(id, text, kept);
this.changed("log", "list", "link", "draft");
}
sendAgain(cid ) {
const entry = this.#store?.unsent.get(cid);
if (entry === undefined) return;
this.#store?.removeFromOutbox(cid);
this.send(entry.conversation, entry.text, entry.fields ?? {});
}
discard(cid ) {
this.#store?.removeFromOutbox(cid);
this.changed("log", "list");
}
setDraft(id , draft ) {
const isEmpty = draft === undefined || (draft.text.trim() === "" && draft.reply === undefined);
if (isEmpty) this.drafts.delete(id);
else this.drafts.set(id, draft);
this.#database?.set("drafts", id, isEmpty ? undefined : draft);
this.changed("list");
}
typing(id ) {
const now = Date.now();
if (!this.isOnline || !this.has(MSGID.TYPING_MSG) || now - this.#typingSentAt < TYPING_INTERVAL_MS) {
return;
}
this.#typingSentAt = now;
void this.#session?.askOnce({ msgid: MSGID.TYPING_MSG, conversation: id });
}
read(conversation , seq ) {
const account = this.#session?.account;
const upTo = Math.min(seq, conversation.state.top);
if (account === undefined || upTo <= conversation.state.shown) return;
account.read(conversation.id, upTo);
this.changed("list");
}
hasOlder(conversation ) {
return conversation.state.base > 0 && conversation.head.lastSeq > 0 &&
!this.#complete.has(conversation.id);
}
isLoading(conversation ) {
return this.#loading.has(conversation.id);
}
loadOlder(conversation ) {
const account = this.#session?.account;
const loading = this.#loading.get(conversation.id);
if (loading !== undefined) return loading;
if (account === undefined || !this.isOnline || !this.hasOlder(conversation)) return Promise.resolve();
const work = this.#askOlder(account, conversation).finally(() => {
this.#loading.delete(conversation.id);
this.changed("log");
});
this.#loading.set(conversation.id, work);
this.changed("log");
return work;
}
async #askOlder(account , conversation ) {
const reply = await account.older(conversation.id, PAGE);
if (reply.errno === ERRNO.OK) return;
if (!isTemporary(reply)) this.#complete.add(conversation.id);
else {
const delayMs = integerOf(reply.frame.retry_after_ms) ?? OLDER_RETRY_MS;
await new Promise((resolve) => setTimeout(resolve, delayMs));
}
}
async join(what ) {
const groupId = /^\d{1,9}$/.test(what) ? Number(what) : undefined;
const reply = await this.ask(
groupId === undefined
? { msgid: MSGID.GROUP_MSG, op: "join", link: readPageLink(what)?.code ?? what }
: { msgid: MSGID.ADD_GROUP_MSG, groupid: groupId },
);
const id = integerOf(reply.frame.groupid, 1) ?? groupId;
if (reply.errno !== ERRNO.OK || id === undefined) return reply;
const { group } = reply.frame;
this.people.learnGroup(isJsonObject(group) ? group : { id });
this.peopleChanged();
this.#membersAsked.delete(id);
await this.loadMembers(id);
if (this.people.groups.get(id)?.name === "") this.#session?.refresh();
else void this.look(conversationOfGroup(id));
return { ...reply, frame: { ...reply.frame, groupid: id } };
}
async look(id ) {
await this.#session?.account?.look(id);
this.changed("log", "list");
}
async reloadMembers(groupId ) {
this.#membersAsked.delete(groupId);
await Promise.all([this.loadMembers(groupId), this.look(conversationOfGroup(groupId))]);
}
async loadMembers(groupId ) {
if (!this.isOnline || !this.has(MSGID.GROUP_MSG) || this.#membersAsked.has(groupId)) return;
if (this.people.groups.get(groupId)?.isOver !== false) return;
this.#membersAsked.add(groupId);
const members = [];
for (let after = 0; after !== undefined;) {
const { errno, frame } = await this.ask({
msgid: MSGID.GROUP_MSG,
op: "members",
groupid: groupId,
after,
limit: 200,
});
if (errno !== ERRNO.OK) {
this.#membersAsked.delete(groupId);
return;
}
if (isJsonObject(frame.group)) this.people.learnGroup(frame.group);
for (const user of listOf(frame.users).filter(isJsonObject)) {
members.push(this.people.learnMember(user));
}
after = frame.more === true ? members.at(-1)?.id : undefined;
}
this.people.changeGroup(groupId, { members, count: members.length });
this.changed("people");
}
async reach() {
const id = this.#currentId;
while (this.#currentId === id && this.current?.head.lastSeq === 0 && this.#nextBefore !== undefined) {
const before = this.#nextBefore;
await this.loadConversations();
if (this.#nextBefore === before) return;
}
}
loadConversations() {
return this.#listing ??= this.#askConversations().finally(() => this.#listing = undefined);
}
async #askConversations() {
const before = this.#nextBefore;
if (before === undefined || !this.isOnline) return;
const { errno, frame } = await this.ask({ msgid: MSGID.CONVERSATIONS_MSG, before, limit: PAGE });
if (errno !== ERRNO.OK || this.#nextBefore !== before) return;
this.#nextBefore = nextBefore(frame);
this.#takeConversations(frame);
this.#session?.account?.addConversations(
listOf(frame.conversations).filter(isJsonObject).map(readPosition),
);
this.changed("list", "log");
}
async ask(frame ) {
await this.#connecting();
const reply = await (this.#session?.askOnce(frame) ?? Promise.resolve(noReply("")));
if (reply.errno === ERRNO.UNKNOWN_MSGID && typeof frame.msgid === "number") {
this.#features.delete(frame.msgid);
this.changed("people");
}
return reply;
}
async act(
conversation ,
action ,
) {
const { ref, ...details } = action;
await this.#connecting();
const reply = await (this.#session?.account?.act(conversation.id, ref, details) ?? noReply(""));
this.changed("log", "list");
return reply;
}
async #connecting() {
if (this.link.kind === "connecting") await within(this.#online.promise, CONNECT_MS);
}
async createGroup(name , description , join ) {
const group = { groupname: name, groupdesc: description, join };
const reply = await this.ask({ msgid: MSGID.CREATE_GROUP_MSG, ...group });
const id = integerOf(reply.frame.groupid, 1);
if (reply.errno === ERRNO.OK && id !== undefined) {
this.people.learnGroup({ id, ...group, role: "creator", members: 1 });
const conversation = this.#store?.get(conversationOfGroup(id));
if (conversation !== undefined) {
conversation.head.at = Math.max(conversation.head.at, this.now());
this.#store?.changed(conversation);
}
this.#keepPeople();
void this.look(conversationOfGroup(id));
}
return reply;
}
nameOf(id ) {
return this.people.user(id).name;
}
retry() {
this.#session?.retry();
}
takeOver() {
if (this.account?.token !== undefined) this.#tabs.take();
}
changed(...topics ) {
for (const topic of topics) this.#topics.add(topic);
if (this.#isScheduled) return;
this.#isScheduled = true;
const run = () => {
this.#isScheduled = false;
const all = new Set(this.#topics);
this.#topics.clear();
for (const listener of this.#listeners) listener(all);
};
if (document.hidden) setTimeout(run, 250);
else requestAnimationFrame(run);
}
keep() {
this.#store?.keep();
}
peopleChanged() {
this.#keepPeople();
this.changed("people", "list");
}
async #logIn(who , password ) {
const kept = await this.#root?.get("kept", "account") ;
const isSame = kept !== undefined && (who.id === kept.id || who.name === kept.name);
const reply = await authenticate(this.#dial, {
msgid: MSGID.LOGIN_MSG,
...who,
password,
device: deviceName(navigator.userAgent),
...(isSame && kept.deviceId !== undefined ? { device_id: kept.deviceId } : {}),
});
const { errno, frame } = reply;
const id = integerOf(frame.id, 1);
const token = textOf(frame.token);
if (errno !== ERRNO.OK || id === undefined || token === "") return reply;
const epoch = kept?.id === id ? kept.epoch : "";
const account = { id, name: textOf(frame.name), token, deviceId: integerOf(frame.device_id, 1), epoch };
await this.#root?.set("kept", "account", account);
await this.#begin(account);
return reply;
}
async #begin(account ) {
this.account = account;
if (account.token === undefined) {
this.changed("account");
return;
}
if (this.#tabs.isActive) {
await this.#connect();
return;
}
const gained = Promise.withResolvers ();
this.#onGained = gained.resolve;
this.#tabs.wait();
if (!await within(gained.promise, OTHER_TAB_MS)) {
await this.#load();
this.#store?.close();
this.#setLink({ kind: "elsewhere" });
this.changed("account");
}
}
#onGained = () => {};
async #connect() {
this.#onGained();
const kept = await this.#root?.get("kept", "account") ;
if (this.account !== undefined && kept?.id !== this.account.id && !this.isForgetful) {
location.replace(location.pathname);
return;
}
this.account = kept ?? this.account;
await this.#load();
const { account } = this;
if (account?.token === undefined) return;
this.changed("account", "list", "log", "people");
this.#session = new ClientSession({
dial: this.#dial,
server: location.host,
isV1: false,
isForScript: true,
clock: systemClock,
wallNow: Date.now,
random: Math.random,
openStore: () => {
if (this.#store === undefined) throw new Error("Nobody is logged in");
return this.#store;
},
onEvent: (event) => apart(() => this.#hear(event)),
modern: {
device: deviceName(navigator.userAgent),
onLink: (state) => apart(() => this.#setLink(state)),
onLogin: (frame) => this.#loggedIn(frame),
onToken: (token) => this.#keepToken(token),
onFrame: (frame) => apart(() => this.#receive(frame)),
},
});
this.#session.resume(account.id, account.token);
}
async #giveUp() {
const session = this.#session;
this.#session = undefined;
this.#setLink({ kind: "elsewhere" });
await session?.leave();
this.#store?.close();
await this.#database?.written;
await this.#root?.written;
}
async #load() {
const { account } = this;
if (account === undefined) return;
if (this.#databaseOf !== account.id) {
this.#database = await Database.open(`chat-${account.id}`, () => this.#forgets());
this.#databaseOf = account.id;
}
const database = this.#database;
if (database === undefined) return;
const [store, drafts, people, groups] = await Promise.all([
BrowserStore.open(account.id, database, () => this.changed("log", "list", "link")),
database.all("drafts"),
database.get("kept", "people"),
database.get("kept", "groups"),
]);
this.#store = store;
this.drafts.clear();
for (const [id, draft] of drafts) this.drafts.set(id, draft );
this.people = new People();
for (const [id, person] of (people ?? []) ) {
this.people.users.set(id, { ...person, state: "" });
}
for (const [id, group] of (groups ?? []) ) {
this.people.groups.set(id, group);
}
this.people.learn({ id: account.id, name: account.name });
}
#keepPeople() {
this.#database?.set("kept", "people", [...this.people.users]);
this.#database?.set("kept", "groups", [...this.people.groups]);
}
#forgets() {
this.isForgetful = true;
this.changed("link");
}
#setLink(state ) {
if (this.isOnline) this.#online = Promise.withResolvers();
this.link = { ...state, since: Date.now() };
if (this.isOnline) this.#online.resolve();
performance.mark(state.kind);
if (state.kind === "ended" && state.code !== "replaced") {
void (this.#isDeleting ? this.#forget() : this.#end());
}
this.changed("link");
}
changePassword(old , wanted ) {
return this.#session?.changePassword(old, wanted) ?? Promise.resolve(noReply(""));
}
#keepToken(token ) {
if (this.account === undefined) return;
this.account = { ...this.account, token };
void this.#root?.set("kept", "account", this.account);
}
async #end() {
if (this.account === undefined) return;
this.account = { ...this.account, token: undefined };
await this.#root?.set("kept", "account", this.account);
this.changed("account");
}
#loggedIn(frame ) {
const { account } = this;
const store = this.#store;
if (account === undefined || store === undefined) return;
const epoch = textOf(frame.epoch);
if (account.epoch !== "" && epoch !== "" && epoch !== account.epoch) {
fallBack(store, listOf(frame.conversations).filter(isJsonObject).map(readPosition), Date.now());
}
this.account = {
...account,
name: textOf(frame.name) || account.name,
token: textOf(frame.token) || account.token,
deviceId: integerOf(frame.device_id, 1) ?? account.deviceId,
epoch,
};
void this.#root?.set("kept", "account", this.account);
const at = integerOf(frame.at);
if (at !== undefined) this.#clockOffset = at - Date.now();
this.#maxFrame = integerOf(frame.max_frame, 1) ?? this.#maxFrame;
this.#nextBefore = nextBefore(frame);
this.#complete.clear();
this.#membersAsked.clear();
apart(() => {
this.#takePeople(frame);
this.#takeConversations(frame);
});
this.changed("account", "list", "log", "people");
queueMicrotask(() => {
void this.#learnFeatures();
void this.reach();
});
}
#takePeople(frame ) {
for (const person of this.people.users.values()) {
this.people.users.set(person.id, { ...person, isFriend: false, isBlocked: false, state: "" });
}
this.people.learn({ id: this.me, name: this.account?.name ?? "", state: "online" });
for (const friend of listOf(frame.friends).filter(isJsonObject)) {
this.people.learn(friend, { isFriend: true });
}
const groups = listOf(frame.groups).filter(isJsonObject).map((group) =>
this.people.learnGroup(group)?.id
);
for (const id of this.people.groups.keys()) {
if (!groups.includes(id)) this.people.changeGroup(id, { isOver: true });
}
this.#keepPeople();
}
#takeConversations(frame ) {
for (const entry of listOf(frame.conversations).filter(isJsonObject)) {
const conversation = this.#store?.get(textOf(entry.conversation));
if (conversation === undefined) continue;
const { head } = conversation;
const lastSeq = integerOf(entry.last_seq) ?? 0;
const last = isJsonObject(entry.last) ? entry.last : undefined;
const lastChat = integerOf(last?.seq, 1);
head.lastSeq = Math.max(head.lastSeq, lastSeq);
head.unread = integerOf(entry.unread) ??
Math.min(100, Math.max(0, lastSeq - (integerOf(entry.read) ?? 0)));
head.mentions = integerOf(entry.mentions) ?? 0;
head.at = integerOf(entry.at) ?? head.at;
head.mutedUntil = integerOf(entry.muted_until) ?? 0;
if (last !== undefined && lastChat !== undefined) {
head.last = {
seq: lastChat,
id: integerOf(last.id, 1) ?? 0,
name: textOf(last.name),
text: textOf(last.msg),
at: integerOf(last.at) ?? head.at,
};
}
if (isJsonObject(entry.peer)) this.people.learn(entry.peer);
const { groupId } = conversation;
if (groupId !== undefined && textOf(entry.groupname) !== "") {
this.people.learnGroup({ id: groupId, groupname: entry.groupname });
this.people.changeGroup(groupId, { isOver: true });
}
this.#store?.changed(conversation);
}
}
async #learnFeatures() {
await Promise.all(FEATURES.map(async (msgid) => {
const { errno } = await this.#session?.askOnce({ msgid }) ?? noReply("");
if (errno === ERRNO.UNKNOWN_MSGID) this.#features.delete(msgid);
else if (errno >= 0) this.#features.add(msgid);
}));
this.changed("people", "log");
if (this.current?.groupId !== undefined) void this.loadMembers(this.current.groupId);
}
#hear(event ) {
switch (event.kind) {
case "message": {
const { message } = event;
this.people.learn({ id: message.sender, name: message.name });
if (message.sender !== this.me && message.at > this.now() - FRESH_MS) {
const conversation = this.#store?.get(message.conversation);
if (conversation !== undefined) this.onMessage(message, conversation);
}
break;
}
case "refused":
this.#store?.fail(event.entry, { errno: event.errno, text: event.reason });
break;
}
this.changed("log", "list", "link");
}
#receive(frame ) {
const id = integerOf(frame.id, 1) ?? 0;
const conversation = this.#store?.all.get(textOf(frame.conversation));
switch (frame.msgid) {
case MSGID.SYSTEM_MSG:
if (conversation?.groupId !== undefined) {
this.people.learn(frame);
this.people.learn({ id: frame.by, name: frame.by_name });
this.people.follow(conversation.groupId, frame, this.me);
if (id === this.me && (frame.what === "added" || frame.what === "joined")) {
this.#membersAsked.delete(conversation.groupId);
void this.loadMembers(conversation.groupId);
}
this.peopleChanged();
}
break;
case MSGID.TYPING_MSG:
if (conversation !== undefined) this.#seeTyping(conversation, id);
break;
case MSGID.PRESENCE_MSG:
this.people.learn(frame);
this.changed("people", "list");
break;
case MSGID.PROFILE_MSG:
this.people.learn(frame);
if (id === this.me && this.account !== undefined) {
this.account.name = textOf(frame.name) || this.account.name;
}
this.peopleChanged();
break;
case MSGID.SETTING_MSG:
if (conversation !== undefined) this.setMuted(conversation, integerOf(frame.muted_until) ?? 0);
break;
}
}
setMuted(conversation , until ) {
conversation.head.mutedUntil = until;
this.#store?.changed(conversation);
this.changed("list", "people");
}
#seeTyping(conversation , id ) {
conversation.typing.set(id, Date.now() + TYPING_SHOWN_MS);
this.changed("typing", "list");
setTimeout(() => {
if ((conversation.typing.get(id) ?? 0) <= Date.now()) conversation.typing.delete(id);
this.changed("typing", "list");
}, TYPING_SHOWN_MS + 50);
}
}
function apart(work ) {
try {
work();
} catch (error) {
reportError(error);
}
}
function groupIdOf(id ) {
return id.startsWith("g") ? Number(id.slice(1)) : 0;
}
return { DELETED_SEARCH, Model };
})();
// lib/web/app/avatar.ts
const $m40 = (() => {
const { el } = $m3;
const TONES = 8;
const segmenter = new Intl.Segmenter();
const PLAIN = /^[\p{L}\p{N}](?![\p{M}\u200d\ufe0f])/u;
function initials(name ) {
const words = name.split(/[\s\-_.]+/).filter((word) => word !== "");
const first = (word = "") => PLAIN.exec(word)?.[0] ?? segmenter.segment(word).containing(0)?.segment ?? "";
const [one, two] = [first(words[0]), first(words.length > 1 ? words.at(-1) : "")];
const both = /^[\p{L}\p{N}]$/u.test(one) && one.codePointAt(0) < 0x1100 ? one + two : one;
return both.toLocaleUpperCase() || "?";
}
function avatar(
of ,
) {
const { id, name, isGroup = false, state = "", size = "" } = of;
const classes = `avatar tone-${id % TONES + 1} ${isGroup ? "group" : ""} ${size}`;
const presence = state !== "" && el("span", { class: `presence ${state === "online" ? "online" : ""}` });
return el("span", { class: classes.trim(), "aria-hidden": "true" }, initials(name), presence);
}
return { avatar };
})();
// lib/web/app/icons.ts
const $m41 = (() => {
const ICONS = {
plus: "M12 5v14M5 12h14",
search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM16.2 16.2L20.5 20.5",
back: "M15 5l-7 7l7 7",
close: "M6 6l12 12M18 6L6 18",
more: "M5 12h.01M12 12h.01M19 12h.01",
reply: "M10 6l-6 6l6 6M4 12h9a7 7 0 0 1 7 7",
smile:
"M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM8.5 14.5c1 1.3 2.1 2 3.5 2s2.500-.7 3.500-2M9 9.500h.01M15 9.500h.01",
send: "M12 19V5M6 11l6-6l6 6",
down: "M12 5v14M6 13l6 6l6-6",
details: "M4 5h16v14H4zM14.500 5v14",
pin: "M9 4h6l-1 7l3 3H7l3-3zM12 14v6",
bellOff: "M6 9a6 6 0 0 1 9.500-4.900M18 10c0 5 2 6 2 6H9M5 16s1-1 1-4M10 19.500a2 2 0 0 0 4 0M4 4l16 16",
check: "M3 12.500l5 5L20 5.500",
checks: "M1.500 12.500l5 5L18 5.500M10.500 16l1.500 1.500L23 6",
clock: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM12 7v5l3 2",
link:
"M10 14a4 4 0 0 0 5.700 0l3.500-3.500a4 4 0 0 0-5.700-5.700l-1 1M14 10a4 4 0 0 0-5.700 0l-3.500 3.500a4 4 0 0 0 5.700 5.700l1-1",
leave: "M13 5h6v14h-6M15 12H4M8 8l-4 4l4 4",
trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
edit: "M4 20h4L19 9l-4-4L4 16z",
command: "M9 6l6 6l-6 6",
} ;
return { ICONS };
})();
// lib/web/app/float.ts
const $m42 = (() => {
const { el, icon } = $m3;
const { ICONS } = $m41;
const { t } = $m10;
const GAP = 4;
const EDGE = 8;
function place(
element ,
anchor ,
side = "below",
) {
const rect = anchor instanceof Element ? anchor.getBoundingClientRect() : anchor;
const { width, height } = element.getBoundingClientRect();
const below = rect.bottom + GAP;
const above = rect.top - GAP - height;
const fits = side === "below" ? below + height <= innerHeight - EDGE : above < EDGE;
const top = Math.max(
EDGE,
Math.min(fits ? below : above < EDGE ? below : above, innerHeight - height - EDGE),
);
const start = document.documentElement.dir === "rtl" ? rect.right - width : rect.left;
const left = Math.max(EDGE, Math.min(start, innerWidth - width - EDGE));
element.style.left = `${left}px`;
element.style.top = `${top}px`;
}
function openFloat(
element ,
anchor ,
side ,
) {
const before = document.activeElement;
element.setAttribute("popover", "auto");
document.body.append(element);
element.addEventListener("toggle", (event) => {
if (event.newState !== "closed") return;
const hadFocus = element.contains(document.activeElement) || document.activeElement === document.body;
element.remove();
if (hadFocus && before instanceof HTMLElement && before.isConnected) before.focus();
});
element.showPopover();
place(element, anchor, side);
return () => {
if (element.isConnected) element.hidePopover();
};
}
function moveWithArrows(
element ,
selector ,
{ columns = 1 } = {},
) {
element.addEventListener("keydown", (event) => {
const all = [...element.querySelectorAll (selector)];
const index = all.indexOf(document.activeElement );
const steps = {
ArrowDown: columns,
ArrowUp: -columns,
...(columns > 1 ? { ArrowRight: 1, ArrowLeft: -1 } : {}),
};
const step = steps[event.key];
const next = event.key === "Home"
? 0
: event.key === "End"
? all.length - 1
: step === undefined
? -1
: index + step;
if (event.key !== "Home" && event.key !== "End" && step === undefined) return;
event.preventDefault();
all[columns > 1 ? Math.max(0, Math.min(next, all.length - 1)) : (next + all.length) % all.length]
?.focus();
});
}
function openMenu(anchor , choices ) {
const items = choices.map(({ label, key, isDangerous, onChoose }) =>
el(
"button",
{
type: "button",
role: "menuitem",
class: `choice ${isDangerous ? "danger" : ""}`,
onclick: () => {
close();
onChoose();
},
},
el("span", {}, label),
key !== undefined && el("kbd", {}, key),
)
);
const menu = el("div", { class: "float", role: "menu" }, ...items);
moveWithArrows(menu, ".choice");
const close = openFloat(menu, anchor);
items[0]?.focus();
}
function openDialog(
title ,
build ,
className = "",
) {
const element = el("dialog", { class: className, "aria-label": title });
const close = () => element.close();
const dialog = { element, close };
element.addEventListener("close", () => element.remove());
element.addEventListener("pointerdown", (event) => {
if (event.target !== element) return;
const { left, right, top, bottom } = element.getBoundingClientRect();
const { clientX: x, clientY: y } = event;
if (x < left || x > right || y < top || y > bottom) close();
});
element.append(
el(
"div",
{ class: "dialog-head" },
el("h2", {}, title),
el(
"button",
{ type: "button", class: "icon-button", "aria-label": t("close"), onclick: close },
icon(ICONS.close),
),
),
el("div", { class: "dialog-body" }, ...build(dialog).filter((child) => child !== undefined)),
);
document.body.append(element);
element.showModal();
const wanted = element.querySelector ("[autofocus]");
(wanted ?? element.querySelector (".dialog-body :is(input, select, button)"))?.focus();
return dialog;
}
function askFirst(
title ,
text ,
confirm ,
onConfirm ,
) {
openDialog(title, ({ close }) => [
el("p", {}, text),
el(
"div",
{ class: "dialog-foot" },
el("button", { type: "button", class: "button", autofocus: true, onclick: close }, t("cancel")),
el("button", {
type: "button",
class: "button danger",
onclick: () => {
close();
onConfirm();
},
}, confirm),
),
]);
}
function toast(text ) {
const element = el("div", { class: "float toast", role: "status", popover: "manual" }, text);
document.body.append(element);
element.showPopover();
setTimeout(() => element.remove(), 4000);
}
return { place, openFloat, moveWithArrows, openMenu, openDialog, askFirst, toast };
})();
// lib/web/app/words.ts
const $m43 = (() => {
const { integerOf, textOf } = $m2;
const { DELETED_NAME, OPERATOR } = $m16;
const { isolate, plural, t } = $m10;
const EXCERPT_CHARACTERS = 200;
const DELETED = new RegExp(`^${DELETED_NAME}(?: \\(\\d+\\))?$`);
function nameOf(model , id , name = "") {
const known = model.nameOf(id) || name;
return isDeleted(known) ? t("deleted_user") : known || t("user", { id: String(id) });
}
function isDeleted(name ) {
return DELETED.test(name);
}
function titleOf(model , { peerId, groupId } ) {
if (groupId !== undefined) {
return model.people.groups.get(groupId)?.name || t("group", { id: String(groupId) });
}
if (peerId === model.me) return t("notes");
return nameOf(model, peerId ?? 0);
}
function sublineOf(model , conversation ) {
const typing = typingOf(model, conversation);
if (typing !== "") return typing;
const { groupId, peerId } = conversation;
if (groupId !== undefined) {
const group = model.people.groups.get(groupId);
return group === undefined || group.isOver ? "" : plural("members", Math.max(1, group.count));
}
const { state, status } = model.people.user(peerId ?? 0);
const presence = state === "online" ? t("online") : state === "offline" ? t("offline") : "";
return [presence, status].filter((part) => part !== "").join(" · ");
}
function typingOf(model , { typing, groupId } ) {
const [first, second, ...more] = [...typing.keys()].filter((id) => id !== model.me);
if (first === undefined) return "";
if (groupId === undefined) return t("typing");
if (second === undefined) return t("typing_one", { name: isolate(nameOf(model, first)) });
if (more.length > 0) return t("typing_many");
return t("typing_two", { name: isolate(nameOf(model, first)), other: isolate(nameOf(model, second)) });
}
const ROLES = {
creator: "role_creator",
admin: "role_admin",
normal: "role_normal",
};
const JOINS = {
closed: "join_closed",
link: "join_link",
open: "join_open",
};
function roleText(role ) {
return t(ROLES[role] ?? "role_normal");
}
function systemText(model , { frame = {}, sender } ) {
const id = integerOf(frame.id, 1) ?? 0;
const by = integerOf(frame.by, 1) ?? sender;
const who = (user , name , you ) =>
isolate(user === model.me ? you : user === OPERATOR.id ? t("operator") : nameOf(model, user, name));
const name = textOf(frame.name);
const isAlone = frame.what === "joined" || frame.what === "left";
const values = {
by: who(by, textOf(frame.by_name) || (by === id ? name : ""), t("you")),
name: who(id, name, isAlone ? t("you") : t("you_object")),
};
switch (frame.what) {
case "created":
return t("sys_created", values);
case "joined":
return t("sys_joined", values);
case "added":
return t("sys_added", values);
case "left":
return t("sys_left", values);
case "removed":
return t("sys_removed", values);
case "role":
return t("sys_role", { ...values, role: roleText(textOf(frame.role)) });
case "edited": {
const group = textOf(frame.groupname);
if (group !== "") return t("sys_renamed", { ...values, group: isolate(group) });
const join = JOINS[textOf(frame.join)];
return join === undefined ? t("sys_edited", values) : t("sys_join", { ...values, join: t(join) });
}
case "dissolved":
return t("sys_dissolved", values);
default:
return t("sys_other", values);
}
}
function excerpt(text ) {
return text.slice(0, EXCERPT_CHARACTERS).replace(/\s+/g, " ");
}
return { nameOf, isDeleted, titleOf, sublineOf, typingOf, roleText, systemText, excerpt };
})();
// lib/web/app/person_dialog.ts
const $m44 = (() => {
const { listOf } = $m2;
const { ERRNO, isJsonObject, MSGID } = $m1;
const { avatar } = $m40;
const { el, replace } = $m3;
const { moveWithArrows, openDialog } = $m42;
const { failureOf } = $m11;
const { t } = $m10;
const { isDeleted } = $m43;
const WAIT_MS = 200;
const SHOWN = 20;
async function findPeople(
model ,
text ,
isMeant = () => true,
) {
const wanted = text.toLocaleLowerCase();
const known = [...model.people.users.values()].filter((person) => {
const { id, name } = person;
return id !== model.me && name.toLocaleLowerCase().includes(wanted) && !isDeleted(name) &&
isMeant(person);
});
known.sort((a, b) => Number(b.isFriend) - Number(a.isFriend) || a.name.localeCompare(b.name));
if (wanted === "" || !model.has(MSGID.FIND_MSG)) return { people: known.slice(0, SHOWN), problem: "" };
const find = (query ) =>
model.ask({ msgid: MSGID.FIND_MSG, ...query });
let reply = await find({ prefix: text, limit: SHOWN });
if (reply.errno === ERRNO.NOT_ALLOWED) reply = await find({ name: text });
const found = listOf(reply.frame.users).filter(isJsonObject).map((user) => model.people.learn(user));
const others = found.filter((person) => person !== undefined)
.filter((person) =>
person.id !== model.me && !known.some(({ id }) => id === person.id) && isMeant(person)
);
const isProblem = reply.errno !== ERRNO.OK && reply.errno !== ERRNO.NOT_FOUND;
return { people: [...known, ...others].slice(0, SHOWN), problem: isProblem ? failureOf(reply) : "" };
}
function choosePerson(
model ,
title ,
onChoose ,
isMeant ,
) {
openDialog(title, ({ close }) => {
const lines = el("div", { class: "lines", role: "listbox", "aria-label": title });
const problem = el("p", { class: "problem", role: "alert" });
const input = el("input", {
class: "input",
type: "search",
placeholder: t("person_name"),
"aria-label": t("person_name"),
autocomplete: "off",
autofocus: true,
oninput: () => {
clearTimeout(timer);
timer = setTimeout(() => void search(), WAIT_MS);
},
onkeydown: (event ) => {
if (event.key === "ArrowDown") lines.querySelector (".line")?.focus();
else if (event.key === "Enter") lines.querySelector (".line")?.click();
else return;
event.preventDefault();
},
});
let timer ;
const choose = async (person ) => {
problem.textContent = await onChoose(person);
if (problem.textContent === "") close();
};
const search = async () => {
const text = input.value.trim();
const found = await findPeople(model, text, isMeant);
if (input.value.trim() !== text) return;
problem.textContent = found.problem;
replace(
lines,
...found.people.map((person) =>
el(
"button",
{ type: "button", class: "line", role: "option", onclick: () => void choose(person) },
avatar({ id: person.id, name: person.name, state: person.state }),
el(
"div",
{},
el("bdi", { class: "cut" }, person.name),
el("div", { class: "secondary cut" }, person.status),
),
)
),
found.people.length === 0 && text !== "" && el("p", { class: "secondary" }, t("nobody_found")),
);
};
moveWithArrows(lines, ".line");
void search();
return [input, problem, lines];
});
}
return { findPeople, choosePerson };
})();
// lib/web/app/group_dialogs.ts
const $m45 = (() => {
const { integerOf, textOf } = $m2;
const { pageLink } = $m0;
const { conversationOfGroup, ERRNO, MSGID } = $m1;
const { el, replace } = $m3;
const { openDialog, toast } = $m42;
const { choice, field, form } = $m4;
const { choosePerson } = $m44;
const { failureOf } = $m11;
const { fullTime, plural, t } = $m10;
const HOUR_MS = 3_600_000;
const ALWAYS_MS = 10 * 365 * 24 * HOUR_MS;
function groupOf({ frame } ) {
return conversationOfGroup(integerOf(frame.groupid, 1) ?? 0);
}
function joinChoice(value ) {
return choice(t("who_may_join"), [["closed", t("join_closed")], ["link", t("join_link")], [
"open",
t("join_open"),
]], value);
}
function newGroupDialog(model , onOpen ) {
openDialog(t("new_group"), ({ close }) => {
const name = field(t("group_name"), { maxlength: 50, required: true, autocomplete: "off" });
const about = field(t("group_about"), { maxlength: 200, autocomplete: "off" });
const join = joinChoice("closed");
return [form([name.element, about.element, join.element], t("create"), async () => {
if (name.input.value.trim() === "") return t("need_name");
const reply = await model.createGroup(
name.input.value.trim(),
about.input.value.trim(),
join.input.value,
);
if (reply.errno !== ERRNO.OK) return failureOf(reply);
close();
onOpen(groupOf(reply));
return "";
})];
});
}
function joinDialog(model , onOpen , link = "") {
openDialog(t("join_group"), ({ close }) => {
const what = field(t("link_or_number"), { required: true, autocomplete: "off", value: link });
return [
link !== "" && el("p", {}, t("join_about")),
form([link === "" && what.element], t("join"), async () => {
const reply = await model.join(what.input.value.trim());
if (reply.errno === ERRNO.NOT_FOUND) return t("invitation_bad");
if (reply.errno !== ERRNO.OK) return failureOf(reply);
close();
onOpen(groupOf(reply));
return "";
}),
];
});
}
function inviteDialog(model , group ) {
const isOutside = ({ id } ) =>
model.people.groups.get(group.id)?.members?.every((member) => member.id !== id) ?? true;
choosePerson(model, t("add_people"), async (person) => {
const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op: "add", groupid: group.id, id: person.id });
if (reply.errno !== ERRNO.OK) return failureOf(reply);
toast(t("person_added", { name: person.name }));
await model.reloadMembers(group.id);
return "";
}, isOutside);
}
const LIFETIMES_MS = [24 * HOUR_MS, 7 * 24 * HOUR_MS, 30 * 24 * HOUR_MS, 365 * 24 * HOUR_MS];
const USES = [0, 1, 10, 100];
function linkDialog(model , group ) {
const ask = (fields ) =>
model.ask({ msgid: MSGID.GROUP_MSG, op: "link", groupid: group.id, ...fields });
const lifetimes = LIFETIMES_MS.map((ms) =>
[String(ms), plural("days", ms / (24 * HOUR_MS))]
);
const uses = USES.map((n) =>
[String(n), n === 0 ? t("any_number") : plural("people", n)]
);
openDialog(t("invite_link"), ({ close }) => {
const lifetime = choice(t("link_lifetime"), lifetimes, String(7 * 24 * HOUR_MS));
const use = choice(t("link_uses"), uses, "0");
const body = el("div", { class: "form" });
const show = (link , expires ) => {
const output = el("input", { class: "input", readonly: true, "aria-label": t("invite_link") });
output.value = pageLink(`${location.origin}${location.pathname}`, { kind: "join", code: link });
const copy = () =>
navigator.clipboard?.writeText(output.value).then(() => toast(t("copied")), () => {});
const revoke = async () => {
const reply = await ask({ revoke: link });
if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
else {
close();
toast(t("link_revoked"));
}
};
replace(
body,
el("p", { class: "secondary" }, t("link_made", { when: fullTime(expires) })),
output,
el(
"div",
{ class: "dialog-foot" },
el(
"button",
{ type: "button", class: "button danger", onclick: () => void revoke() },
t("link_revoke"),
),
el("button", { type: "button", class: "button main", onclick: () => void copy() }, t("copy")),
),
);
output.focus();
output.select();
};
replace(
body,
group.join === "closed" && el("p", { class: "secondary" }, t("link_opens")),
form([lifetime.element, use.element], t("make_link"), async () => {
const most = Number(use.input.value);
const reply = await ask({
ttl_ms: Number(lifetime.input.value),
...(most === 0 ? {} : { uses: most }),
});
if (reply.errno !== ERRNO.OK) return failureOf(reply);
if (group.join === "closed") {
model.people.changeGroup(group.id, { join: "link" });
model.peopleChanged();
}
void model.look(conversationOfGroup(group.id));
show(textOf(reply.frame.link), integerOf(reply.frame.expires) ?? 0);
return "";
}),
);
return [body];
});
}
function editGroupDialog(model , group ) {
openDialog(t("edit_group"), ({ close }) => {
const name = field(t("group_name"), { maxlength: 50, value: group.name, autocomplete: "off" });
const about = field(t("group_about"), { maxlength: 200, value: group.description, autocomplete: "off" });
const join = joinChoice(group.join || "closed");
return [form([name.element, about.element, join.element], t("save"), async () => {
const changes = {
...(name.input.value.trim() === group.name ? {} : { groupname: name.input.value.trim() }),
...(about.input.value.trim() === group.description ? {} : { groupdesc: about.input.value.trim() }),
...(join.input.value === group.join ? {} : { join: join.input.value }),
};
if (Object.keys(changes).length === 0) {
close();
return "";
}
if (changes.groupname === "") return t("need_name");
const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op: "edit", groupid: group.id, ...changes });
if (reply.errno !== ERRNO.OK) return failureOf(reply);
model.people.learnGroup({ id: group.id, ...changes });
model.peopleChanged();
void model.look(conversationOfGroup(group.id));
close();
return "";
})];
});
}
function muteChoices(model , conversation ) {
const set = (until ) => async () => {
const reply = await model.ask({
msgid: MSGID.SETTING_MSG,
conversation: conversation.id,
muted_until: until === 0 ? null : until,
});
if (reply.errno === ERRNO.OK) model.setMuted(conversation, until);
else toast(failureOf(reply));
};
if (conversation.head.mutedUntil > model.now()) return [{ label: t("unmute"), onChoose: set(0) }];
return [
{ label: t("mute_hour"), onChoose: set(model.now() + HOUR_MS) },
{ label: t("mute_day"), onChoose: set(model.now() + 24 * HOUR_MS) },
{ label: t("mute_always"), onChoose: set(model.now() + ALWAYS_MS) },
];
}
return { newGroupDialog, joinDialog, inviteDialog, linkDialog, editGroupDialog, muteChoices };
})();
// lib/web/app/details_view.ts
const $m46 = (() => {
const { conversationOfGroup, ERRNO, MSGID } = $m1;
const { avatar } = $m40;
const { editGroupDialog, inviteDialog, linkDialog, muteChoices } = $m45;
const { el, icon, replace } = $m3;
const { askFirst, openDialog, openMenu, toast } = $m42;
const { ICONS } = $m41;
const { failureOf } = $m11;
const { isolate, plural, shortTime, t } = $m10;
const { excerpt, nameOf, roleText, sublineOf, titleOf } = $m43;
const MEMBERS_SHOWN = 50;
class DetailsView {
element ;
#model ;
#owner ;
#body = el("div", { class: "details-body" });
#areAllShown = false;
#id = "";
constructor(model , owner ) {
this.#model = model;
this.#owner = owner;
this.element = el(
"aside",
{ class: "details", "aria-label": t("details") },
el(
"div",
{ class: "details-head" },
el("h2", {}, t("details")),
el(
"button",
{ type: "button", class: "icon-button", "aria-label": t("close"), onclick: () => owner.onClose() },
icon(ICONS.close),
),
),
this.#body,
);
}
update() {
const conversation = this.#model.current;
if (conversation === undefined || this.element.hidden) return;
if (conversation.id !== this.#id) this.#areAllShown = false;
this.#id = conversation.id;
const focused = document.activeElement?.closest("[data-part]")?.getAttribute("data-part");
const { groupId, peerId } = conversation;
const group = groupId === undefined ? undefined : this.#model.people.groups.get(groupId);
replace(
this.#body,
this.#who(conversation, group),
this.#actions(conversation, group),
this.#pins(conversation),
group !== undefined && !group.isOver && this.#members(group),
groupId === undefined && peerId !== this.#model.me && this.#person(peerId ?? 0),
);
if (focused) this.#body.querySelector (`[data-part="${CSS.escape(focused)}"]`)?.focus();
}
#who(conversation , group ) {
const title = titleOf(this.#model, conversation);
const id = conversation.groupId ?? conversation.peerId ?? 0;
const about = group === undefined ? sublineOf(this.#model, conversation) : group.description;
return el(
"div",
{ class: "who" },
avatar({ id, name: title, isGroup: conversation.groupId !== undefined, size: "large" }),
el("bdi", { class: "name" }, title),
about !== "" && el("p", { class: "secondary", dir: "auto" }, about),
);
}
#actions(conversation , group ) {
const model = this.#model;
const line = (label , path , act ) => {
const element = el(
"button",
{ type: "button", class: "line", "data-part": label, onclick: () => act(element) },
icon(path),
el("div", {}, label),
);
return element;
};
const isMuted = conversation.head.mutedUntil > model.now();
const isAdmin = group?.role === "creator" || group?.role === "admin";
const canManage = group !== undefined && !group.isOver && model.has(MSGID.GROUP_MSG);
const canAdd = canManage && (isAdmin || group.join === "open");
return el(
"section",
{ class: "lines" },
model.has(MSGID.SETTING_MSG) && line(
isMuted ? t("unmute") : t("mute"),
ICONS.bellOff,
(anchor) => openMenu(anchor, muteChoices(model, conversation)),
),
canAdd && line(t("add_people"), ICONS.plus, () => inviteDialog(model, group)),
canManage && isAdmin && line(t("invite_link"), ICONS.link, () => linkDialog(model, group)),
canManage && isAdmin && line(t("edit_group"), ICONS.edit, () => editGroupDialog(model, group)),
canManage && line(t("leave"), ICONS.leave, () => this.#leave(group)),
canManage && group.role === "creator" &&
line(t("dissolve"), ICONS.trash, () => this.#end(group, "dissolve", "dissolve_ask")),
);
}
#leave(group ) {
const name = isolate(group.name);
if (group.role !== "creator" || group.count <= 1) this.#end(group, "leave", "leave_ask");
else openDialog(t("leave"), () => [el("p", {}, t("leave_owner", { group: name }))]);
}
#end(group , op , question ) {
askFirst(t(op), t(question, { group: isolate(group.name) }), t(op), async () => {
const reply = await this.#model.ask({ msgid: MSGID.GROUP_MSG, op, groupid: group.id });
if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
else {
this.#model.people.changeGroup(group.id, { isOver: true });
this.#model.peopleChanged();
void this.#model.look(conversationOfGroup(group.id));
}
});
}
#pins(conversation ) {
const pins = conversation.entries.filter(({ isPinned, text }) => isPinned === true && text !== null);
if (pins.length === 0) return false;
return el(
"section",
{},
el("h3", {}, t("pinned")),
...pins.reverse().map((entry) =>
el(
"button",
{ type: "button", class: "pin", onclick: () => this.#owner.onJump(entry.seq) },
el(
"div",
{ class: "item-line" },
el("bdi", { class: "item-name cut" }, nameOf(this.#model, entry.sender, entry.name)),
el("span", { class: "item-time" }, shortTime(entry.at, this.#model.now())),
),
el("div", { class: "secondary cut", dir: "auto" }, excerpt(entry.text ?? "")),
)
),
);
}
#members(group ) {
const { members } = group;
const title = el("h3", {}, plural("members", Math.max(1, group.count)));
if (members === undefined) return el("section", {}, title);
const model = this.#model;
const rank = ({ role } ) => role === "creator" ? 0 : role === "admin" ? 1 : 2;
const absence = ({ id } ) => id === model.me || model.people.user(id).state === "online" ? 0 : 1;
const sorted = [...members].sort((a, b) =>
rank(a) - rank(b) || absence(a) - absence(b) || nameOf(model, a.id).localeCompare(nameOf(model, b.id))
);
const shown = this.#areAllShown ? sorted : sorted.slice(0, MEMBERS_SHOWN);
return el(
"section",
{},
title,
...shown.map((member) => this.#member(group, member)),
shown.length < sorted.length && el("button", {
type: "button",
class: "line link",
onclick: () => {
this.#areAllShown = true;
this.update();
},
}, t("show_all")),
);
}
#member(group , member ) {
const model = this.#model;
const name = nameOf(model, member.id);
const { state } = model.people.user(member.id);
const element = el(
"button",
{
type: "button",
class: "line",
"data-part": `m${member.id}`,
onclick: () => openMenu(element, this.#memberChoices(group, member)),
},
avatar({ id: member.id, name, state: member.id === model.me ? "online" : state }),
el(
"div",
{},
el("bdi", { class: "cut" }, member.id === model.me ? `${name} (${t("you")})` : name),
member.role !== "normal" && el("div", { class: "role" }, roleText(member.role)),
),
);
return element;
}
#memberChoices(group , { id, role } ) {
const model = this.#model;
const name = isolate(nameOf(model, id));
const ask = (op , more = {}) => async () => {
const reply = await model.ask({ msgid: MSGID.GROUP_MSG, op, groupid: group.id, id, ...more });
if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
else await model.reloadMembers(group.id);
};
const choices = [{
label: t("send_message"),
onChoose: () => this.#owner.onOpen(model.withUser(id)),
}];
if (id === model.me || !model.has(MSGID.GROUP_MSG)) return choices;
const isCreator = group.role === "creator";
if (isCreator && role === "normal") {
choices.push({ label: t("make_admin"), onChoose: ask("role", { role: "admin" }) });
}
if (isCreator && role === "admin") {
choices.push({ label: t("make_normal"), onChoose: ask("role", { role: "normal" }) });
}
if (isCreator) {
choices.push({
label: t("hand_over"),
isDangerous: true,
onChoose: () =>
askFirst(t("hand_over"), t("hand_over_ask", { name }), t("hand_over"), ask("transfer")),
});
}
if (isCreator || (group.role === "admin" && role === "normal")) {
choices.push({
label: t("remove"),
isDangerous: true,
onChoose: () => askFirst(t("remove"), t("remove_ask", { name }), t("remove"), ask("remove")),
});
}
return choices;
}
#person(id ) {
const model = this.#model;
const { isFriend, isBlocked } = model.people.user(id);
const name = isolate(nameOf(model, id));
const change = async (op , after ) => {
const reply = op === "add"
? await model.ask({ msgid: MSGID.ADD_FRIEND_MSG, friendid: id })
: await model.ask({ msgid: MSGID.CONTACT_MSG, op, id });
if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
else {
model.people.learn({ ...reply.frame, id }, after);
model.peopleChanged();
}
};
const canChange = model.has(MSGID.CONTACT_MSG);
return el(
"section",
{ class: "lines" },
!isFriend && el(
"button",
{
type: "button",
class: "line",
"data-part": "friend",
onclick: () => void change("add", { isFriend: true }),
},
icon(ICONS.plus),
el("div", {}, t("add_friend")),
),
isFriend && canChange && el(
"button",
{
type: "button",
class: "line",
"data-part": "friend",
onclick: () => void change("remove", { isFriend: false }),
},
icon(ICONS.close),
el("div", {}, t("remove_friend")),
),
canChange && el(
"button",
{
type: "button",
class: "line",
"data-part": "block",
onclick: () =>
isBlocked ? void change("unblock", { isBlocked: false }) : askFirst(
t("block"),
t("block_ask", { name }),
t("block"),
() => void change("block", { isBlocked: true, state: "" }),
),
},
icon(ICONS.alert),
el("div", {}, isBlocked ? t("unblock") : t("block")),
),
);
}
}
return { DetailsView };
})();
// lib/web/app/jump_dialog.ts
const $m47 = (() => {
const { ERRNO, MSGID } = $m1;
const { integerOf, listOf, textOf } = $m2;
const { isJsonObject } = $m1;
const { avatar } = $m40;
const { el, icon, replace } = $m3;
const { openDialog } = $m42;
const { ICONS } = $m41;
const { findPeople } = $m44;
const { shortTime, t } = $m10;
const { excerpt, nameOf, titleOf } = $m43;
const WAIT_MS = 120;
const MOST = 8;
function openJump(
model ,
owner ,
typed = "",
) {
openDialog(t("jump_title"), ({ close }) => {
let targets = [];
let chosen = 0;
let timer ;
const lines = el("div", {
class: "lines",
role: "listbox",
id: "jump-lines",
"aria-label": t("jump_title"),
});
const input = el("input", {
class: "input",
type: "search",
role: "combobox",
"aria-controls": "jump-lines",
"aria-expanded": "true",
"aria-label": t("jump_title"),
placeholder: t("jump_hint"),
value: typed,
autocomplete: "off",
autofocus: true,
oninput: () => {
show(local());
clearTimeout(timer);
timer = setTimeout(() => void more(), WAIT_MS);
},
onkeydown: (event ) => {
const count = Math.max(1, targets.length);
if (event.key === "ArrowDown") chosen = (chosen + 1) % count;
else if (event.key === "ArrowUp") chosen = (chosen + count - 1) % count;
else if (event.key === "Enter") {
const target = targets[chosen];
close();
target?.go();
} else return;
event.preventDefault();
mark();
},
});
const mark = () => {
[...lines.children].forEach((line, index) => {
line.setAttribute("aria-selected", String(index === chosen));
if (index === chosen) line.scrollIntoView({ block: "nearest" });
});
input.setAttribute("aria-activedescendant", `jump-${chosen}`);
};
const local = () => {
const wanted = input.value.trim().toLocaleLowerCase();
const conversations = model.conversations
.filter((conversation) => titleOf(model, conversation).toLocaleLowerCase().includes(wanted))
.sort((a, b) => Number(b.head.unread > 0) - Number(a.head.unread > 0))
.slice(0, MOST).map((conversation) => {
const { groupId, peerId, id, head } = conversation;
const title = titleOf(model, conversation);
return {
sign: avatar({ id: groupId ?? peerId ?? 0, name: title, isGroup: groupId !== undefined }),
title,
about: head.last === undefined ? "" : excerpt(head.last.text),
go: () => owner.onOpen(id),
};
});
const commands = owner.commands.filter(({ label }) => label.toLocaleLowerCase().includes(wanted))
.map(({ label, key, run }) => ({
sign: el("span", { class: "sign" }, icon(ICONS.command)),
title: label,
about: key ?? "",
go: run,
}));
return [...conversations, ...commands];
};
const more = async () => {
const text = input.value.trim();
if (text === "") return;
const [found, hits] = await Promise.all([findPeople(model, text), search(text)]);
if (input.value.trim() !== text || !lines.isConnected) return;
const here = local();
const people = found.people.filter(({ name }) => !here.some(({ title }) => title === name)).map((
{ id, name, state, status },
) => ({
sign: avatar({ id, name, state }),
title: name,
about: status,
go: () => owner.onOpen(model.withUser(id)),
}));
show([...here, ...people.slice(0, MOST), ...hits]);
};
const search = async (q ) => {
if (!model.has(MSGID.SEARCH_MSG)) return [];
const { errno, frame } = await model.ask({ msgid: MSGID.SEARCH_MSG, q, limit: 20 });
if (errno !== ERRNO.OK) return [];
return listOf(frame.hits).filter(isJsonObject).map((hit) => {
const id = integerOf(hit.id, 1) ?? 0;
const name = nameOf(model, id, textOf(hit.name));
const conversation = model.conversation(textOf(hit.conversation));
const where = conversation?.groupId === undefined ? "" : ` · ${titleOf(model, conversation)}`;
return {
sign: avatar({ id, name }),
title: `${name}${where} · ${shortTime(integerOf(hit.at) ?? 0, model.now())}`,
about: textOf(hit.snippet),
go: () => owner.onOpen(textOf(hit.conversation), integerOf(hit.seq, 1)),
};
});
};
const show = (found ) => {
targets = found;
chosen = Math.min(chosen, Math.max(0, found.length - 1));
replace(
lines,
...found.map(({ sign, title, about, go }, index) =>
el(
"div",
{
class: "line",
role: "option",
id: `jump-${index}`,
onclick: () => {
close();
go();
},
},
sign,
el(
"div",
{},
el("bdi", { class: "cut" }, title),
el("div", { class: "secondary cut", dir: "auto" }, about),
),
)
),
found.length === 0 && el("p", { class: "secondary" }, t("nobody_found")),
);
mark();
};
show(local());
if (typed !== "") void more();
return [input, lines];
}, "jump");
}
return { openJump };
})();
// lib/web/app/markup.ts
const $m48 = (() => {
const FENCE = /```(?=([^\S\n]*))\1(?:[\w+#-]*\n)?([^]*?)\n?```/g;
const CODE = /`([^`\n]+)`/g;
const LINK = /\bhttps?:\/\/[^\s<>"'`\u2018-\u201f\u3000-\u303f\uff00-\uff0f]+/gi;
const TRAILING = ".,:;!?*_~";
const EMOJI_ONLY =
/^[\p{Emoji_Presentation}\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\ufe0f\u{e0020}-\u{e007f}\s]+$/u;
const EMOJI_MOST = 6;
const EMOJI_MOST_UNITS = 150;
function isEmojiOnly(text ) {
if (text.length > EMOJI_MOST_UNITS || !EMOJI_ONLY.test(text)) return false;
const count = [...new Intl.Segmenter().segment(text)].filter(({ segment }) => segment.trim() !== "").length;
return count > 0 && count <= EMOJI_MOST;
}
function parse(text , mentioned = []) {
const names = mentioned.filter(({ name }, index) =>
name !== "" && mentioned.findIndex((other) => other.name === name) === index
).sort((a, b) => b.name.length - a.name.length);
return split(
text,
FENCE,
([, , code = ""]) => [{ kind: "block", text: code }],
(prose) =>
split(
prose,
CODE,
([, code = ""]) => [{ kind: "code", text: code }],
(words) => split(words, LINK, ([url]) => link(url), (rest) => mentions(rest, names)),
),
);
}
function split(
text ,
pattern ,
read ,
rest ,
) {
const pieces = [];
let at = 0;
for (const match of text.matchAll(pattern)) {
if (match.index > at) pieces.push(...rest(text.slice(at, match.index)));
pieces.push(...read(match));
at = match.index + match[0].length;
}
if (at < text.length) pieces.push(...rest(text.slice(at)));
return pieces;
}
function link(match ) {
const url = withoutTrailing(match);
const rest = match.slice(url.length);
const parsed = URL.parse(url);
if (parsed === null || parsed.username !== "" || parsed.host === "") return [{ kind: "text", text: match }];
const piece = { kind: "link", text: url, href: parsed.href };
return rest === "" ? [piece] : [piece, { kind: "text", text: rest }];
}
function withoutTrailing(match ) {
let surplus = match.split(")").length - match.split("(").length;
let end = match.length;
for (; end > 0; end--) {
const last = match.charAt(end - 1);
if (last === ")" && surplus > 0) surplus--;
else if (!TRAILING.includes(last)) break;
}
return match.slice(0, end);
}
function mentions(text , names ) {
const pieces = [];
let plain = "";
for (let at = 0; at < text.length;) {
const found = text[at] === "@" ? names.find(({ name }) => text.startsWith(name, at + 1)) : undefined;
if (found === undefined) plain += text[at++] ?? "";
else {
if (plain !== "") pieces.push({ kind: "text", text: plain });
plain = "";
pieces.push({ kind: "mention", text: `@${found.name}`, isMe: found.isMe });
at += found.name.length + 1;
}
}
if (plain !== "") pieces.push({ kind: "text", text: plain });
return pieces;
}
return { isEmojiOnly, parse };
})();
// lib/web/app/rows.ts
const $m49 = (() => {
const { avatar } = $m40;
const { el, icon } = $m3;
const { ICONS } = $m41;
const { isEmojiOnly, parse } = $m48;
const { failureOf } = $m11;
const { bareTime, day, fullTime, isolate, plural, t, time } = $m10;
const { excerpt, nameOf, systemText, titleOf } = $m43;
function signatureOf(item , model , conversation ) {
const name = (id ) => model.nameOf(id);
switch (item.kind) {
case "top":
return [
item.isComplete,
titleOf(model, conversation),
aboutOf(model, conversation),
model.isLoading(conversation),
];
case "day":
return [day(item.at, model.now())];
case "new":
return [];
case "system":
return [item.entry, systemText(model, item.entry)];
case "entry": {
const { entry } = item;
const replied = entry.reply === undefined ? undefined : conversation.find(entry.reply);
const tick = entry.sender === model.me ? tickOf(entry.seq, conversation) : undefined;
return [entry, item.isFirst, name(entry.sender), replied, tick?.kind, tick?.count];
}
case "unsent":
return [item.unsent, item.isFirst];
}
}
function drawRow(
item ,
model ,
conversation ,
actions ,
) {
switch (item.kind) {
case "top":
return drawTop(item.isComplete, model, conversation);
case "day":
return el("div", { class: "day", role: "separator" }, day(item.at, model.now()));
case "new":
return el("div", { class: "new-line", role: "separator" }, t("new"));
case "system":
return el("div", { class: "system", title: fullTime(item.entry.at) }, systemText(model, item.entry));
case "entry":
return drawEntry(item.entry, item.isFirst, model, conversation, actions);
case "unsent":
return drawUnsent(item.unsent, item.isFirst, model, conversation, actions);
}
}
function drawTop(isComplete , model , conversation ) {
if (!isComplete) {
return el("div", { class: "beginning secondary" }, model.isLoading(conversation) ? t("loading") : "");
}
const { groupId, peerId } = conversation;
const title = titleOf(model, conversation);
const sign = avatar({
id: groupId ?? peerId ?? 0,
name: title,
isGroup: groupId !== undefined,
size: "large",
});
return el(
"div",
{ class: "beginning" },
sign,
el("h2", {}, el("bdi", {}, title)),
el("p", { class: "secondary", dir: "auto" }, aboutOf(model, conversation)),
);
}
function aboutOf(model , conversation ) {
const { groupId, peerId } = conversation;
if (groupId === undefined && peerId === model.me) return t("beginning_notes");
const name = isolate(titleOf(model, conversation));
if (groupId === undefined) return t("beginning_one", { name });
return model.people.groups.get(groupId)?.description || t("beginning_group", { name });
}
function drawEntry(
entry ,
isFirst ,
model ,
conversation ,
actions ,
) {
const isMine = entry.sender === model.me;
const isForMe = !isMine && conversation.isForMe(entry);
const row = el("article", {
class: `row ${isFirst ? "first" : ""} ${isForMe ? "mentions-me" : ""}`,
tabindex: "-1",
"data-seq": entry.seq,
});
const body = el("div");
if (isFirst) {
const name = nameOf(model, entry.sender, entry.name);
row.append(avatar({ id: entry.sender, name }));
body.append(head(name, entry.at));
} else row.append(clock(entry.at, bareTime, "row-time"));
if (entry.isPinned) body.append(el("div", { class: "pinned-mark" }, icon(ICONS.pin), t("pinned")));
if (entry.reply !== undefined) body.append(drawQuote(entry.reply, model, conversation, actions));
if (entry.text === null) {
body.append(el("div", { class: "recalled" }, isMine ? t("recalled_own") : t("recalled")));
} else {
const text = drawText(entry.text, entry, model);
if (entry.edited !== undefined) {
text.append(
" ",
el("button", {
type: "button",
class: "edited",
title: fullTime(entry.edited),
onclick: () => actions.onVersions(entry),
}, t("edited")),
);
}
if (isMine) text.append(...drawTick(entry, conversation, actions));
body.append(text);
const reactions = drawReactions(entry, model, actions);
if (reactions !== undefined) body.append(reactions);
}
row.append(body);
return row;
}
function drawUnsent(
unsent ,
isFirst ,
model ,
conversation ,
actions ,
) {
const row = el("article", {
class: `row ${isFirst ? "first" : ""}`,
tabindex: "-1",
"data-cid": unsent.cid,
});
const body = el("div");
if (isFirst) {
const name = nameOf(model, model.me);
row.append(avatar({ id: model.me, name }));
body.append(head(name, unsent.at));
} else row.append(clock(unsent.at, bareTime, "row-time"));
if (unsent.fields?.reply !== undefined) {
body.append(drawQuote(unsent.fields.reply, model, conversation, actions));
}
const text = drawText(unsent.text, unsent.fields ?? {}, model);
if (unsent.failure === undefined) text.append(tick("clock", "clock", t("tick_clock")));
body.append(text);
if (unsent.failure !== undefined) {
body.append(
el(
"div",
{ class: "failure", role: "alert" },
el("span", {}, t("not_sent", { why: failureOf(unsent.failure) })),
el("button", { type: "button", onclick: () => model.sendAgain(unsent.cid) }, t("try_again")),
el("button", {
type: "button",
onclick: () => void navigator.clipboard?.writeText(unsent.text),
}, t("copy")),
el("button", { type: "button", onclick: () => model.discard(unsent.cid) }, t("discard")),
),
);
}
row.append(body);
return row;
}
function head(name , at ) {
return el("div", { class: "row-head" }, el("bdi", { class: "name" }, name), clock(at, time));
}
function clock(at , say , className = "") {
return el(
"time",
{ class: className, datetime: new Date(at).toISOString(), title: fullTime(at) },
say(at),
);
}
function drawText(text , { mentions } , model ) {
const mentioned = mentions === "all"
? [{ name: "all", isMe: true }, { name: t("all"), isMe: true }]
: (mentions ?? []).map((id) => ({ name: model.nameOf(id), isMe: id === model.me }));
const className = isEmojiOnly(text) ? "text emoji-only" : "text";
return el("div", { class: className, dir: "auto" }, ...parse(text, mentioned).map(drawPiece));
}
function drawPiece(piece ) {
const { kind, text } = piece;
switch (kind) {
case "text":
return new Text(text);
case "block":
return el("pre", {}, text);
case "code":
return el("code", {}, text);
case "link":
return el("a", { href: piece.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, text);
case "mention":
return el("span", { class: piece.isMe ? "mention me" : "mention" }, el("bdi", {}, text));
}
}
function drawQuote(seq , model , conversation , actions ) {
const entry = conversation.find(seq);
const name = entry === undefined ? "" : nameOf(model, entry.sender, entry.name);
const text = entry === undefined ? t("quote_older") : entry.text ?? t("recalled");
return el(
"button",
{ type: "button", class: "quote", onclick: () => actions.onJump(seq) },
name !== "" && el("b", { class: "cut" }, el("bdi", {}, name)),
el("span", { class: "cut", dir: "auto" }, excerpt(text)),
);
}
function tickOf(
seq ,
conversation ,
) {
const read = conversation.countPeers("read", seq);
if (read > 0) return { kind: "read", count: read };
return { kind: conversation.countPeers("delivered", seq) > 0 ? "delivered" : "stored", count: 0 };
}
function tickSign(kind ) {
if (kind === "stored") return tick("check", "", t("tick_stored"));
return tick(
"checks",
kind === "read" ? "read" : "",
kind === "read" ? t("tick_read") : t("tick_delivered"),
);
}
function drawTick(entry , conversation , actions ) {
if (conversation.groupId === undefined && conversation.peerId === entry.sender) return [];
const { kind, count } = tickOf(entry.seq, conversation);
const sign = tickSign(kind);
if (conversation.groupId === undefined || count === 0) return [sign];
const readers = el("button", {
type: "button",
class: "read-by",
onclick: (event ) => actions.onReaders(entry, event.currentTarget ),
}, plural("read_by", count));
return [sign, readers];
}
function tick(name , className , text ) {
return el(
"span",
{ class: `tick ${className}`, role: "img", "aria-label": text, title: text },
icon(ICONS[name]),
);
}
function drawReactions(entry , model , actions ) {
const all = Object.entries(entry.reactions ?? {});
if (all.length === 0) return undefined;
return el(
"div",
{ class: "reactions" },
...all.map(([emoji, ids]) => {
const count = Math.max(entry.counts?.[emoji] ?? 0, ids.length);
const names = ids.slice(0, 20).map((id) => id === model.me ? t("you") : nameOf(model, id)).join(", ");
return el(
"button",
{
type: "button",
class: "reaction",
"aria-pressed": String(ids.includes(model.me)),
"aria-label": `${emoji} ${names}`,
title: names,
onclick: () => actions.onReact(entry, emoji),
},
emoji,
el("span", {}, String(count)),
);
}),
);
}
return { signatureOf, drawRow, tickOf, tickSign };
})();
// lib/web/app/list_view.ts
const $m50 = (() => {
const { avatar } = $m40;
const { el, icon, replace } = $m3;
const { ICONS } = $m41;
const { tickOf, tickSign } = $m49;
const { isolate, number, plural, shortTime, t } = $m10;
const { excerpt, nameOf, systemText, titleOf, typingOf } = $m43;
const FIRST_ROWS = 40;
const REST_DELAY_MS = 250;
class ListView {
element ;
#model ;
#owner ;
#filter ;
#list = el("nav", { class: "list" });
#me = el("button", { type: "button", class: "self", "aria-haspopup": "menu" });
#rows = new Map ();
#most = FIRST_ROWS;
#restTimer ;
constructor(model , owner ) {
this.#model = model;
this.#owner = owner;
this.#me.addEventListener("click", () => owner.onMe(this.#me));
this.#list.ariaLabel = t("conversations");
this.#filter = el("input", {
class: "input",
type: "search",
placeholder: t("filter"),
"aria-label": t("filter"),
autocomplete: "off",
oninput: () => this.update(),
onkeydown: (event ) => this.#key(event),
});
const add = el(
"button",
{
type: "button",
class: "icon-button",
"aria-label": t("new_chat"),
title: t("new_chat"),
"aria-haspopup": "menu",
onclick: () => owner.onNew(add),
},
icon(ICONS.plus),
);
this.element = el(
"div",
{ class: "side" },
el("div", { class: "side-head" }, this.#me, add),
el("div", { class: "filter" }, icon(ICONS.search), this.#filter),
this.#list,
);
this.#list.addEventListener("scroll", () => {
const { scrollTop, clientHeight, scrollHeight } = this.#list;
if (scrollTop + 2 * clientHeight > scrollHeight) void model.loadConversations();
}, { passive: true });
this.#list.addEventListener("keydown", (event) => this.#listKey(event));
}
get shown() {
const wanted = this.#filter.value.trim().toLocaleLowerCase();
const all = this.#model.conversations;
return wanted === ""
? all
: all.filter((conversation) => titleOf(this.#model, conversation).toLocaleLowerCase().includes(wanted));
}
update() {
const { account } = this.#model;
if (account === undefined) return;
replace(
this.#me,
avatar({
id: account.id,
name: account.name,
state: this.#model.isOnline ? "online" : "offline",
size: "medium",
}),
el("bdi", { class: "cut" }, account.name),
);
const all = this.shown;
const shown = all.slice(0, this.#most);
if (shown.length < all.length) this.#drawRest();
let place = this.#list.firstChild;
const used = new Set ();
for (const conversation of shown) {
used.add(conversation.id);
const row = this.#row(conversation);
if (row === place) place = place.nextSibling;
else this.#list.insertBefore(row, place);
}
while (place !== null) {
const next = place.nextSibling;
place.remove();
place = next;
}
for (const id of this.#rows.keys()) if (!used.has(id)) this.#rows.delete(id);
if (shown.length === 0) this.#list.append(this.#empty());
}
#drawRest() {
this.#restTimer ??= setTimeout(() => {
this.#most = Infinity;
this.update();
}, REST_DELAY_MS);
}
focus() {
const open = this.#list.querySelector ('[aria-current="true"]');
(open ?? this.#list.querySelector (".item") ?? this.#filter).focus();
}
#empty() {
const text = this.#filter.value.trim();
if (text !== "") {
return el(
"div",
{ class: "empty" },
el("p", {}, t("no_match")),
el(
"button",
{ type: "button", class: "button", onclick: () => this.#owner.onJump(text) },
t("find_person"),
),
);
}
return el(
"div",
{ class: "empty" },
el("p", {}, this.#model.link.kind === "connecting" ? t("loading") : t("no_conversations")),
);
}
#row(conversation ) {
const model = this.#model;
const { id, head, groupId, peerId } = conversation;
const title = titleOf(model, conversation);
const isCurrent = model.current?.id === id;
const isMuted = head.mutedUntil > model.now();
const state = groupId === undefined && peerId !== model.me ? model.people.user(peerId ?? 0).state : "";
const when = shortTime(head.last?.at ?? head.at, model.now());
const unsent = model.unsentFor(id);
const draft = isCurrent ? undefined : model.drafts.get(id);
const typing = typingOf(model, conversation);
const mine = head.last !== undefined && head.last.id === model.me && unsent.length === 0 &&
!(groupId === undefined && peerId === model.me);
const tick = mine && head.last !== undefined ? tickOf(head.last.seq, conversation).kind : undefined;
const preview = this.#preview(conversation);
const signature = JSON.stringify([
title,
isCurrent,
isMuted,
state,
when,
unsent,
draft,
typing,
tick,
preview,
head.unread,
head.mentions,
]);
const known = this.#rows.get(id);
if (known?.signature === signature) return known.element;
const count = head.unread >= 100 ? "99+" : number(head.unread);
const failed = unsent.filter(({ failure }) => failure !== undefined).length;
const text = failed > 0
? el("span", { class: "failed" }, plural("failed", failed))
: typing !== ""
? typing
: draft !== undefined
? el("span", {}, el("span", { class: "draft" }, t("draft")), ` ${draft.text}`)
: unsent.length > 0
? unsent.at(-1)?.text ?? ""
: preview;
const element = known?.element ?? el("button", {
type: "button",
"data-id": id,
onclick: () => this.#owner.onOpen(id),
});
element.className = `item ${head.unread > 0 ? "unread" : ""}`;
element.setAttribute("aria-current", String(isCurrent));
replace(
element,
avatar({ id: groupId ?? peerId ?? 0, name: title, isGroup: groupId !== undefined, state }),
el(
"span",
{ class: "item-line" },
el("bdi", { class: "item-name cut" }, title),
isMuted && icon(ICONS.bellOff, "muted"),
tick !== undefined && tickSign(tick),
el("span", { class: "item-time" }, when),
),
el(
"span",
{ class: "item-line" },
el("span", { class: "item-text cut", dir: "auto" }, text),
head.mentions > 0 &&
el("span", { class: "badge", "aria-label": plural("mentions", head.mentions) }, "@"),
head.unread > 0 &&
el("span", {
class: `badge ${isMuted ? "quiet" : ""}`,
"aria-label": plural("unread", head.unread),
}, count),
),
);
this.#rows.set(id, { element, signature });
return element;
}
#preview({ head: { last }, groupId, entries } ) {
const newest = entries.at(-1);
if (last === undefined) return newest?.kind === "system" ? systemText(this.#model, newest) : "";
const text = last.text === "" ? t("recalled") : excerpt(last.text);
if (last.id === this.#model.me) return groupId === undefined ? text : `${t("you")}: ${text}`;
return groupId === undefined ? text : `${isolate(nameOf(this.#model, last.id, last.name))}: ${text}`;
}
#key(event ) {
if (event.key === "Escape" && this.#filter.value !== "") {
this.#filter.value = "";
this.update();
event.stopPropagation();
} else if (event.key === "ArrowDown") {
event.preventDefault();
this.#list.querySelector (".item")?.focus();
} else if (event.key === "Enter") {
const first = this.shown[0];
if (first === undefined) return;
this.#filter.value = "";
this.#owner.onOpen(first.id);
}
}
#listKey(event ) {
if (event.altKey || event.ctrlKey || event.metaKey) return;
const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
if (step === 0) return;
event.preventDefault();
const items = [...this.#list.querySelectorAll (".item")];
const index = items.indexOf(document.activeElement ) + step;
if (index < 0) this.#filter.focus();
else items[index]?.focus();
}
}
return { ListView };
})();
// lib/web/app/notices.ts
const $m51 = (() => {
const { isMentioned } = $m19;
const { prefs, setPref } = $m5;
const { t } = $m10;
const { excerpt, nameOf, titleOf } = $m43;
class Notices {
#model ;
#onOpen ;
isAskingDue = false;
constructor(model , onOpen ) {
this.#model = model;
this.#onOpen = onOpen;
model.onMessage = (message, conversation) => this.#tell(message, conversation);
}
update() {
const now = this.#model.now();
const unread = this.#model.account === undefined ? 0 : this.#model.conversations
.filter(({ head }) => head.mutedUntil <= now)
.reduce((sum, { head }) => sum + head.unread, 0);
const { current } = this.#model;
const what = current === undefined ? t("app") : `${titleOf(this.#model, current)} – ${t("app")}`;
document.title = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ${what}` : what;
const icon = document.querySelector ('link[rel="icon"]');
if (icon === null) return;
const [plain, dotted] = [icon.dataset.plain ?? icon.href, icon.dataset.unread ?? icon.href];
icon.dataset.plain = plain;
const wanted = unread > 0 ? dotted : plain;
if (icon.href !== wanted) icon.href = wanted;
}
settle(notify ) {
setPref("notify", notify);
setPref("isNotifySettled", true);
this.isAskingDue = false;
}
#tell(message , conversation ) {
const isSeen = !document.hidden && document.hasFocus();
const isMuted = conversation.head.mutedUntil > this.#model.now();
const isForMe = isMentioned(message, this.#model.me);
if (isSeen || (isMuted && !isForMe) || typeof Notification === "undefined") return;
if (prefs.notify === "off") {
if (!prefs.isNotifySettled && Notification.permission === "default") {
this.isAskingDue = true;
this.#model.changed("link");
}
return;
}
if (Notification.permission !== "granted") return;
const name = nameOf(this.#model, message.sender, message.name);
const where = conversation.groupId === undefined
? name
: `${name} · ${titleOf(this.#model, conversation)}`;
const body = prefs.notify === "text" ? excerpt(message.text ?? "") : t("new_message");
const notification = createNotification(where, { body, tag: conversation.id });
if (notification === undefined) return;
notification.onclick = () => {
globalThis.focus();
notification.close();
this.#onOpen(conversation.id);
};
}
}
function createNotification(title , options ) {
try {
return new Notification(title, options);
} catch {
return undefined;
}
}
return { Notices };
})();
// lib/web/app/settings_dialogs.ts
const $m52 = (() => {
const { integerOf, listOf, textOf } = $m2;
const { ERRNO, isJsonObject, MSGID } = $m1;
const { el, replace } = $m3;
const { askFirst, openDialog, toast } = $m42;
const { choice, field, form } = $m4;
const { applyTheme, prefs, setPref } = $m5;
const { failureOf } = $m11;
const { isolate, LANGUAGES, plural, shortTime, t } = $m10;
function profileDialog(model ) {
openDialog(t("profile"), ({ close }) => {
const me = model.people.user(model.me);
const name = field(t("name"), { value: me.name, maxlength: 50, autocomplete: "username" });
const status = field(t("status"), { value: me.status, maxlength: 100, autocomplete: "off" });
const old = field(t("old_password"), { type: "password", autocomplete: "current-password" });
const fresh = field(t("new_password"), { type: "password", autocomplete: "new-password" });
const save = async (asked ) => {
const reply = await asked;
if (reply.errno !== ERRNO.OK) return failureOf(reply);
toast(t("saved"));
close();
return "";
};
return [
form([name.element, status.element], t("save"), async () => {
const change = {
...(name.input.value.trim() === me.name ? {} : { name: name.input.value.trim() }),
...(status.input.value.trim() === me.status ? {} : { status: status.input.value.trim() }),
};
if (Object.keys(change).length === 0) {
close();
return "";
}
const problem = await save(model.ask({ msgid: MSGID.PROFILE_MSG, ...change }));
if (problem === "") {
model.people.learn({ id: model.me, ...change });
model.peopleChanged();
}
return problem;
}),
el("h3", {}, t("change_password")),
el("p", { class: "secondary" }, t("password_note")),
form(
[old.element, fresh.element],
t("change_password"),
() => save(model.changePassword(old.input.value, fresh.input.value)),
),
...(model.has(MSGID.ACCOUNT_MSG)
? [
el("h3", {}, t("delete_account")),
el("p", { class: "secondary" }, t("delete_about")),
el("button", {
type: "button",
class: "button danger",
onclick: () => {
close();
deleteDialog(model);
},
}, t("delete_account")),
]
: []),
];
});
}
function deleteDialog(model ) {
openDialog(t("delete_account"), () => {
const { name } = model.people.user(model.me);
const typed = field(t("delete_name", { name: isolate(name) }), {
autocomplete: "off",
autocapitalize: "off",
spellcheck: "false",
});
const password = field(t("password"), { type: "password", autocomplete: "current-password" });
return [
el(
"ul",
{ class: "fates" },
...(["delete_devices", "delete_messages", "delete_groups", "delete_browser"] )
.map((key) => el("li", {}, t(key, { name: t("deleted_user") }))),
model.waiting > 0 && el("li", {}, plural("log_out_waiting", model.waiting)),
),
form(
[typed.element, password.element],
t("delete_account"),
async () => {
if (typed.input.value.trim() !== name) return t("delete_name_wrong");
if (password.input.value === "") return t("need_password");
const reply = await model.deleteAccount(password.input.value);
return reply.errno === ERRNO.OK ? "" : failureOf(reply);
},
"danger",
),
];
});
}
function devicesDialog(model ) {
openDialog(t("devices"), () => {
const lines = el("div", { class: "lines" }, el("p", { class: "secondary" }, t("loading")));
const load = async () => {
const reply = await model.ask({ msgid: MSGID.DEVICE_MSG, op: "list" });
if (reply.errno !== ERRNO.OK) {
replace(lines, el("p", { class: "problem" }, failureOf(reply)));
return;
}
replace(lines, ...listOf(reply.frame.devices).filter(isJsonObject).map(draw));
};
const draw = (device ) => {
const name = textOf(device.device);
const isCurrent = device.current === true;
const about = isCurrent
? t("this_device")
: device.online === true
? t("online")
: t("last_seen", { when: shortTime(integerOf(device.seen) ?? 0, model.now()) });
const revoke = async () => {
const reply = await model.ask({ msgid: MSGID.DEVICE_MSG, op: "revoke", device_id: device.device_id });
if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
await load();
};
return el(
"div",
{ class: "line" },
el("div", {}, el("bdi", { class: "cut" }, name), el("div", { class: "secondary" }, about)),
!isCurrent && el("button", {
type: "button",
class: "button danger",
onclick: () =>
askFirst(
t("remove_device"),
t("remove_device_ask", { name: isolate(name) }),
t("remove_device"),
() => void revoke(),
),
}, t("remove_device")),
);
};
void load();
return [lines];
});
}
function settingsDialog(onChange ) {
openDialog(t("settings"), () => {
const select = (
label ,
options ,
value ,
onSet ,
) => {
const { element, input } = choice(label, options, value);
input.addEventListener("change", () => onSet(input.value));
return element;
};
const themes = [["system", t("theme_system")], ["light", t("theme_light")], [
"dark",
t("theme_dark"),
]] ;
const notify = [["off", t("notify_off")], ["on", t("notify_on")], ["text", t("notify_text")]] ;
return [
select(t("theme"), themes, prefs.theme, (value) => {
setPref("theme", value );
applyTheme();
}),
select(
t("language"),
[["", t("language_browser")], ...LANGUAGES.map(({ tag, name }) => [tag, name] )],
prefs.language,
(value) => {
setPref("language", value);
onChange();
},
),
select(t("notifications"), notify, prefs.notify, async (value) => {
setPref("notify", value );
if (value === "off" || typeof Notification === "undefined") return;
if (await Notification.requestPermission() !== "granted") toast(t("notify_denied"));
}),
];
});
}
const KEYS = [
["Ctrl K", "key_jump"],
["Alt ↑ / ↓", "key_conversations"],
["Alt Shift ↓", "key_unread"],
["J / K", "key_messages"],
["R", "key_reply"],
["E", "key_react"],
["P", "key_pin"],
["Enter", "key_menu"],
["↑", "key_edit"],
["@ :", "key_complete"],
["Esc", "key_escape"],
["?", "key_help"],
] ;
function keysDialog() {
const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
openDialog(t("keys"), () => [
el(
"dl",
{ class: "keys" },
...KEYS.flatMap(([keys, text]) => [
el("dt", {}, el("kbd", {}, isMac ? keys.replace("Ctrl", "⌘").replace("Alt", "⌥") : keys)),
el("dd", {}, t(text)),
]),
),
]);
}
return { profileDialog, devicesDialog, settingsDialog, keysDialog };
})();
// lib/web/app/emoji.ts
const $m53 = (() => {
const TABLE =
`👍 thumbsup yes|👎 thumbsdown no|❤️ heart love|😂 joy laugh|🎉 tada party|😮 surprised wow|😢 sad cry|🙏 thanks please
😀 grinning|😄 smile|😁 grin|😅 sweat|🤣 rofl|😊 blush|🙂 slight|🙃 upside|😉 wink|😍 hearteyes|😘 kiss|😎 cool sunglasses
🤔 thinking|🤨 raised|😐 neutral|😑 expressionless|🙄 eyeroll|😏 smirk|😬 grimace|😴 sleeping|🤒 ill|🤯 mindblown|🥳 partying|🤩 starstruck
😕 confused|😞 disappointed|😭 sob|😡 angry|😱 scream|😳 flushed|🥺 pleading|😇 angel|🤝 handshake|👏 clap|🙌 raisedhands|👋 wave
👌 ok|✌️ victory|🤞 fingers|💪 muscle strong|👀 eyes look|🧠 brain|👉 right|👈 left|👆 up|👇 down|✋ stop|🫡 salute
✅ done check|❌ x wrong|⚠️ warning|❓ question|❗ exclamation|💯 hundred|🔥 fire|✨ sparkles|⭐ star|💡 idea bulb|🚀 rocket ship|🐛 bug
☕ coffee|🍺 beer|🍕 pizza|🎂 cake birthday|🍎 apple|🌮 taco|🎁 gift|🎵 music|📎 clip|📌 pin|📅 calendar|⏰ alarm
🌞 sun|🌧️ rain|❄️ snow|🌈 rainbow|🌍 earth|🐶 dog|🐱 cat|🦊 fox|🐢 turtle|🌱 plant|🏠 home|🚗 car
💻 computer|📱 phone|🔒 lock|🔑 key|🔧 wrench fix|🧪 test|📦 package|📝 note memo|📈 up chart|📉 fall|🗑️ trash|🔗 link`;
const EMOJI = TABLE.split(/[|\n]/).map(
(line) => {
const [emoji = "", ...names] = line.split(" ");
return { emoji, names };
},
);
function findEmoji(prefix , most ) {
const found = EMOJI.map(({ emoji, names }) => ({
emoji,
name: names.find((name) => name.startsWith(prefix)) ?? "",
}));
return found.filter(({ name }) => name !== "").slice(0, most);
}
return { EMOJI, findEmoji };
})();
// lib/web/app/emoji_menu.ts
const $m54 = (() => {
const { el } = $m3;
const { EMOJI } = $m53;
const { moveWithArrows, openFloat } = $m42;
const { t } = $m10;
const COLUMNS = 8;
function openEmoji(anchor , onChoose ) {
open(anchor, EMOJI, onChoose);
}
function openReactions(anchor , more , onChoose ) {
open(anchor, EMOJI.slice(0, COLUMNS), onChoose, () => openEmoji(more, onChoose));
}
function open(
anchor ,
choices ,
onChoose ,
onMore ,
) {
const closeAnd = (act ) => () => {
close();
act();
};
const grid = el(
"div",
{ class: "emoji-grid" },
...choices.map(({ emoji, names: [name] }) =>
el(
"button",
{ type: "button", "aria-label": name, title: name, onclick: closeAnd(() => onChoose(emoji)) },
emoji,
)
),
);
const more = onMore &&
el("button", { type: "button", class: "choice", onclick: closeAnd(onMore) }, t("more_emoji"));
const menu = el("div", { class: "float" }, grid, more);
moveWithArrows(menu, "button", { columns: COLUMNS });
const close = openFloat(menu, anchor, "above");
grid.querySelector("button")?.focus();
}
return { openEmoji, openReactions };
})();
// lib/web/app/long_text.ts
const $m55 = (() => {
const encoder = new TextEncoder();
const MOST_CHARACTERS = 8000;
const CHARACTER_BYTES = 6;
function sizeOf(text ) {
return encoder.encode(JSON.stringify(text)).length;
}
function cut(text , mostBytes ) {
const size = Math.max(1, Math.min(MOST_CHARACTERS, Math.floor(mostBytes / CHARACTER_BYTES) - 1));
const parts = text.split(/\n\s*\n/).map((part) => part.trim()).filter((part) => part !== "");
return parts.flatMap((part) => {
const characters = [...part];
const count = Math.ceil(characters.length / size);
return Array.from(
{ length: count },
(_, index) => characters.slice(index * size, (index + 1) * size).join(""),
);
});
}
return { sizeOf, cut };
})();
// lib/web/app/composer.ts
const $m56 = (() => {
const { ERRNO, MSGID } = $m1;
const { el, icon, replace } = $m3;
const { findEmoji } = $m53;
const { openEmoji } = $m54;
const { openDialog, place, toast } = $m42;
const { ICONS } = $m41;
const { cut, sizeOf } = $m55;
const { failureOf } = $m11;
const { isolate, plural, t } = $m10;
const { avatar } = $m40;
const { excerpt, nameOf, titleOf, typingOf } = $m43;
const DRAFT_DELAY_MS = 400;
const LONG_LINES = 20;
const LONG_CHARACTERS = 4000;
const SUGGESTIONS = 8;
class Composer {
element ;
#model ;
#onEdit ;
#onLeave ;
#input ;
#context = el("div", { class: "context", hidden: true });
#typing = el("div", { class: "typing cut", "aria-live": "off" });
#send ;
#suggestions = el("div", {
class: "float",
role: "listbox",
id: "suggestions",
popover: "manual",
});
#conversation ;
#reply ;
#edited ;
#draftTimer ;
#found = [];
#foundAt = 0;
#chosen = 0;
constructor(model , owner ) {
this.#model = model;
this.#onEdit = owner.onEdit;
this.#onLeave = owner.onLeave;
this.#input = el("textarea", {
rows: 1,
dir: "auto",
autocomplete: "off",
enterkeyhint: "send",
"aria-autocomplete": "list",
"aria-controls": "suggestions",
oninput: () => this.#typed(),
onkeydown: (event ) => this.#key(event),
onpaste: (event ) => this.#paste(event),
onblur: () => this.#closeSuggestions(),
});
this.#send = el(
"button",
{ type: "button", class: "icon-button send", onclick: () => void this.#submit() },
icon(ICONS.send),
);
const emoji = el(
"button",
{ type: "button", class: "icon-button", onclick: () => this.#pickEmoji(emoji) },
icon(ICONS.smile),
);
emoji.ariaLabel = emoji.title = t("emoji");
this.element = el(
"div",
{ class: "composer" },
this.#typing,
el(
"div",
{ class: "composer-box" },
this.#context,
el("div", { class: "composer-row" }, this.#input, emoji, this.#send),
),
);
document.body.append(this.#suggestions);
let width = 0;
new ResizeObserver(() => {
if (this.#input.clientWidth !== width) this.#resize();
width = this.#input.clientWidth;
}).observe(this.#input);
}
open(conversation ) {
this.keepDraft();
this.#conversation = conversation;
this.#edited = undefined;
this.#reply = undefined;
if (conversation === undefined) return;
const draft = this.#model.drafts.get(conversation.id);
this.#input.value = draft?.text ?? "";
if (draft?.reply !== undefined) this.#reply = conversation.find(draft.reply);
this.#send.ariaLabel = this.#send.title = t("send");
this.#showContext();
this.#resize();
}
update(conversation ) {
this.#conversation = conversation;
this.#typing.textContent = typingOf(this.#model, conversation);
const label = t("write_to", { name: isolate(titleOf(this.#model, conversation)) });
if (this.#input.placeholder !== label) this.#input.ariaLabel = this.#input.placeholder = label;
}
focus() {
this.#input.focus({ preventScroll: true });
}
reply(entry ) {
this.#edited = undefined;
this.#reply = entry;
this.#showContext();
this.#draftChanged();
this.focus();
}
edit(entry ) {
this.keepDraft();
this.#reply = undefined;
this.#edited = entry;
this.#input.value = entry.text ?? "";
this.#showContext();
this.#resize();
this.focus();
}
insert(text ) {
this.focus();
const { selectionStart: start, selectionEnd: end } = this.#input;
this.#input.setRangeText(text, start, end, "end");
this.#typed();
}
keepDraft() {
if (this.#draftTimer === undefined) return;
clearTimeout(this.#draftTimer);
this.#draftTimer = undefined;
if (this.#conversation === undefined || this.#edited !== undefined) return;
const reply = this.#reply?.seq;
const draft = { text: this.#input.value, ...(reply === undefined ? {} : { reply }) };
this.#model.setDraft(this.#conversation.id, draft);
}
#draftChanged() {
if (this.#edited !== undefined) return;
this.#draftTimer ??= setTimeout(() => this.keepDraft(), DRAFT_DELAY_MS);
}
#typed() {
this.#resize();
this.#draftChanged();
if (this.#conversation !== undefined && this.#input.value !== "") {
this.#model.typing(this.#conversation.id);
}
this.#suggest();
}
#resize() {
this.#send.dataset.ready = String(this.#input.value.trim() !== "");
this.#input.style.height = "";
this.#input.style.height = `${this.#input.scrollHeight}px`;
}
#showContext() {
const entry = this.#edited ?? this.#reply;
this.#context.hidden = entry === undefined;
if (entry === undefined) return;
const name = isolate(nameOf(this.#model, entry.sender, entry.name));
const isEdit = this.#edited !== undefined;
replace(
this.#context,
icon(isEdit ? ICONS.edit : ICONS.reply),
el(
"div",
{},
el("b", { class: "cut" }, isEdit ? t("editing") : t("replying_to", { name })),
el("div", { class: "cut secondary", dir: "auto" }, excerpt(entry.text ?? "")),
),
el("button", {
type: "button",
class: "icon-button",
"aria-label": t("cancel"),
onclick: () => this.#giveUp(),
}, icon(ICONS.close)),
);
}
#giveUp() {
const wasEdit = this.#edited !== undefined;
if (!wasEdit && this.#reply === undefined) return false;
this.#edited = undefined;
this.#reply = undefined;
if (wasEdit && this.#conversation !== undefined) this.open(this.#conversation);
this.#showContext();
this.#draftChanged();
this.focus();
return true;
}
#key(event ) {
if (event.isComposing || event.keyCode === 229) return;
if (this.#found.length > 0 && this.#suggestionKey(event)) return;
switch (event.key) {
case "Enter":
if (event.shiftKey || event.altKey || matchMedia("(pointer: coarse)").matches) return;
event.preventDefault();
void this.#submit();
break;
case "Escape":
event.preventDefault();
event.stopPropagation();
if (!this.#giveUp()) this.#onLeave();
break;
case "ArrowUp": {
if (this.#input.value !== "" || event.altKey || event.ctrlKey || event.metaKey) return;
const last = this.#conversation?.entries.findLast((entry) =>
entry.sender === this.#model.me && entry.text !== null && entry.kind === "chat"
);
if (last === undefined || !this.#model.has(MSGID.ACTION_MSG)) return;
event.preventDefault();
this.#onEdit(last);
break;
}
}
}
async #submit() {
const conversation = this.#conversation;
const text = this.#input.value.trim();
if (conversation === undefined || text === "") return;
const edited = this.#edited;
if (sizeOf(text) > this.#model.maxTextBytes) {
if (edited === undefined) this.#offerParts(text, { isTyped: true });
else toast(t("not_edited", { why: t("err_too_large") }));
return;
}
if (edited !== undefined) {
this.#edited = undefined;
this.open(conversation);
if (text === edited.text) return;
const reply = await this.#model.act(conversation, { ref: edited.seq, act: "edit", msg: text });
if (reply.errno === ERRNO.OK) return;
toast(t("not_edited", { why: failureOf(reply) }));
if (this.#conversation === conversation && this.#input.value === "") {
this.edit(edited);
this.#input.value = text;
this.#resize();
}
return;
}
this.#model.sendDraft(conversation.id, text, this.#fieldsOf(text, conversation, this.#reply?.seq));
this.#clear();
}
#fieldsOf(text , conversation , reply ) {
const mentions = this.#mentionsIn(text, conversation);
return { ...(reply === undefined ? {} : { reply }), ...(mentions === undefined ? {} : { mentions }) };
}
#clear() {
clearTimeout(this.#draftTimer);
this.#draftTimer = undefined;
this.#input.value = "";
this.#reply = undefined;
this.#showContext();
this.#resize();
this.#closeSuggestions();
}
#mentionsIn(text , conversation ) {
if (conversation.groupId === undefined || !text.includes("@")) return undefined;
const group = this.#model.people.groups.get(conversation.groupId);
const isAdmin = group?.role === "creator" || group?.role === "admin";
if (isAdmin && (/(^|\s)@all(?![\p{L}\p{N}])/u.test(text) || text.includes(`@${t("all")}`))) return "all";
const ids = (group?.members ?? []).map(({ id }) => id).filter((id) => {
const name = this.#model.nameOf(id);
return name !== "" && id !== this.#model.me && text.includes(`@${name}`);
});
return ids.length === 0 ? undefined : ids;
}
#paste(event ) {
const text = event.clipboardData?.getData("text/plain") ?? "";
const lines = text.split("\n").length;
if (lines <= LONG_LINES && text.length <= LONG_CHARACTERS) return;
event.preventDefault();
openDialog(t("paste_title"), ({ close }) => {
const choose = (label , isMain , act ) =>
el("button", {
type: "button",
class: isMain ? "button main" : "button",
autofocus: isMain,
onclick: () => {
close();
act();
},
}, label);
return [
el("p", {}, plural("paste_lines", lines)),
el(
"div",
{ class: "dialog-foot" },
choose(t("cancel"), false, () => this.focus()),
choose(t("paste_parts"), false, () => this.#offerParts(text, { isTyped: false })),
choose(t("paste_one"), true, () => this.insert(text)),
),
];
});
}
#offerParts(text , { isTyped } ) {
const conversation = this.#conversation;
if (conversation === undefined) return;
const parts = cut(text, this.#model.maxTextBytes);
const send = () => {
const reply = isTyped ? this.#reply?.seq : undefined;
if (isTyped) this.#model.setDraft(conversation.id, undefined);
for (const [index, part] of parts.entries()) {
this.#model.send(
conversation.id,
part,
this.#fieldsOf(part, conversation, index === 0 ? reply : undefined),
);
}
if (isTyped) this.#clear();
this.focus();
};
openDialog(t("paste_parts"), ({ close }) => [
el("p", {}, plural("parts", parts.length)),
el(
"div",
{ class: "dialog-foot" },
el("button", { type: "button", class: "button", onclick: close }, t("cancel")),
el("button", {
type: "button",
class: "button main",
autofocus: true,
onclick: () => {
close();
send();
},
}, t("send")),
),
]);
}
#pickEmoji(anchor ) {
openEmoji(anchor, (emoji) => this.insert(emoji));
}
#suggest() {
const { value, selectionStart } = this.#input;
const before = value.slice(0, selectionStart);
const match = /(?:^|\s)([@:])([^\s@:]{0,30})$/u.exec(before);
const [, sign, word = ""] = match ?? [];
this.#found = sign === "@"
? this.#findMembers(word)
: sign === ":" && word.length > 1
? findNamed(word)
: [];
this.#foundAt = selectionStart - word.length - 1;
this.#chosen = 0;
this.#showSuggestions();
}
#findMembers(word ) {
const conversation = this.#conversation;
if (conversation?.groupId === undefined) return [];
const group = this.#model.people.groups.get(conversation.groupId);
const wanted = word.toLocaleLowerCase();
const found = (group?.members ?? []).map(({ id }) => ({ id, name: this.#model.nameOf(id) }))
.filter(({ id, name }) =>
id !== this.#model.me && name !== "" &&
name.toLocaleLowerCase().split(/\s/).some((part) => part.startsWith(wanted))
);
const suggestions = found.slice(0, SUGGESTIONS).map(({ id, name }) => ({
text: `@${name} `,
content: [avatar({ id, name, size: "small" }), el("bdi", {}, name)],
}));
const isAdmin = group?.role === "creator" || group?.role === "admin";
if (isAdmin && "all".startsWith(wanted)) {
suggestions.push({ text: "@all ", content: [el("bdi", {}, t("everybody"))] });
}
return suggestions;
}
#showSuggestions() {
if (this.#found.length === 0) {
this.#closeSuggestions();
return;
}
replace(
this.#suggestions,
...this.#found.map(({ content }, index) =>
el("div", {
class: "choice",
role: "option",
id: `suggestion-${index}`,
"aria-selected": String(index === this.#chosen),
onpointerdown: (event ) => {
event.preventDefault();
this.#take(index);
},
}, ...content)
),
);
this.#suggestions.showPopover();
place(this.#suggestions, this.#input, "above");
this.#input.setAttribute("aria-activedescendant", `suggestion-${this.#chosen}`);
}
#closeSuggestions() {
this.#found = [];
if (this.#suggestions.matches(":popover-open")) this.#suggestions.hidePopover();
this.#input.removeAttribute("aria-activedescendant");
}
#suggestionKey(event ) {
const count = this.#found.length;
switch (event.key) {
case "ArrowDown":
case "ArrowUp":
this.#chosen = (this.#chosen + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
this.#showSuggestions();
break;
case "Enter":
case "Tab":
this.#take(this.#chosen);
break;
case "Escape":
this.#closeSuggestions();
event.stopPropagation();
break;
default:
return false;
}
event.preventDefault();
return true;
}
#take(index ) {
const text = this.#found[index]?.text ?? "";
this.#input.setRangeText(text, this.#foundAt, this.#input.selectionStart, "end");
this.#closeSuggestions();
this.#resize();
this.#draftChanged();
}
}
function findNamed(word ) {
return findEmoji(word.toLowerCase(), SUGGESTIONS).map(({ emoji, name }) => ({
text: `${emoji} `,
content: [emoji, ` ${name}`],
}));
}
return { Composer };
})();
// lib/web/app/log_view.ts
const $m57 = (() => {
const { el, icon } = $m3;
const { toast } = $m42;
const { ICONS } = $m41;
const { drawRow, signatureOf } = $m49;
const { dayOf, number, t } = $m10;
const { nameOf } = $m43;
const GROUP_MS = 5 * 60_000;
const OVERSCAN_PX = 800;
const END_PX = 48;
const PASSES = 4;
const IDLE_PAGES = 5;
class LogView {
element ;
#model ;
#owner ;
#scroller ;
#above ;
#rows ;
#below ;
#jump ;
#jumpText = el("span");
#announcer = el("div", { class: "unseen", "aria-live": "polite" });
#conversation ;
#items = [];
#index = new Map ();
#offsets = new Float64Array(1);
#heights = new Map ();
#drawn = new Map ();
#anchor = "end";
#newAfter ;
#announced = 0;
#width = 0;
#height = 0;
#expectedTop ;
#built = [];
#jumps = 0;
constructor(model , owner ) {
this.#model = model;
this.#owner = owner;
this.#above = el("div");
this.#rows = el("div");
this.#below = el("div");
this.#scroller = el(
"div",
{ class: "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": t("messages") },
el("div", { class: "log-rows" }, this.#above, this.#rows, this.#below),
);
this.#jump = el(
"button",
{ type: "button", class: "jump-down", hidden: true, onclick: () => this.toEnd() },
icon(ICONS.down),
this.#jumpText,
);
this.element = el("div", { class: "log-box" }, this.#scroller, this.#jump, this.#announcer);
this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
this.#rows.addEventListener("pointerover", (event) => this.#point(event.target));
this.#rows.addEventListener("focusin", (event) => this.#point(event.target));
new ResizeObserver(() => this.#resized()).observe(this.#scroller);
}
open(conversation ) {
this.#conversation = conversation;
this.#heights.clear();
this.#drawn.clear();
this.#rows.replaceChildren();
this.#anchor = "end";
this.#newAfter = undefined;
if (conversation === undefined) return;
this.#announced = conversation.head.lastSeq;
if (conversation.head.unread > 0) this.#newAfter = conversation.state.shown;
this.#build(conversation);
const newAt = this.#index.get("new");
const end = this.#offsets.at(-1) ?? 0;
const screen = this.#scroller.clientHeight;
if (newAt !== undefined && end - (this.#offsets[newAt] ?? 0) > screen - 60) {
this.#anchor = { key: "new", delta: Math.round(screen / 5) };
}
this.#render();
}
update() {
const conversation = this.#conversation;
if (conversation === undefined) return;
const isSeen = this.isSeen;
const { shown } = conversation.state;
if (!isSeen && this.#newAfter === undefined && conversation.head.unread > 0) this.#newAfter = shown;
this.#build(conversation);
this.#render();
this.#announce(conversation);
}
get isSeen() {
return !document.hidden && document.hasFocus();
}
toEnd() {
this.#anchor = "end";
this.#render();
}
focus() {
this.#scroller.focus();
}
get focused() {
const row = document.activeElement?.closest (".row[data-seq]");
return row && this.#rows.contains(row) ? this.#conversation?.find(Number(row.dataset.seq)) : undefined;
}
move(step ) {
const isRow = ({ kind } ) => kind === "entry" || kind === "unsent";
const row = document.activeElement?.closest (".row");
const key = row?.dataset.seq ?? row?.dataset.cid;
let index = key === undefined ? undefined : this.#index.get(key);
if (index === undefined) {
index = this.#indexAt(this.#scroller.scrollTop + this.#scroller.clientHeight - 1) + 1;
}
for (index += step; index >= 0 && index < this.#items.length; index += step) {
const item = this.#items[index];
if (item === undefined || !isRow(item)) continue;
this.#show(index);
this.#drawn.get(item.key)?.element.focus({ preventScroll: true });
return;
}
}
async jumpTo(seq ) {
const conversation = this.#conversation;
if (conversation === undefined) return;
const jump = ++this.#jumps;
await this.#model.reach();
for (let idle = 0; idle < IDLE_PAGES && this.#isAbove(conversation, seq);) {
const { base } = conversation.state;
await this.#model.loadOlder(conversation);
if (this.#conversation !== conversation || this.#jumps !== jump) return;
idle = conversation.state.base < base ? 0 : idle + 1;
}
this.#build(conversation);
const index = this.#index.get(String(seq));
if (index === undefined) {
toast(this.#isAbove(conversation, seq) ? t("err_no_answer") : t("err_not_found"));
return;
}
this.#show(index);
const row = this.#drawn.get(String(seq))?.element;
row?.focus({ preventScroll: true });
row?.classList.add("flash");
setTimeout(() => row?.classList.remove("flash"), 1500);
}
#isAbove(conversation , seq ) {
return seq <= conversation.state.base && this.#model.hasOlder(conversation) &&
conversation.find(seq) === undefined;
}
#show(index ) {
const { scrollTop, clientHeight } = this.#scroller;
const top = this.#offsets[index] ?? 0;
const bottom = this.#offsets[index + 1] ?? top;
const key = this.#items[index]?.key ?? "";
if (top >= scrollTop + 24 && bottom <= scrollTop + clientHeight - 8) return;
const isFar = top < scrollTop - clientHeight || bottom > scrollTop + 2 * clientHeight;
const delta = isFar ? clientHeight / 3 : top < scrollTop + 24 ? 40 : clientHeight - (bottom - top) - 16;
this.#anchor = { key, delta };
this.#render();
}
#scrolled() {
const { scrollTop, clientWidth, clientHeight } = this.#scroller;
if (clientWidth !== this.#width || clientHeight !== this.#height) return;
const expected = this.#expectedTop;
this.#expectedTop = undefined;
if (expected !== undefined && Math.abs(scrollTop - expected) <= 1) return;
this.#anchor = this.#anchorAt(scrollTop);
this.#render();
}
#resized() {
const { clientWidth, clientHeight } = this.#scroller;
if (clientWidth !== this.#width) this.#heights.clear();
this.#width = clientWidth;
this.#height = clientHeight;
this.#render();
}
#point(target ) {
const row = target instanceof Element ? target.closest (".row[data-seq]") : null;
const entry = row && this.#conversation?.find(Number(row.dataset.seq));
if (row && entry) this.#owner.onPoint(row, entry);
}
#anchorAt(scrollTop ) {
const { clientHeight, scrollHeight } = this.#scroller;
if (scrollTop + clientHeight >= scrollHeight - END_PX) return "end";
const index = this.#indexAt(scrollTop);
const item = this.#items[index];
return item === undefined ? "end" : { key: item.key, delta: (this.#offsets[index] ?? 0) - scrollTop };
}
#indexAt(top ) {
let low = 0;
let high = this.#items.length - 1;
while (low < high) {
const middle = (low + high + 1) >> 1;
if ((this.#offsets[middle] ?? 0) <= top) low = middle;
else high = middle - 1;
}
return low;
}
#build(conversation ) {
const isComplete = !this.#model.hasOlder(conversation);
const made = [conversation, conversation.version, isComplete, this.#newAfter];
if (isSame(this.#built, made)) return;
this.#built = made;
const items = [];
items.push({ kind: "top", key: "top", isComplete });
let lastDay = 0;
let before ;
const newAfter = this.#newAfter;
let isNewShown = newAfter === undefined;
for (const entry of conversation.entries) {
const day = dayOf(entry.at);
if (day !== lastDay) {
items.push({ kind: "day", key: `day${entry.seq}`, at: entry.at });
before = undefined;
}
lastDay = day;
if (
!isNewShown && newAfter !== undefined && entry.seq > newAfter && entry.kind === "chat" &&
entry.sender !== this.#model.me && entry.text !== null
) {
items.push({ kind: "new", key: "new" });
isNewShown = true;
before = undefined;
}
if (entry.kind === "system") {
items.push({ kind: "system", key: String(entry.seq), entry });
before = undefined;
continue;
}
const isFirst = before === undefined || before.sender !== entry.sender ||
entry.at - before.at > GROUP_MS ||
entry.reply !== undefined;
items.push({ kind: "entry", key: String(entry.seq), entry, isFirst });
before = entry;
}
for (const unsent of this.#model.unsentFor(conversation.id)) {
const isFirst = before === undefined || before.sender !== this.#model.me ||
unsent.at - before.at > GROUP_MS;
items.push({ kind: "unsent", key: unsent.cid, unsent, isFirst });
before = { seq: 0, sender: this.#model.me, name: "", at: unsent.at, kind: "chat", text: "" };
}
this.#items = items;
this.#index = new Map(items.map(({ key }, index) => [key, index]));
this.#measureOffsets();
}
#measureOffsets() {
const offsets = new Float64Array(this.#items.length + 1);
this.#items.forEach((item, index) => {
offsets[index + 1] = (offsets[index] ?? 0) + (this.#heights.get(item.key) ?? this.#guess(item));
});
this.#offsets = offsets;
}
#guess(item ) {
switch (item.kind) {
case "top":
return item.isComplete ? 180 : 70;
case "day":
return 42;
case "new":
return 34;
case "system":
return 26;
case "entry":
case "unsent": {
const text = (item.kind === "entry" ? item.entry.text : item.unsent.text) ?? "";
const perLine = Math.max(20, Math.min(72, (this.#width - 100) / 7.5));
const lines = text.length < perLine
? 1
: text.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / perLine), 0);
return lines * 22 + (item.isFirst ? 36 : 4);
}
}
}
#render() {
const conversation = this.#conversation;
if (conversation === undefined) return;
const { clientHeight } = this.#scroller;
const hadFocus = this.#rows.contains(document.activeElement);
let top = this.#topOf(clientHeight);
for (let pass = 0; pass < PASSES; pass++) {
this.#draw(conversation, top, clientHeight);
const isChanged = this.#measure();
const next = this.#topOf(clientHeight);
const isSettled = !isChanged && Math.abs(next - top) < 1;
top = next;
if (isSettled) break;
}
const total = this.#offsets.at(-1) ?? 0;
const target = this.#anchor === "end" ? this.#scroller.scrollHeight - clientHeight : Math.min(top, total);
if (Math.abs(this.#scroller.scrollTop - target) >= 1) {
this.#scroller.scrollTop = target;
this.#expectedTop = this.#scroller.scrollTop;
}
if (clientHeight > 0 && this.#scroller.scrollTop + clientHeight >= this.#scroller.scrollHeight - 1) {
this.#anchor = "end";
}
if (hadFocus && !this.#rows.contains(document.activeElement)) {
this.#scroller.focus({ preventScroll: true });
}
if (top < 1.5 * clientHeight && this.#model.hasOlder(conversation)) {
void this.#model.loadOlder(conversation);
}
this.#read(conversation, clientHeight);
}
#topOf(clientHeight ) {
const total = this.#offsets.at(-1) ?? 0;
if (this.#anchor === "end") return Math.max(0, total - clientHeight);
const index = this.#index.get(this.#anchor.key);
if (index === undefined) return Math.max(0, Math.min(this.#scroller.scrollTop, total - clientHeight));
return Math.max(0, (this.#offsets[index] ?? 0) - this.#anchor.delta);
}
#draw(conversation , top , clientHeight ) {
const first = this.#indexAt(Math.max(0, top - OVERSCAN_PX));
const last = this.#indexAt(top + clientHeight + OVERSCAN_PX);
const drawn = new Map ();
let place = this.#rows.firstChild;
const wanted = new Set(this.#items.slice(first, last + 1).map(({ key }) => key));
for (const [key, { element }] of this.#drawn) {
if (!wanted.has(key)) {
if (element === place) place = place.nextSibling;
element.remove();
}
}
for (const item of this.#items.slice(first, last + 1)) {
const signature = signatureOf(item, this.#model, conversation);
let row = this.#drawn.get(item.key);
if (row === undefined || !isSame(row.signature, signature)) {
const element = drawRow(item, this.#model, conversation, this.#owner);
if (row !== undefined) {
const hasFocus = row.element.contains(document.activeElement);
if (row.element === place) place = element;
row.element.replaceWith(element);
if (hasFocus) element.focus({ preventScroll: true });
}
this.#heights.delete(item.key);
row = { element, signature };
}
if (row.element === place) place = place.nextSibling;
else this.#rows.insertBefore(row.element, place);
drawn.set(item.key, row);
}
this.#drawn = drawn;
this.#above.style.height = `${this.#offsets[first] ?? 0}px`;
this.#below.style.height = `${(this.#offsets.at(-1) ?? 0) - (this.#offsets[last + 1] ?? 0)}px`;
}
#measure() {
let isChanged = false;
for (const [key, { element }] of this.#drawn) {
if (this.#heights.has(key)) continue;
const { height } = element.getBoundingClientRect();
if (height > 0) this.#heights.set(key, height);
isChanged = true;
}
if (isChanged) this.#measureOffsets();
return isChanged;
}
#read(conversation , clientHeight ) {
const isAtEnd = this.#anchor === "end";
const { unread } = conversation.head;
this.#jump.hidden = isAtEnd;
this.#jumpText.textContent = unread > 0
? t("jump_new", { n: unread >= 100 ? "99+" : number(unread) })
: t("jump");
if (!this.isSeen || clientHeight === 0) return;
if (isAtEnd) {
this.#model.read(conversation, conversation.state.top);
return;
}
const bottom = this.#topOf(clientHeight) + clientHeight;
for (let index = this.#indexAt(bottom); index >= 0; index--) {
const item = this.#items[index];
if (item?.kind !== "entry" || (this.#offsets[index + 1] ?? 0) > bottom + 8) continue;
this.#model.read(conversation, item.entry.seq);
break;
}
}
#announce(conversation ) {
const fresh = conversation.entries.slice(-5).filter((entry) =>
entry.seq > this.#announced && entry.sender !== this.#model.me && entry.kind === "chat" &&
entry.text !== null
);
this.#announced = Math.max(this.#announced, conversation.head.lastSeq);
if (fresh.length === 0) return;
this.#announcer.replaceChildren(
...fresh.map((entry) => el("p", {}, `${nameOf(this.#model, entry.sender, entry.name)}: ${entry.text}`)),
);
}
}
function isSame(a , b ) {
return a.length === b.length && a.every((value, index) => value === b[index]);
}
return { LogView };
})();
// lib/web/app/talk_view.ts
const $m58 = (() => {
const { ERRNO, MSGID } = $m1;
const { avatar } = $m40;
const { Composer } = $m56;
const { el, icon, replace } = $m3;
const { openReactions } = $m54;
const { askFirst, openDialog, openFloat, openMenu, toast } = $m42;
const { ICONS } = $m41;
const { LogView } = $m57;
const { failureOf } = $m11;
const { fullTime, t } = $m10;
const { nameOf, sublineOf, titleOf } = $m43;
const { integerOf, listOf, textOf } = $m2;
const { isJsonObject } = $m1;
class TalkView {
element ;
log ;
composer ;
#model ;
#owner ;
#head = el("header", { class: "talk-head" });
#closed = el("div", { class: "closed" });
#empty ;
#tools = el("div", { class: "row-tools" });
#conversation ;
#pointed ;
#headSignature = "";
constructor(model , owner ) {
this.#model = model;
this.#owner = owner;
this.log = new LogView(model, {
onJump: (seq) => void this.log.jumpTo(seq),
onReact: (entry, emoji) => void this.react(entry, emoji),
onVersions: (entry) => void this.#showVersions(entry),
onReaders: (entry, anchor) => this.#showReaders(entry, anchor),
onPoint: (row, entry) => this.#point(row, entry),
});
this.composer = new Composer(model, {
onEdit: (entry) => this.composer.edit(entry),
onLeave: () => owner.onBack(),
});
const start = el(
"button",
{ type: "button", class: "button main", onclick: () => owner.onNew(start) },
t("new_chat"),
);
this.#empty = el(
"div",
{ class: "empty" },
el("h2", {}, t("empty_title")),
el("p", {}, t("empty_text")),
el("div", { class: "empty-actions" }, start),
);
this.element = el("main", { class: "talk" });
this.#show();
}
open() {
const { current } = this.#model;
if (current === this.#conversation && current !== undefined) return;
const isOther = current?.id !== this.#conversation?.id;
this.#conversation = current;
this.#headSignature = "";
this.#show();
if (isOther) this.composer.open(current);
this.log.open(current);
this.update();
}
update() {
const conversation = this.#conversation;
if (conversation === undefined) return;
this.#drawHead(conversation);
this.log.update();
this.composer.update(conversation);
const isOver = this.#isOver(conversation);
this.composer.element.hidden = isOver;
this.#closed.hidden = !isOver;
if (isOver) {
this.#closed.textContent = closedText(conversation);
}
}
async react(entry , emoji ) {
const isOn = !(entry.reactions?.[emoji]?.includes(this.#model.me) ?? false);
await this.#act(entry, { act: "react", emoji, on: isOn });
}
async pin(entry ) {
await this.#act(entry, { act: "pin", on: entry.isPinned !== true });
}
key(event ) {
const entry = this.log.focused;
switch (event.key.toLowerCase()) {
case "j":
case "k":
this.log.move(event.key.toLowerCase() === "j" ? 1 : -1);
return true;
case "r":
if (entry === undefined || !this.#canAnswer(entry)) return false;
this.composer.reply(entry);
return true;
case "e":
if (entry === undefined || !this.#canReact(entry)) return false;
this.#openReactions(entry);
return true;
case "p":
if (entry === undefined || !this.#canPin(entry)) return false;
void this.pin(entry);
return true;
case "enter":
case ".":
if (entry === undefined || document.activeElement?.matches(".row") === false) return false;
this.#openMenu(entry);
return true;
case "end":
this.log.toEnd();
return true;
default:
return false;
}
}
#show() {
const parts = this.#conversation === undefined
? [this.#empty]
: [this.#head, this.log.element, this.composer.element, this.#closed];
replace(this.element, ...parts);
}
#isOver({ groupId, peerId } ) {
if (groupId === undefined) return this.#model.people.user(peerId ?? 0).isBlocked;
return this.#model.people.groups.get(groupId)?.isOver ?? false;
}
#drawHead(conversation ) {
const { groupId, peerId } = conversation;
const title = titleOf(this.#model, conversation);
const subline = sublineOf(this.#model, conversation);
const signature = `${title}\n${subline}\n${conversation.id}`;
if (signature === this.#headSignature) return;
this.#headSignature = signature;
replace(
this.#head,
el(
"button",
{
type: "button",
class: "icon-button back",
"aria-label": t("back"),
onclick: () => this.#owner.onBack(),
},
icon(ICONS.back),
),
avatar({ id: groupId ?? peerId ?? 0, name: title, isGroup: groupId !== undefined }),
el(
"div",
{ class: "talk-title" },
el(
"button",
{ type: "button", onclick: () => this.#owner.onDetails() },
el("h1", { class: "cut" }, el("bdi", {}, title)),
),
el("div", { class: "secondary cut", dir: "auto" }, subline),
),
el("button", {
type: "button",
class: "icon-button",
"aria-label": t("details"),
title: t("details"),
onclick: () => this.#owner.onDetails(),
}, icon(ICONS.details)),
);
}
#point(row , entry ) {
if (this.#tools.parentElement === row && this.#pointed === entry) return;
this.#pointed = entry;
const button = (label , path , act ) => {
const element = el("button", {
type: "button",
class: "icon-button",
"aria-label": label,
title: label,
onclick: () => act(element),
}, icon(path));
return element;
};
replace(
this.#tools,
this.#canReact(entry) && button(t("react"), ICONS.smile, () => this.#openReactions(entry)),
this.#canAnswer(entry) && button(t("reply"), ICONS.reply, () => this.composer.reply(entry)),
entry.kind === "chat" && entry.text !== null &&
button(t("more"), ICONS.more, () => this.#openMenu(entry)),
);
row.append(this.#tools);
}
#canAct() {
return this.#conversation !== undefined && !this.#isOver(this.#conversation);
}
#canAnswer({ text, kind } ) {
return kind === "chat" && text !== null && this.#canAct();
}
#canReact(entry ) {
return this.#canAnswer(entry) && this.#model.has(MSGID.ACTION_MSG);
}
#canPin(entry ) {
if (!this.#canReact(entry)) return false;
const { groupId } = this.#conversation ?? {};
if (groupId === undefined) return true;
const role = this.#model.people.groups.get(groupId)?.role;
return role === "creator" || role === "admin";
}
#canRecall(entry ) {
const { groupId } = this.#conversation ?? {};
const isMine = entry.sender === this.#model.me;
return this.#canAnswer(entry) &&
(isMine || (groupId !== undefined && this.#model.people.groups.get(groupId)?.role === "creator"));
}
#rowOf(entry ) {
return this.element.querySelector(`.row[data-seq="${entry.seq}"]`) ?? this.element;
}
#openReactions(entry ) {
const row = this.#rowOf(entry);
const { right, top, width } = row.getBoundingClientRect();
const anchor = new DOMRect(right - Math.min(width, 340), top, 0, 0);
openReactions(anchor, row, (emoji) => void this.react(entry, emoji));
}
#openMenu(entry ) {
const isMine = entry.sender === this.#model.me;
const choices = [
this.#canAnswer(entry) && { label: t("reply"), key: "R", onChoose: () => this.composer.reply(entry) },
isMine && this.#canReact(entry) && { label: t("edit"), onChoose: () => this.composer.edit(entry) },
{
label: t("copy_text"),
onChoose: () => void navigator.clipboard?.writeText(entry.text ?? "").then(() => toast(t("copied"))),
},
this.#canPin(entry) &&
{ label: entry.isPinned ? t("unpin") : t("pin"), key: "P", onChoose: () => void this.pin(entry) },
this.#canRecall(entry) && {
label: t("recall"),
isDangerous: true,
onChoose: () =>
askFirst(t("recall"), t("recall_ask"), t("recall"), () => void this.#act(entry, { act: "recall" })),
},
];
const anchor = this.#tools.parentElement === this.#rowOf(entry) ? this.#tools.lastElementChild : null;
openMenu(
anchor?.checkVisibility() ? anchor : this.#rowOf(entry),
choices.filter((choice) => choice !== false),
);
}
async #act(entry , action ) {
const conversation = this.#conversation;
if (conversation === undefined) return;
const reply = await this.#model.act(conversation, { ref: entry.seq, ...action });
if (reply.errno !== ERRNO.OK) toast(failureOf(reply));
}
async #showVersions(entry ) {
const conversation = this.#conversation;
if (conversation === undefined) return;
const reply = await this.#model.ask({
msgid: MSGID.HISTORY_MSG,
conversation: conversation.id,
versions: entry.seq,
});
if (reply.errno !== ERRNO.OK) {
toast(failureOf(reply));
return;
}
const versions = listOf(reply.frame.messages).filter(isJsonObject);
openDialog(t("versions"), () =>
versions.map((version) =>
el(
"div",
{},
el("div", { class: "secondary" }, fullTime(integerOf(version.at) ?? entry.at)),
el("div", { class: "text", dir: "auto" }, textOf(version.msg)),
)
));
}
#showReaders(entry , anchor ) {
const readers = [...this.#conversation?.peers ?? []]
.filter(([, { read, since }]) => read >= entry.seq && since < entry.seq);
const lines = readers.map(([id]) => {
const name = nameOf(this.#model, id);
return el(
"div",
{ class: "choice" },
avatar({ id, name, size: "small" }),
el("bdi", { class: "cut" }, name),
);
});
openFloat(el("div", { class: "float" }, ...lines), anchor, "above");
}
}
function closedText({ groupId, entries } ) {
if (groupId === undefined) return t("closed_blocked");
const isDissolved = entries.at(-1)?.frame?.what === "dissolved";
return isDissolved ? t("closed_dissolved") : t("closed_group");
}
return { TalkView };
})();
// lib/web/app/shell.ts
const $m59 = (() => {
const { DetailsView } = $m46;
const { el, replace } = $m3;
const { askFirst, openMenu, toast } = $m42;
const { joinDialog, newGroupDialog } = $m45;
const { openJump } = $m47;
const { ListView } = $m50;
const { Notices } = $m51;
const { choosePerson } = $m44;
const { prefs, setPref } = $m5;
const { devicesDialog, keysDialog, profileDialog, settingsDialog } = $m52;
const { TalkView } = $m58;
const { plural, t } = $m10;
const { MSGID, parseConversation } = $m1;
const QUIET_MS = 800;
const FROM_LIST = "from list";
const NARROW = "(max-width: 699px)";
const WIDE = "(min-width: 1100px)";
class Shell {
element ;
#model ;
#list ;
#talk ;
#details ;
#notices ;
#banner = el("div", { class: "banner", role: "status", hidden: true });
#onLanguage ;
#stop = new AbortController();
#bannerTimer ;
#bannerText = "";
#countdown ;
constructor(model , onLanguage ) {
this.#model = model;
this.#onLanguage = onLanguage;
this.#list = new ListView(model, {
onOpen: (id) => this.open(id),
onNew: (anchor) => this.#openNew(anchor),
onMe: (anchor) => this.#openMe(anchor),
onJump: (text) => this.#jump(text),
});
this.#talk = new TalkView(model, {
onBack: () => this.#back(),
onDetails: () => this.#toggleDetails(),
onNew: (anchor) => this.#openNew(anchor),
});
this.#details = new DetailsView(model, {
onClose: () => this.#toggleDetails(false),
onOpen: (id) => this.open(id),
onJump: (seq) => {
if (!matchMedia(WIDE).matches) this.#toggleDetails(false);
void this.#talk.log.jumpTo(seq);
},
});
this.#details.element.hidden = true;
this.#notices = new Notices(model, (id) => this.open(id));
this.element = el(
"div",
{ class: "shell" },
this.#banner,
this.#list.element,
this.#talk.element,
this.#details.element,
);
const { signal } = this.#stop;
addEventListener("keydown", (event) => this.#key(event), { signal });
addEventListener("popstate", () => this.#show(idInAddress()), { signal });
addEventListener("focus", () => this.#looked(), { signal });
document.addEventListener("visibilitychange", () => this.#looked(), { signal });
addEventListener("pagehide", () => this.#leaving(), { signal });
addEventListener("online", () => model.retry(), { signal });
model.listen((topics) => this.#update(topics), signal);
this.#show(idInAddress());
this.#update(new Set (["account", "list", "log", "people", "link"]));
}
open(id , seq ) {
if (parseConversation(id) === undefined) return;
const isOther = this.#model.current?.id !== id;
const url = `#${id}`;
if (isOther && this.#model.current === undefined) history.pushState(FROM_LIST, "", url);
else if (isOther) history.replaceState(history.state, "", url);
this.#show(id);
if (!matchMedia(NARROW).matches) this.#talk.composer.focus();
if (seq !== undefined) void this.#talk.log.jumpTo(seq);
}
join(link ) {
joinDialog(this.#model, (id) => this.open(id), link);
}
close() {
this.#stop.abort();
clearTimeout(this.#bannerTimer);
clearInterval(this.#countdown);
}
#show(id ) {
const known = id !== undefined && parseConversation(id) !== undefined ? id : undefined;
this.#model.open(known);
this.element.dataset.open = String(known !== undefined);
this.#talk.open();
this.#details.element.hidden = known === undefined || !prefs.hasDetails || !matchMedia(WIDE).matches;
this.#details.update();
this.#list.update();
this.#notices.update();
}
#update(topics ) {
if (this.#model.account?.token === undefined) return;
this.#talk.open();
if (topics.has("list") || topics.has("account") || topics.has("people") || topics.has("typing")) {
this.#list.update();
}
this.#talk.update();
if (topics.has("people") || topics.has("log")) this.#details.update();
this.#notices.update();
this.#updateBanner();
}
#updateBanner() {
const { link } = this.#model;
clearTimeout(this.#bannerTimer);
const isPassing = link.kind === "connecting" || link.kind === "waiting";
const wait = link.since + QUIET_MS - Date.now();
if (isPassing && wait > 0 && this.#banner.hidden) {
this.#bannerTimer = setTimeout(() => this.#updateBanner(), wait);
return;
}
const [text, ...actions] = this.#state();
const isCounting = link.kind === "waiting";
if (isCounting && this.#countdown === undefined) {
this.#countdown = setInterval(() => this.#updateBanner(), 1000);
}
if (!isCounting) {
clearInterval(this.#countdown);
this.#countdown = undefined;
}
this.#banner.hidden = text === "";
if (text === this.#bannerText) return;
this.#bannerText = text;
replace(
this.#banner,
el("span", {}, text),
...actions.map(({ label, run }) => el("button", { type: "button", onclick: run }, label)),
);
}
#state() {
const { link, waiting } = this.#model;
const now = { label: t("now"), run: () => this.#model.retry() };
const kept = waiting > 0 ? ` · ${plural("messages_wait", waiting)}` : "";
switch (link.kind) {
case "elsewhere":
return [t("state_elsewhere"), { label: t("use_here"), run: () => this.#model.takeOver() }];
case "connecting":
return [`${t("state_connecting")}${kept}`];
case "waiting": {
if (!navigator.onLine) return [`${t("state_offline")}${kept}`];
const seconds = Math.max(0, Math.ceil((link.since + link.inMs - Date.now()) / 1000));
const why = link.code === "shutting_down" ? t("state_restarts") : t("state_lost");
return [`${why} ${t("state_back_in", { n: seconds })}${kept}`, now];
}
case "ended":
return [t("state_replaced"), { label: t("use_here"), run: () => location.reload() }];
case "online":
if (this.#model.isForgetful) return [t("state_forgetful")];
if (this.#notices.isAskingDue) {
return [
t("notify_ask"),
{ label: t("notify_yes"), run: () => void this.#allowNotices() },
{ label: t("notify_no"), run: () => this.#settleNotices("off") },
];
}
return [""];
}
}
async #allowNotices() {
const permission = await Notification.requestPermission();
if (permission === "denied") toast(t("notify_denied"));
this.#settleNotices(permission === "granted" ? "on" : "off");
}
#settleNotices(notify ) {
this.#notices.settle(notify);
this.#updateBanner();
}
#looked() {
if (document.hidden) {
this.#leaving();
return;
}
if (this.#model.link.kind === "elsewhere" && document.hasFocus()) this.#model.takeOver();
else this.#model.retry();
this.#model.changed("log", "list");
}
#leaving() {
this.#talk.composer.keepDraft();
this.#model.keep();
}
#back() {
if (!this.#details.element.hidden && !matchMedia(WIDE).matches) this.#toggleDetails(false);
else if (!matchMedia(NARROW).matches) this.#list.focus();
else if (history.state === FROM_LIST) history.back();
else {
history.replaceState(null, "", location.pathname);
this.#show(undefined);
}
}
#toggleDetails(isOpen = this.#details.element.checkVisibility() === false) {
this.#details.element.hidden = !isOpen;
if (matchMedia(WIDE).matches) setPref("hasDetails", isOpen);
this.#details.update();
if (!isOpen) this.#talk.composer.focus();
}
#jump(typed = "") {
openJump(this.#model, { commands: this.#commands(), onOpen: (id, seq) => this.open(id, seq) }, typed);
}
#commands() {
const model = this.#model;
const commands = [
{ label: t("new_chat"), run: () => this.#newChat() },
{ label: t("new_group"), run: () => newGroupDialog(model, (id) => this.open(id)) },
{ label: t("join_group"), run: () => joinDialog(model, (id) => this.open(id)) },
model.has(MSGID.PROFILE_MSG) && { label: t("profile"), run: () => profileDialog(model) },
model.has(MSGID.DEVICE_MSG) && { label: t("devices"), run: () => devicesDialog(model) },
{ label: t("settings"), run: () => settingsDialog(this.#onLanguage) },
{ label: t("keys"), key: "?", run: keysDialog },
{ label: t("log_out"), run: () => this.#logOut() },
];
return commands.filter((command) => command !== false);
}
#openNew(anchor ) {
openMenu(anchor, this.#commands().slice(0, 3).map(({ label, run }) => ({ label, onChoose: run })));
}
#openMe(anchor ) {
openMenu(
anchor,
this.#commands().slice(3).map(({ label, key, run }) => ({
label,
onChoose: run,
...(key === undefined ? {} : { key }),
})),
);
}
#newChat() {
choosePerson(this.#model, t("new_chat"), (person) => {
this.open(this.#model.withUser(person.id));
return Promise.resolve("");
});
}
#logOut() {
const { waiting } = this.#model;
const text = waiting > 0 ? plural("log_out_waiting", waiting) : t("log_out_ask");
askFirst(t("log_out"), text, t("log_out"), () => void this.#model.logOut());
}
#key(event ) {
if (event.isComposing || document.querySelector("dialog[open]") !== null) return;
const target = event.target instanceof Element ? event.target : document.body;
const isTyping = target.matches("input, textarea, select");
const isChord = event.ctrlKey || event.metaKey;
if (isChord && !event.altKey && event.key.toLowerCase() === "k") {
event.preventDefault();
this.#jump();
} else if (event.altKey && !isChord && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
event.preventDefault();
this.#step(event.key === "ArrowDown" ? 1 : -1, event.shiftKey);
} else if (isChord || event.altKey || target.closest("[popover]") !== null) return;
else if (event.key === "Escape") this.#escape(target);
else if (isTyping) return;
else if (event.key === "?") keysDialog();
else if (target.closest(".side, .details") === null && this.#model.current !== undefined) {
if (event.key === "Enter" && target.matches("button, a")) return;
if (this.#talk.key(event)) event.preventDefault();
}
}
#escape(target ) {
if (!this.#details.element.hidden && (target.closest(".details") !== null || !matchMedia(WIDE).matches)) {
this.#toggleDetails(false);
} else if (target.closest(".row") !== null || target.matches(".log")) this.#talk.composer.focus();
else if (target.closest(".side") !== null && this.#model.current !== undefined) {
this.#talk.composer.focus();
} else this.#back();
}
#step(step , isUnreadOnly ) {
const shown = this.#list.shown;
if (shown.length === 0) return;
const from = shown.findIndex(({ id }) => id === this.#model.current?.id);
for (let count = 1; count <= shown.length; count++) {
const start = from < 0 && step < 0 ? 0 : from;
const conversation = shown[(start + step * count + shown.length * 2) % shown.length];
if (conversation === undefined || (isUnreadOnly && conversation.head.unread === 0)) continue;
this.open(conversation.id);
return;
}
}
}
function idInAddress() {
return location.hash.slice(1) || undefined;
}
return { Shell };
})();
// lib/web/app/socket.ts
const $m60 = (() => {
const { within } = $m38;
const END_TIMEOUT_MS = 1000;
function createDialer(url ) {
const target = new URL("/ws", url);
target.protocol = url.protocol === "https:" ? "wss:" : "ws:";
return (events) => {
const socket = new WebSocket(target);
let isClosed = false;
const closed = new Promise ((resolve) => socket.addEventListener("close", () => resolve()));
const close = () => {
isClosed = true;
socket.close();
};
socket.onopen = () => isClosed || events.onOpen();
socket.onmessage = ({ data }) => isClosed || (typeof data === "string" && events.onFrames([data]));
socket.onclose = () => {
if (isClosed) return;
isClosed = true;
events.onClose("the connection was closed");
};
return {
send: (frame) => socket.readyState === WebSocket.OPEN && socket.send(frame),
close,
async end() {
close();
await within(closed, END_TIMEOUT_MS);
},
};
};
}
return { createDialer };
})();
// lib/web/app/app.ts
const $m61 = (() => {
const { readPageLink } = $m0;
const { EntryView } = $m12;
const { DELETED_SEARCH, Model } = $m39;
const { applyTheme, prefs } = $m5;
const { Shell } = $m59;
const { createDialer } = $m60;
const { languageTag, setLanguage } = $m10;
const model = new Model(createDialer(new URL(location.href)));
let shell ;
let entry ;
let link = readPageLink(location.hash);
const isDeleted = location.search === DELETED_SEARCH;
if (link !== undefined || isDeleted) history.replaceState(null, "", location.pathname);
function speak() {
setLanguage(prefs.language, navigator.languages);
document.documentElement.lang = languageTag();
}
function show() {
if (model.account?.token === undefined || link?.kind === "reset") {
shell?.close();
shell = undefined;
if (entry !== undefined) return;
entry = new EntryView(model, { link, isDeleted, onLanguage: again, onReset: () => link = undefined });
document.body.replaceChildren(entry.element);
entry.focus();
} else if (shell === undefined) {
entry = undefined;
document.body.replaceChildren();
shell = new Shell(model, again);
document.body.prepend(shell.element);
if (link?.kind === "join") shell.join(link.code);
link = undefined;
}
}
function again() {
speak();
shell?.close();
shell = undefined;
entry = undefined;
show();
}
applyTheme();
speak();
model.listen((topics) => {
if (topics.has("account")) show();
});
addEventListener("hashchange", () => {
if (readPageLink(location.hash) !== undefined) location.reload();
});
void model.start();
return {  };
})();
