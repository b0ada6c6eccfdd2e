/**
 * What the server knows about one connection: its protocol version and who is logged in on it.
 *
 * @module
 */
import type { LogFields } from "../base/logger.ts";
import type { EndOptions } from "../net/connection.ts";
import type { Mailbox, Outlet } from "../log/mailbox.ts";
import type { Written } from "../net/send_queue.ts";
import type { Who } from "../protocol/entries.ts";
import { MSGID, type NoticeCode, type ProtocolVersion } from "../protocol/protocol.ts";
import type { GroupRole } from "../store/group_changes.ts";
import { turnTime } from "../base/turn.ts";

/** Messages of one connection that may wait for their commit; then its next frame is not read. */
const APPENDS_AT_ONCE = 64;

/** A notice's text and what the client is to do. */
export interface Notice {
  /** Why. */
  code: NoticeCode;
  /** For people. */
  text: string;
  /** False: do not come back by yourself. */
  reconnect: boolean;
  /** Come back no sooner than this. */
  retry_after_ms?: number;
}

/** A connection as sessions see it. */
export interface SessionOutlet extends Outlet {
  /** The peer, as "address:port". */
  readonly remote: string;
  /** The longest frame that the peer can read, in bytes. */
  readonly frameLimitBytes: number;
  /** When bytes last came from it, as of performance.now(). */
  readonly lastReadAt: number;
  /** Queues the answer to what the peer has asked for, which is written before what others are sent. */
  answer(frame: string | readonly string[], written?: Written): void;
  /** Several frames may share one write. */
  allowGluing(): void;
  /** Says a last frame and closes. */
  end(lastFrame?: string, options?: EndOptions): void;
}

/** Who is logged in on a connection, from login to logout. */
export interface Login {
  /** User id. */
  readonly userId: number;
  /** On which of the user's devices; 0: of versions 1 and 2. */
  readonly device: number;
  /** What the user is called now. */
  name: string;
  /** Of the presence claim. */
  readonly generation: number;
  /** The groups the user is in. */
  readonly groups: Map<number, GroupRole>;
  /** What the user still has to receive. */
  readonly mailbox: Mailbox;
}

/** As entries of the log name who is logged in. */
export function whoIs({ userId: id, name }: Login): Who {
  return { id, name };
}

/** What lines of the log say about a session: which it is, and whose as far as that is known. */
export function traceOf({ id, outlet, login }: Session): LogFields {
  return { session: id, remote: outlet.remote, user: login?.userId, device: login?.device || undefined };
}

/** One connection's session. */
export class Session {
  /** Unique in this process; stands in the log. */
  readonly id: number;
  /** The connection. */
  readonly outlet: SessionOutlet;
  /** What limits by address go by; undefined: the address is no person's. */
  readonly person: string | undefined;
  /** 2 or 3 once a login, signup or resume has asked for it. */
  version: ProtocolVersion = 1;
  /** Of whose login it is the session, the newest event that had ended sessions of that user before. */
  revoked = 0;
  /** Called when somebody has logged in or out. */
  onLogin: ((isLoggedIn: boolean) => void) | undefined;
  /** Since when nobody has been logged in, as of performance.now(). */
  anonymousSince: number = turnTime();
  /** When a heartbeat last came as a datagram, as of performance.now(). */
  beatAt = 0;
  /** What such a heartbeat has to show: another one for each login; undefined: none can come. */
  udpKey: string | undefined;
  /** Nothing will be read or sent any more. */
  isEnded = false;
  /** Passwords and tokens refused in a row. */
  refusedLogins = 0;
  /** When the last one was, as of performance.now(). */
  refusedLoginAt = 0;
  /** Frames refused so far; the log names only the first few. */
  refusedFrames = 0;
  #login: Login | undefined;
  #appends = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #onSettled: (() => void)[] = [];

  /** `id`: unique in this process. */
  constructor(id: number, outlet: SessionOutlet, person?: string) {
    this.id = id;
    this.outlet = outlet;
    this.person = person;
  }

  /** Who is logged in. */
  get login(): Login | undefined {
    return this.#login;
  }

  set login(login: Login | undefined) {
    if (login === undefined && this.#login) this.anonymousSince = turnTime();
    this.#login = login;
    this.onLogin?.(login !== undefined);
  }

  /**
   * Switches to a version for the rest of the connection; never back, and to version 3 only while nobody is logged in: its
   * logins are of devices.
   */
  upgrade(version: 2 | 3): void {
    if (version <= this.version || (version === 3 && this.#login)) return;
    this.version = version;
    this.outlet.allowGluing();
  }

  /** Tells the client why and closes its connection. */
  end(notice: Notice, options?: EndOptions): void {
    this.outlet.end(JSON.stringify({ msgid: MSGID.NOTICE_MSG, ...notice }), {
      ...options,
      reason: notice.code,
    });
  }

  /** A message of this connection begins to wait for its commit. */
  beginAppend(): void {
    this.#appends++;
  }

  /** It has its answer. */
  endAppend(): void {
    this.#appends--;
    if (this.#appends <= APPENDS_AT_ONCE / 2) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    if (this.#appends > 0) return;
    for (const resolve of this.#onSettled.splice(0)) resolve();
  }

  /** Undefined when the next frame may be handled at once; else a promise to wait for first. */
  roomForAppend(): Promise<void> | undefined {
    if (this.#appends < APPENDS_AT_ONCE) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Resolves when no message of this connection waits for an answer. */
  settled(): Promise<void> {
    if (this.#appends === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onSettled.push(resolve));
  }
}
