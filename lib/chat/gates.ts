/**
 * What every frame passes before its handler: is it JSON, is its msgid known, is the user logged in, are the fields there,
 * is it the user's own id. A frame that is refused costs nobody else anything.
 *
 * @module
 */
import { type Command, COMMANDS } from "./commands.ts";
import { errorText, PresenceError } from "../base/errors.ts";
import type { RawFrame } from "../protocol/framer.ts";
import { DEPTH_MAX, ERRNO, isJsonObject, type JsonObject, MSGID } from "../protocol/protocol.ts";
import type { Subject } from "./limit_book.ts";
import { type Answer, Refusal, refusalOf, Request, tooMany } from "./request.ts";
import type { Quota } from "./quotas.ts";
import type { Services } from "./services.ts";
import { type Notice, type Session, traceOf } from "./session.ts";
import { turnTime } from "../base/turn.ts";

const CID_MAX = 64;
/** Refused frames of one connection that are named in the log one by one. */
const REFUSALS_LOGGED = 10;

/** What the server knows of who is logged in: version 3 may leave it out. */
const OWN_FIELDS: ReadonlySet<string> = new Set(["id", "name", "time"]);

const TOO_MANY_REFUSED: Notice = {
  code: "flood",
  text: "Hundreds of your frames had to be refused.",
  reconnect: true,
  retry_after_ms: 10_000,
};

/** How a frame is answered that never came to a command. */
const NO_COMMAND: Answer = { success: MSGID.ACK_MSG, failure: MSGID.ACK_MSG, isAlways: false };

/**
 * Handles one frame of a session. What it returns is to be waited for before the next frame of the same connection.
 * Never throws or rejects.
 */
export function handleFrame(services: Services, session: Session, raw: RawFrame): Promise<void> | void {
  const frame = parse(raw);
  const cid = frame && readCid(frame);
  const command = frame && findCommand(session, frame);
  const request = new Request(session, raw, frame ?? {}, command?.answer ?? NO_COMMAND, cid);
  try {
    if (!frame) throw new Refusal(ERRNO.MALFORMED, "Not a JSON object in UTF-8");
    if (raw.isTooDeep) throw new Refusal(ERRNO.MALFORMED, `Nested deeper than ${DEPTH_MAX}`);
    if (!command) throw unknownCommand(frame);
    if (cid === undefined && frame.cid !== undefined) throw badCid();
    checkLogin(session, command);
    checkFields(session, command, frame);
    const waitMs = command.isCostly || command.quota ? measure(services, request, command) : 0;
    const done = waitMs > 0
      ? handleLater(waitMs, services, request, command)
      : command.handler(services, request);
    return done?.catch((error) => refuse(services, request, error));
  } catch (error) {
    refuse(services, request, error);
  }
}

/**
 * How long a request has to wait for its turn, ms. What a user has too much of, version 2 is told to send later; version 1
 * cannot be told, and waits.
 */
function measure(services: Services, request: Request, { isCostly, quota: counted }: Command): number {
  const { session, frame, byteLength } = request;
  const quota = typeof counted === "function" ? counted(frame) : counted;
  const { limits } = services;
  const now = turnTime();
  const weight = weightOf(services, session);
  const costMs = isCostly ? requestsOf(services, session).take("requests", now, weight) : 0;
  if (costMs > 0) limits.note("requests", whoOf(session), costMs);
  if (quota === undefined) return costMs;
  const own = services.quotas.of(request.login.userId);
  const isTold = session.version >= 2;
  const quotaMs = quota === "messages"
    ? isTold ? own.tryMessage(now, byteLength, weight) : own.takeMessage(now, byteLength, weight)
    : isTold
    ? own.tryTake(quota, now, weight)
    : own.take(quota, now, weight);
  if (quotaMs === 0) return costMs;
  limits.note(quota, whoOf(session), quotaMs);
  if (isTold) throw tooMany("You send too much in too short a time", quotaMs);
  return Math.max(costMs, quotaMs);
}

function whoOf({ login, person }: Session): Subject {
  return { userId: login?.userId, person };
}

/** Who is online on several nodes has on each a share of what a user may do. */
function weightOf({ delivery }: Services, { login }: Session): number {
  return login ? delivery.sharesOf(login.userId) : 1;
}

/** From version 3 on a user's connections share one measure. */
function requestsOf({ quotas }: Services, session: Session): Quota {
  const { version, login } = session;
  return version === 3 && login ? quotas.of(login.userId) : quotas.ofConnection(session);
}

/** The connection's next frame is not read before this one has had its turn. */
async function handleLater(
  waitMs: number,
  services: Services,
  request: Request,
  command: Command,
): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  await command.handler(services, request);
}

function parse({ text }: RawFrame): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    const frame: unknown = JSON.parse(text);
    return isJsonObject(frame) ? frame : undefined;
  } catch {
    // The refusal says all there is to say about it.
    return undefined;
  }
}

function readCid({ cid }: JsonObject): string | undefined {
  return typeof cid === "string" && cid.length > 0 && cid.length <= CID_MAX && cid.isWellFormed()
    ? cid
    : undefined;
}

function badCid(): Refusal {
  return new Refusal(ERRNO.MALFORMED, `Field "cid" is not a string of 1 to ${CID_MAX} characters`);
}

/** The command of a frame, if this connection may use it; the switch to another version happens here. */
function findCommand(session: Session, { msgid, v }: JsonObject): Command | undefined {
  const command = typeof msgid === "number" ? COMMANDS.get(msgid) : undefined;
  if (command?.upgrades && (v === 2 || v === 3)) session.upgrade(v);
  return command && command.version <= session.version ? command : undefined;
}

function unknownCommand({ msgid }: JsonObject): Refusal {
  return Number.isInteger(msgid)
    ? new Refusal(ERRNO.UNKNOWN_MSGID, `Unknown msgid ${msgid}`)
    : new Refusal(ERRNO.MALFORMED, 'Field "msgid" is missing or not an integer');
}

function checkLogin(session: Session, { name, needsLogin }: Command): void {
  if (needsLogin && !session.login) throw new Refusal(ERRNO.NOT_LOGGED_IN, `${name} needs a login first`);
}

/** What a field must be, taken apart: every message is held against it. */
interface FieldCheck {
  field: string;
  isText: boolean;
  isOptional: boolean;
  isOwn: boolean;
}

function checksOf(fields: Command["fields"]): FieldCheck[] {
  return Object.entries(fields).map(([field, type]) => ({
    field,
    isText: type.startsWith("string"),
    isOptional: type.endsWith("?"),
    isOwn: OWN_FIELDS.has(field),
  }));
}

const CHECKS: ReadonlyMap<Command["fields"], readonly FieldCheck[]> = new Map(
  [...COMMANDS.values()].flatMap(({ fields, fields3 = fields }) => [fields, fields3])
    .map((fields) => [fields, checksOf(fields)]),
);

function checkFields(session: Session, command: Command, frame: JsonObject): void {
  const { needsLogin } = command;
  const isVersion3 = session.version === 3;
  const fields = isVersion3 ? command.fields3 ?? command.fields : command.fields;
  const areOwnKnown = needsLogin && isVersion3;
  for (const { field, isText, isOptional, isOwn } of CHECKS.get(fields) ?? []) {
    const value = frame[field];
    const isRight = value === undefined
      ? isOptional || (areOwnKnown && isOwn)
      : isText
      ? typeof value === "string"
      : Number.isSafeInteger(value);
    if (isRight) continue;
    throw new Refusal(
      ERRNO.MALFORMED,
      `Field "${field}" is missing or not ${isText ? "a string" : "an integer"}`,
    );
  }
  if (needsLogin && "id" in fields && (frame.id ?? session.login?.userId) !== session.login?.userId) {
    throw new Refusal(ERRNO.NOT_ALLOWED, `Field "id" is not the logged-in user's`);
  }
}

/** The one place where a failed request ends. */
function refuse(services: Services, request: Request, error: unknown): void {
  const { logger, refusalLines, failureLines, quotas, limited } = services;
  const { session, frame: { msgid } } = request;
  const refusal = refusalOf(error);
  request.refuse(refusal);
  // An outage is told of once, and not for each who meets it.
  if (error instanceof PresenceError) return;
  const fields = () => ({
    ...traceOf(session),
    request: typeof msgid === "number" ? msgid : undefined,
    cid: request.cid,
    errno: refusal.errno,
    reason: errorText(error),
  });
  const now = performance.now();
  if (!(error instanceof Refusal)) {
    if (failureLines.take(now)) logger.error("request failed", fields());
    return;
  }
  if (session.refusedFrames++ < REFUSALS_LOGGED && refusalLines.take(now)) {
    logger.info("frame refused", fields());
  }
  if (quotas.ofConnection(session).take("refusals", now) > 0) {
    limited.refusals++;
    session.end(TOO_MANY_REFUSED);
  }
}
