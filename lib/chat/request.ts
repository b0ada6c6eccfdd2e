/**
 * One frame of a client on its way through the gates to its handler, and the reply on its way back.
 *
 * @module
 */
import { DatabaseError, type DatabaseErrorKind, PresenceError } from "../base/errors.ts";
import { NotMemberError } from "../log/message_log.ts";
import type { RawFrame } from "../protocol/framer.ts";
import { ERRNO, type JsonObject, toJson } from "../protocol/protocol.ts";
import type { Written } from "../net/send_queue.ts";
import type { Login, Session } from "./session.ts";

/** A refusal that the client is told of, as far as its protocol version can tell. */
export class Refusal extends Error {
  /** As it stands in stack traces. */
  override readonly name = "Refusal";
  /** One of {@link ERRNO}. */
  readonly errno: number;
  /** Further fields of the reply. */
  readonly fields: JsonObject;

  /** `message` is the reply's errmsg. */
  constructor(errno: number, message: string, fields: JsonObject = {}) {
    super(message);
    this.errno = errno;
    this.fields = fields;
  }
}

/** What a client is told when the database has not done it. What is left out is nobody's fault but ours. */
const DATABASE_REFUSALS: Partial<Record<DatabaseErrorKind, [errno: number, message: string]>> = {
  conflict: [ERRNO.UNAVAILABLE, "The database is busy; try again"],
  unavailable: [ERRNO.UNAVAILABLE, "The database cannot be reached; try again"],
  unfit: [ERRNO.UNAVAILABLE, "The database cannot be used at the moment; try again"],
  full: [ERRNO.UNAVAILABLE, "The database is full; try again later"],
  too_large: [ERRNO.TOO_LARGE, "This is too large for the database"],
  refused: [ERRNO.MALFORMED, "The database does not take this"],
};

/** What a client is told of anything that was thrown while its request was worked on. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof NotMemberError) return new Refusal(ERRNO.NOT_ALLOWED, error.message);
  if (error instanceof PresenceError) {
    return new Refusal(ERRNO.UNAVAILABLE, "Nobody can log in at the moment; try again");
  }
  const known = error instanceof DatabaseError ? DATABASE_REFUSALS[error.kind] : undefined;
  return new Refusal(...known ?? [ERRNO.UNAVAILABLE, "Internal error; try again"]);
}

/** Refuses what may come again after `waitMs`, ms. */
export function tooMany(message: string, waitMs: number): Refusal {
  return new Refusal(ERRNO.TOO_MANY_REQUESTS, message, { retry_after_ms: Math.ceil(waitMs) });
}

/** How a request is answered. */
export interface Answer {
  /** msgid of the reply to a request that was done. */
  success: number;
  /** msgid of the reply to a request that was refused. */
  failure: number;
  /** The reply comes without a cid too, and to version 1: it is what the request is for. */
  isAlways: boolean;
}

/** What a handler is given. */
export class Request {
  /** Where it came from. */
  readonly session: Session;
  /** The frame as sent. */
  readonly text: string;
  /** Its length in bytes. */
  readonly byteLength: number;
  /** The frame, parsed; the fields the command names have been checked. */
  readonly frame: JsonObject;
  /** Members of the outermost object in the text. */
  readonly memberCount: number;
  /** Nothing in the text that readers take differently. */
  readonly isPlain: boolean;
  readonly #answer: Answer;
  readonly #cid: string | undefined;
  readonly #login: Login | undefined;

  /** `frame`: what `raw` is when parsed. `cid`: the client's id for this request, if it gave one. */
  constructor(
    session: Session,
    { text = "", byteLength, memberCount, isPlain }: RawFrame,
    frame: JsonObject,
    answer: Answer,
    cid: string | undefined,
  ) {
    this.session = session;
    this.text = text;
    this.byteLength = byteLength;
    this.frame = frame;
    this.memberCount = memberCount;
    this.isPlain = isPlain;
    this.#answer = answer;
    this.#cid = cid;
    this.#login = session.login;
  }

  /** The client's id for this request; undefined in version 1, whose clients know of none. */
  get cid(): string | undefined {
    return this.session.version >= 2 ? this.#cid : undefined;
  }

  /** Who asked; handlers behind the login gate always have one. */
  get login(): Login {
    if (!this.#login) throw new Refusal(ERRNO.NOT_LOGGED_IN, "Not logged in");
    return this.#login;
  }

  /** A field that the gate has checked to be a number. */
  integer(field: string): number {
    const value = this.frame[field];
    if (typeof value !== "number") {
      throw new Refusal(ERRNO.MALFORMED, `Field "${field}" is missing or not an integer`);
    }
    return value;
  }

  /** A field that the gate has checked to be a string. */
  string(field: string): string {
    const value = this.frame[field];
    if (typeof value !== "string") {
      throw new Refusal(ERRNO.MALFORMED, `Field "${field}" is missing or not a string`);
    }
    return value;
  }

  /** Answers with success, where the client expects an answer; `written` is told when it is out. */
  reply(fields: JsonObject = {}, written?: Written): void {
    if (this.isReplyExpected) this.#send(this.#answer.success, ERRNO.OK, toJson(fields), written);
  }

  /** Like {@link reply}, with the fields as the text of a JSON object that need not be built anew. */
  replyJson(fields: string, written?: Written): void {
    if (this.isReplyExpected) this.#send(this.#answer.success, ERRNO.OK, fields, written);
  }

  /** Like {@link replyJson}, with the text in parts. */
  replyParts([first = "{}", ...rest]: readonly string[], written?: Written): void {
    if (!this.isReplyExpected) return;
    this.session.outlet.answer([this.#head(this.#answer.success, ERRNO.OK, first), ...rest], written);
  }

  /** False: nobody is told of success, and {@link reply} does nothing. */
  get isReplyExpected(): boolean {
    return this.#answer.isAlways || this.cid !== undefined;
  }

  /**
   * Answers with a refusal, where the client's version has an answer for it. Version 1 knows two, and gets none for a
   * frame that is not well formed.
   */
  refuse({ errno, message, fields }: Refusal): void {
    const { failure, isAlways } = this.#answer;
    const isVersion1 = this.session.version === 1;
    if (isVersion1 && (!isAlways || errno === ERRNO.MALFORMED)) return;
    const told = isVersion1 && errno !== ERRNO.ALREADY_ONLINE ? ERRNO.REFUSED : errno;
    this.#send(failure, told, toJson({ errmsg: message, ...fields }), undefined);
  }

  #send(msgid: number, errno: number, fields: string, written: Written | undefined): void {
    this.session.outlet.answer(this.#head(msgid, errno, fields), written);
  }

  /** The fields every reply has, and `fields` behind them. */
  #head(msgid: number, errno: number, fields: string): string {
    const { cid } = this;
    const head = cid === undefined ? `{"msgid":${msgid}` : `{"msgid":${msgid},"cid":${toJson(cid)}`;
    const rest = fields === "{}" ? "}" : `,${fields.slice(1)}`;
    return `${head},"errno":${errno}${rest}`;
  }
}
