/**
 * Making groups, joining and leaving them, and what members do about them and about each other there. Who may do what is
 * decided in the transaction that does it and writes the entry which tells of it, by how things stand at that moment. To
 * whoever is no member a group does not exist.
 *
 * @module
 */
import { isAtMost, toLine } from "../base/line_text.ts";
import { endsMembership, KIND, systemText, type Who } from "../protocol/entries.ts";
import { nameKey, normalizeName } from "../protocol/names.ts";
import { conversationOfGroup, ERRNO, type JsonObject } from "../protocol/protocol.ts";
import type { Stored } from "../log/message_log.ts";
import type { SqlConnection } from "../store/database.ts";
import * as changes from "../store/group_changes.ts";
import {
  type GroupRole,
  type GroupText,
  JOIN_MODES,
  type JoinMode,
  type Membership,
} from "../store/group_changes.ts";
import { addLink, createLink, isLink, revokeLink, takeLink } from "../store/group_links.ts";
import { nameProblem } from "./handlers.ts";
import { noSuchUser } from "./people_handlers.ts";
import { Refusal, type Request } from "./request.ts";
import type { Services } from "./services.ts";
import { type Login, type Session, whoIs } from "./session.ts";

/** A group description's length, in characters, as the column has it. */
const DESCRIPTION_MAX = 200;
/** Members on a page. */
const LISTED_MAX = 200;
/** Links that a group may have at a time. */
const LINKS_MAX = 100;
/** How long a link is good, ms, when that is not said, … */
const LINK_TTL_MS = 604_800_000;
/** … and at most. */
const LINK_TTL_MAX_MS = 31_536_000_000;
/** How many may join by a link when that is not said, or more is. */
const LINK_USES_MAX = 1_000_000;

/** CREATE_GROUP_MSG: the creator is its first member. */
export async function createGroup(services: Services, request: Request): Promise<void> {
  const { groups, delivery, log, settings } = services;
  const { session, login } = request;
  const name = request.string("groupname");
  const join = session.version < 3 ? "open" : joinField(request, "closed");
  checkName(name);
  const description = descriptionField(request);
  const at = Date.now();
  const created = await groups.create(name, description, whoIs(login), at, join, (counts) => {
    checkCount(counts.groups, settings.maxGroups);
    if (counts.created >= settings.maxGroupsCreated) {
      throw notAllowed(`You can be the creator of at most ${settings.maxGroupsCreated} groups`);
    }
  });
  if (created === undefined) throw nameTaken();
  const { groupId, text, membership } = created;
  const conversation = conversationOfGroup(groupId);
  log.announce({ conversation, seq: 1, at, sender: login.userId, text, members: 1, isRepeat: false });
  await delivery.subscribeGroup(groupId);
  enterGroup(services, session, login, groupId, membership);
  request.reply({ groupid: groupId });
}

function checkName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new Refusal(ERRNO.REFUSED, problem);
}

function nameTaken(): Refusal {
  return new Refusal(ERRNO.REFUSED, "This group name is taken");
}

/** A group's description, as it is stored. */
function descriptionField(request: Request): string {
  const text = request.string("groupdesc");
  if (isAtMost(text, DESCRIPTION_MAX)) return toLine(text);
  throw new Refusal(ERRNO.REFUSED, `The description is longer than ${DESCRIPTION_MAX} characters`);
}

function joinField({ frame: { join } }: Request, otherwise: JoinMode): JoinMode {
  if (join === undefined) return otherwise;
  const mode = JOIN_MODES.find((mode) => mode === join);
  if (!mode) throw new Refusal(ERRNO.MALFORMED, 'Field "join" is not open, link or closed');
  return mode;
}

/** ADD_GROUP_MSG: the user becomes a member of an open group and gets what is said from now on. */
export async function addGroup(services: Services, request: Request): Promise<void> {
  const groupId = request.integer("groupid");
  await joinGroup(services, request, groupId, ({ join }) => {
    if (join !== "open") throw noSuchGroup(groupId);
  });
  request.reply({ groupid: groupId });
}

/** Makes who asks a member, if it is none yet and `check` does not refuse, and writes the entry that says so. */
async function joinGroup(
  services: Services,
  { session, login }: Request,
  groupId: number,
  check: (group: GroupText, tx: SqlConnection) => Promise<void> | void,
): Promise<void> {
  const { delivery, dialect, log, settings } = services;
  const { userId } = login;
  let membership: Membership | undefined;
  let isNew = false;
  // First listen, then join: no message can be stored for the new member unheard.
  await delivery.subscribeGroup(groupId);
  try {
    await log.change({
      conversation: conversationOfGroup(groupId),
      sender: userId,
      async decide(tx, place) {
        isNew = false;
        membership = place && await changes.membershipOf(tx, groupId, userId);
        // The answer to a first joining, or the connection it came on, may have been lost.
        if (membership) return undefined;
        const group = place && await changes.groupText(tx, groupId);
        if (!group) throw noSuchGroup(groupId);
        await check(group, tx);
        checkRoom(place.members, settings.maxMembers);
        checkCount((await changes.groupCounts(tx, dialect, userId)).groups, settings.maxGroups);
        membership = await changes.enter(tx, dialect, groupId, userId, "normal", place.seq - 1);
        isNew = true;
        const who = whoIs(login);
        return { kind: KIND.system, text: systemText("joined", who, who), members: place.members + 1 };
      },
    });
    if (!membership) throw new Error(`Nobody has looked whether user ${userId} is in group ${groupId}`);
  } catch (error) {
    delivery.unsubscribeGroup(groupId);
    throw error;
  }
  // How far the user has come elsewhere says nothing of what this device has.
  const isBehind = !isNew && login.device > 0;
  enterGroup(services, session, login, groupId, {
    ...membership,
    ...(isBehind ? { delivered: membership.since } : {}),
  });
}

function checkCount(groups: number, max: number): void {
  if (groups >= max) throw notAllowed(`A user can be in at most ${max} groups`);
}

function checkRoom(members: number, max: number): void {
  if (members >= max) throw notAllowed(`A group has at most ${max} members`);
}

/** A session whose user has become a member, and which listens to the group's channel. */
function enterGroup(
  { delivery, admission }: Services,
  session: Session,
  login: Login,
  groupId: number,
  { role, since, delivered, read }: Membership,
): void {
  // The connection may have ended, and with it the login, while the database was asked.
  const isHere = session.login === login;
  // Another device was quicker; or the user has been removed, and nobody has told here, and comes again.
  if (!isHere || login.groups.has(groupId)) delivery.unsubscribeGroup(groupId);
  else delivery.joinGroup(session, groupId);
  if (isHere) {
    login.groups.set(groupId, role);
    login.mailbox.join(conversationOfGroup(groupId), since, delivered, read);
  }
  admission.regroup(login.userId, session);
}

function noSuchGroup(groupId: number): Refusal {
  return new Refusal(ERRNO.NOT_FOUND, `There is no group ${groupId}`);
}

function notAllowed(reason: string): Refusal {
  return new Refusal(ERRNO.NOT_ALLOWED, reason);
}

/** A group at the moment at which a member does something about it. */
interface Scene {
  /** The transaction. */
  tx: SqlConnection;
  groupId: number;
  /** Who does it. */
  who: Who;
  role: GroupRole;
  group: GroupText;
  /** Where the entry that tells of it will stand. */
  place: { seq: number; at: number };
  /** How many members there are. */
  members: number;
}

/** What the entry says. */
interface Told {
  what: string;
  /** Whom it is about; else who does it. */
  id?: Who;
  fields?: JsonObject;
  /** How many members there are from then on; else as many as before. */
  members?: number;
}

/** Does it; undefined when it was like that before. */
type Deed = (scene: Scene) => Promise<Told | undefined>;

/** Looks at what is asked for, before anything else is looked at. */
interface Plan {
  deed: Deed;
  /** Done anew when its `cid` comes again: what the first answer had cannot be told again. */
  isAnew?: boolean;
  /** Whose sessions are to know besides. */
  concerned?: number;
  /** Done behind the commit. */
  done?: (stored: Stored | undefined) => void;
  /** What stands in the answer. */
  fields?: () => JsonObject;
}

const DEEDS: ReadonlyMap<string, (services: Services, request: Request) => Plan> = new Map([
  ["leave", leave],
  ["add", add],
  ["remove", remove],
  ["role", changeRole],
  ["transfer", transfer],
  ["edit", edit],
  ["dissolve", dissolve],
  ["link", link],
]);

/** GROUP_MSG. */
export async function groupMessage(services: Services, request: Request): Promise<void> {
  const op = request.string("op");
  if (op === "members") return await listMembers(services, request);
  if (op === "join") return await joinByLink(services, request);
  const plan = DEEDS.get(op)?.(services, request);
  if (!plan) throw new Refusal(ERRNO.MALFORMED, `There is no op ${JSON.stringify(op.slice(0, 20))}`);
  await perform(services, request, request.integer("groupid"), plan);
}

/** Does what is planned, for a member; of a repeated `cid` the answer is that of the first time. */
async function perform(services: Services, request: Request, groupId: number, plan: Plan): Promise<void> {
  const { log, admission } = services;
  const { session, login, cid } = request;
  const conversation = conversationOfGroup(groupId);
  const who = whoIs(login);
  const stored = await log.change({
    conversation,
    sender: who.id,
    ...(cid === undefined || plan.isAnew ? {} : { cid }),
    origin: login.mailbox,
    async decide(tx, place) {
      const role = place && await changes.roleOf(tx, groupId, who.id);
      const group = role && await changes.groupText(tx, groupId);
      if (!place || !group) throw noSuchGroup(groupId);
      const told = await plan.deed({ tx, groupId, who, role, group, place, members: place.members });
      if (!told) return undefined;
      const text = systemText(told.what, told.id ?? who, who, told.fields);
      return { kind: KIND.system, text, members: told.members ?? place.members };
    },
  });
  plan.done?.(stored);
  if (plan.concerned !== undefined) admission.regroup(plan.concerned);
  // The client knows of it by its reply, and may say that it has it.
  if (stored) login.mailbox.notice(stored.conversation, stored.seq);
  const place = stored ? { conversation: stored.conversation, seq: stored.seq, at: stored.at } : {};
  if (session.login === login) request.reply({ groupid: groupId, ...place, ...plan.fields?.() });
}

/** Op `leave`. The last one leaves nothing behind that anybody could write to. */
function leave({ admission }: Services, { session, login }: Request): Plan {
  return {
    async deed({ tx, groupId, who, role, place, members }) {
      const isLast = members <= 1;
      if (role === "creator" && !isLast && await changes.otherCreators(tx, groupId, who.id) === 0) {
        throw notAllowed("Hand the group over to somebody else before you leave it");
      }
      if (isLast) await changes.dissolve(tx, groupId, place);
      else await changes.part(tx, groupId, who.id, place);
      return { what: "left", members: members - 1 };
    },
    done(stored) {
      if (stored && endHere(login, stored)) admission.regroup(login.userId, session);
    },
  };
}

/** The session's user is in a group no longer; false: not by this entry, which is another one's of the same `cid`. */
function endHere({ userId, mailbox }: Login, { conversation, seq, text }: Stored): boolean {
  if (text === null || !endsMembership(text, userId)) return false;
  const cursor = mailbox.cursor(conversation);
  // Of a repeat: who has come again since stays.
  if (cursor && cursor.since < seq) mailbox.leave(conversation, cursor.since, seq);
  return true;
}

/** Somebody else, whom the request names. */
function otherField(request: Request): number {
  const { id } = request.frame;
  if (typeof id !== "number" || !Number.isSafeInteger(id)) {
    throw new Refusal(ERRNO.MALFORMED, 'Field "id" is missing or not an integer');
  }
  return id;
}

/** Op `add`: somebody who has added the user as a friend, or anybody with `--invites open`. */
function add({ dialect, settings }: Services, request: Request): Plan {
  const userId = otherField(request);
  let user: Who | undefined;
  return {
    async deed({ tx, groupId, who, role, group, place, members }) {
      if (role === "normal" && group.join !== "open") {
        throw notAllowed("Only the group's creator and admins can add somebody");
      }
      user = await changes.activeUser(tx, userId);
      if (!user) throw noSuchUser(userId);
      if (await changes.roleOf(tx, groupId, userId)) return undefined;
      const { isFriend, isBlocked } = await changes.regardOf(tx, userId, who.id);
      if (isBlocked || (settings.invites === "friends" && !isFriend)) {
        throw notAllowed(`${user.name} has not added you as a friend, and can be invited by a link only`);
      }
      checkRoom(members, settings.maxMembers);
      checkCount((await changes.groupCounts(tx, dialect, userId)).groups, settings.maxGroups);
      await changes.enter(tx, dialect, groupId, userId, "normal", place.seq - 1);
      return { what: "added", id: user, fields: { groupname: group.groupname }, members: members + 1 };
    },
    concerned: userId,
    fields: () => ({ id: userId, ...(user ? { name: user.name } : {}) }),
  };
}

/** A member whom somebody else does something about, with its name. */
async function memberOf(
  { tx, groupId }: Scene,
  userId: number,
): Promise<{ user: Who; role: GroupRole }> {
  const role = await changes.roleOf(tx, groupId, userId);
  if (!role) throw new Refusal(ERRNO.NOT_FOUND, `User ${userId} is not in this group`);
  return { user: await changes.userNamed(tx, userId), role };
}

/** Op `remove`: admins remove normal members, the creator all others. */
function remove(_services: Services, request: Request): Plan {
  const userId = otherField(request);
  return {
    async deed(scene) {
      const { tx, groupId, who, role, place, members } = scene;
      if (role === "normal") throw notAllowed("Only the group's creator and admins can remove somebody");
      if (userId === who.id) throw notAllowed("That is you; leave the group instead");
      const target = await memberOf(scene, userId);
      if (role === "admin" && target.role !== "normal") {
        throw notAllowed("Only the group's creator can remove an admin");
      }
      await changes.part(tx, groupId, userId, place);
      return { what: "removed", id: target.user, members: members - 1 };
    },
    concerned: userId,
    fields: () => ({ id: userId }),
  };
}

function checkCreator(role: GroupRole): void {
  if (role !== "creator") throw notAllowed("Only the group's creator can do that");
}

/** Op `role`: a member becomes an admin, or is one no longer. */
function changeRole(_services: Services, request: Request): Plan {
  const userId = otherField(request);
  const { role: wanted } = request.frame;
  if (wanted !== "admin" && wanted !== "normal") {
    throw new Refusal(ERRNO.MALFORMED, 'Field "role" is not admin or normal');
  }
  return {
    async deed(scene) {
      checkCreator(scene.role);
      const { user, role } = await memberOf(scene, userId);
      if (role === "creator") throw notAllowed("A creator stays one; hand the group over instead");
      if (role === wanted) return undefined;
      await changes.setRole(scene.tx, scene.groupId, userId, wanted);
      return { what: "role", id: user, fields: { role: wanted } };
    },
    concerned: userId,
    fields: () => ({ id: userId, role: wanted }),
  };
}

/** Op `transfer`: another member is the creator from now on, and who was it is an admin. */
function transfer({ dialect, settings: { maxGroupsCreated } }: Services, request: Request): Plan {
  const userId = otherField(request);
  const { login } = request;
  const groupId = request.integer("groupid");
  return {
    async deed(scene) {
      checkCreator(scene.role);
      if (userId === scene.who.id) return undefined;
      const { user } = await memberOf(scene, userId);
      if ((await changes.groupCounts(scene.tx, dialect, userId)).created >= maxGroupsCreated) {
        throw notAllowed(`A user can be the creator of at most ${maxGroupsCreated} groups`);
      }
      await changes.setRole(scene.tx, groupId, scene.who.id, "admin");
      await changes.setRole(scene.tx, groupId, userId, "creator");
      return { what: "role", id: user, fields: { role: "creator" } };
    },
    concerned: userId,
    done(stored) {
      if (stored && !stored.isRepeat && login.groups.has(groupId)) login.groups.set(groupId, "admin");
    },
    fields: () => ({ id: userId, role: "creator" }),
  };
}

/** Op `edit`. */
function edit(_services: Services, request: Request): Plan {
  const { groupname, groupdesc, join } = request.frame;
  const wanted: Partial<GroupText> = {};
  if (groupname !== undefined) {
    const name = request.string("groupname");
    checkName(name);
    wanted.groupname = normalizeName(name);
  }
  if (groupdesc !== undefined) wanted.groupdesc = descriptionField(request);
  if (join !== undefined) wanted.join = joinField(request, "closed");
  return {
    async deed({ tx, groupId, role, group }) {
      checkAdmin(role);
      const changed = Object.entries(wanted).filter(([field, value]) =>
        group[field as keyof GroupText] !== value
      );
      if (changed.length === 0) return undefined;
      const after = { ...group, ...wanted };
      if (
        after.groupname !== group.groupname &&
        await changes.isNameTaken(tx, groupId, nameKey(after.groupname))
      ) {
        throw nameTaken();
      }
      await changes.describeGroup(tx, groupId, group, after);
      return { what: "edited", fields: Object.fromEntries(changed) };
    },
  };
}

function checkAdmin(role: GroupRole): void {
  if (role === "normal") throw notAllowed("Only the group's creator and admins can do that");
}

/** Op `dissolve`. */
function dissolve(_services: Services, { login }: Request): Plan {
  return {
    async deed({ tx, groupId, role, place }) {
      checkCreator(role);
      await changes.dissolve(tx, groupId, place);
      return { what: "dissolved", members: 0 };
    },
    done(stored) {
      if (stored) endHere(login, stored);
    },
  };
}

/** Op `link`: makes one, or takes one away. A closed group that gets one is closed no longer. */
function link(_services: Services, request: Request): Plan {
  if (request.frame.revoke !== undefined) return revoke(request.string("revoke"));
  const uses = countField(request, "uses", LINK_USES_MAX, LINK_USES_MAX);
  const ttlMs = countField(request, "ttl_ms", LINK_TTL_MS, LINK_TTL_MAX_MS);
  const text = createLink();
  const created = Date.now();
  return {
    isAnew: true,
    async deed({ tx, groupId, who, role, group }) {
      checkAdmin(role);
      const isAdded = await addLink(
        tx,
        text,
        { groupId, userId: who.id, uses, created, expires: created + ttlMs },
        LINKS_MAX,
      );
      if (!isAdded) throw notAllowed(`A group has at most ${LINKS_MAX} links at a time; revoke one`);
      if (group.join !== "closed") return undefined;
      await changes.describeGroup(tx, groupId, group, { ...group, join: "link" });
      return { what: "edited", fields: { join: "link" } };
    },
    fields: () => ({ link: text, expires: created + ttlMs }),
  };
}

function revoke(text: string): Plan {
  return {
    async deed({ tx, groupId, role }) {
      checkAdmin(role);
      if (!isLink(text) || !await revokeLink(tx, text, groupId)) throw noSuchLink();
      return undefined;
    },
  };
}

/** A number of something, from 1 on; more than `max` is `max`. */
function countField(request: Request, field: string, otherwise: number, max: number): number {
  const { [field]: value } = request.frame;
  if (value === undefined) return otherwise;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw new Refusal(ERRNO.MALFORMED, `Field "${field}" is not an integer from 1 on`);
  }
  return Math.min(value, max);
}

function noSuchLink(): Refusal {
  return new Refusal(ERRNO.NOT_FOUND, "This link is not good, or not any more");
}

/** Op `join`: by a link. */
async function joinByLink(services: Services, request: Request): Promise<void> {
  const text = request.string("link");
  const groupId = isLink(text) ? await services.groups.ofLink(text) : undefined;
  if (groupId === undefined) throw noSuchLink();
  await joinGroup(services, request, groupId, async ({ join }, tx) => {
    if (join === "closed" || !await takeLink(tx, text, groupId, Date.now())) throw noSuchLink();
  });
  const group = await services.groups.summary(groupId, request.login.groups.get(groupId) ?? "normal");
  request.reply({ groupid: groupId, ...(group ? { group } : {}) });
}

/** Op `members`: a page of them, by id, and the group. */
async function listMembers({ groups }: Services, request: Request): Promise<void> {
  const groupId = request.integer("groupid");
  const { after = 0 } = request.frame;
  if (typeof after !== "number" || !Number.isSafeInteger(after)) {
    throw new Refusal(ERRNO.MALFORMED, 'Field "after" is not an integer');
  }
  const limit = countField(request, "limit", LISTED_MAX, LISTED_MAX);
  const found = await groups.members(groupId, request.login.userId, after, limit + 1);
  const group = found && await groups.summary(groupId, found.role);
  if (!group) throw noSuchGroup(groupId);
  request.reply({
    groupid: groupId,
    users: found.users.slice(0, limit),
    more: found.users.length > limit,
    group,
  });
}
