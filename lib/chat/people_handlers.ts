/**
 * What users do about each other: find, add, remove, block.
 *
 * @module
 */
import { nameKey } from "../protocol/names.ts";
import { ERRNO } from "../protocol/protocol.ts";
import { Refusal, type Request } from "./request.ts";
import type { Services } from "./services.ts";
import { TooMany } from "../store/contacts.ts";
import type { User } from "../store/users.ts";

/** Users whom one may block. */
const BLOCKED_MAX = 1_000;
/** Those who are found by how their names begin. */
const FOUND_MAX = 20;
/** A name as it is sent, in UTF-16 units, at most: nothing longer is anybody's. */
const NAME_UNITS = 400;

/** Of an id that nobody has. */
export function noSuchUser(id: number): Refusal {
  return new Refusal(ERRNO.NOT_FOUND, `There is no user ${id}`);
}

/** A text that a name could be, or begin with. */
function nameField(request: Request, field: string): string {
  const name = request.string(field);
  if (name === "" || name.length > NAME_UNITS || !name.isWellFormed()) {
    throw new Refusal(ERRNO.MALFORMED, `Field "${field}" is no name`);
  }
  return name;
}

async function userNamed({ contacts }: Services, name: string): Promise<User> {
  const user = await contacts.named(name);
  if (!user) throw new Refusal(ERRNO.NOT_FOUND, `There is no user named ${JSON.stringify(name)}`);
  return user;
}

/** ADD_FRIEND_MSG: one direction only. From version 3 on also by name. */
export async function addFriend(services: Services, request: Request): Promise<void> {
  const { users, contacts, admission, news, settings } = services;
  const { session, login: { userId }, frame: { friendid } } = request;
  const isByName = session.version === 3 && friendid === undefined && request.frame.friendname !== undefined;
  const named = isByName ? await userNamed(services, nameField(request, "friendname")) : undefined;
  const friendId = named?.id ?? request.integer("friendid");
  if (friendId === userId) throw new Refusal(ERRNO.NOT_ALLOWED, "You cannot add yourself as a friend");
  const friend = named ?? await users.find(friendId);
  if (!friend) throw noSuchUser(friendId);
  const { maxFriends } = settings;
  const isNew = await contacts.addFriend(userId, friendId, maxFriends)
    .catch((error) => refuseMore(error, `You can add at most ${maxFriends} friends`));
  if (isNew) {
    news.meet(session, [[friendId, friend.state]]);
    await admission.changeCircle(userId);
  }
  request.reply({ friendid: friendId, name: friend.name, state: friend.state });
}

function refuseMore(error: unknown, text: string): never {
  throw error instanceof TooMany ? new Refusal(ERRNO.NOT_ALLOWED, text) : error;
}

/** FIND_MSG: by the whole name, or by how it begins. */
export async function find({ contacts, settings }: Services, request: Request): Promise<void> {
  const { frame } = request;
  if (frame.prefix === undefined) {
    const found = await contacts.named(nameField(request, "name"));
    return request.reply({ users: found ? [found] : [] });
  }
  const prefix = nameField(request, "prefix");
  const { limit = FOUND_MAX } = frame;
  if (typeof limit !== "number" || limit < 1) {
    throw new Refusal(ERRNO.MALFORMED, 'Field "limit" is less than 1');
  }
  if (settings.directory === "closed") {
    throw new Refusal(ERRNO.NOT_ALLOWED, "Here users are found by their whole names only");
  }
  // Of nothing but invisible characters nothing is left.
  if (nameKey(prefix).length === 0) throw new Refusal(ERRNO.MALFORMED, 'Field "prefix" is no name');
  request.reply({ users: await contacts.namedLike(prefix, Math.min(limit, FOUND_MAX)) });
}

/** CONTACT_MSG. */
export async function contact(services: Services, request: Request): Promise<void> {
  const op = request.string("op");
  const { userId } = request.login;
  if (op === "blocked") return request.reply({ users: await services.contacts.blocked(userId) });
  const change = CHANGES.get(op);
  if (!change) throw new Refusal(ERRNO.MALFORMED, `There is no op ${JSON.stringify(op.slice(0, 20))}`);
  const id = request.integer("id");
  if (!Number.isSafeInteger(id)) throw new Refusal(ERRNO.MALFORMED, 'Field "id" is not an integer');
  if (id === userId) throw new Refusal(ERRNO.NOT_ALLOWED, "That is you");
  if (!await services.users.find(id)) throw noSuchUser(id);
  await change(services, userId, id);
  await services.admission.changeCircle(userId);
  request.reply({ id });
}

/** What a user does about another one. */
type ContactChange = (services: Services, userId: number, id: number) => Promise<void>;

const CHANGES: ReadonlyMap<string, ContactChange> = new Map(
  [
    ["remove", ({ contacts }, userId, id) => contacts.removeFriend(userId, id)],
    ["block", ({ contacts }, userId, id) =>
      contacts.block(userId, id, Date.now(), BLOCKED_MAX)
        .catch((error) => refuseMore(error, `You can block at most ${BLOCKED_MAX} users`))],
    ["unblock", ({ contacts }, userId, id) => contacts.unblock(userId, id)],
  ] satisfies [string, ContactChange][],
);
