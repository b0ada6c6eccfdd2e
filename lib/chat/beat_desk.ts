/**
 * Heartbeats that come as datagrams, `{"msgid":18,"id":7,"udp_key":"…"}`: whose they are, and the way to the session they
 * keep alive, here or on another node.
 *
 * A datagram's sender can be anybody, and anybody may have read it on its way: it carries the key that its login was given
 * for beats and for nothing else. The database decides which are good; what it has said is believed for a while, so that a
 * beat usually costs no query. The session has the last word, for the key of an earlier login keeps none alive.
 *
 * @module
 */
import { forgetOldest } from "../base/forget_oldest.ts";
import type { Delivery } from "../log/delivery.ts";
import { isJsonObject, MSGID } from "../protocol/protocol.ts";
import type { Users } from "../store/users.ts";
import { isBeatKey, type TokenDesk } from "./tokens.ts";

/** Longer datagrams are no beats: a key has 66 characters. */
const DATAGRAM_MAX_BYTES = 256;
/** Good keys remembered. */
const KNOWN_MAX = 50_000;
/** Keys never seen before that are looked up a second, and at once: what a flood of wrong ones costs the database. */
const LOOKUPS_PER_SECOND = 500;
const LOOKUPS_AT_ONCE = 4;

/** What {@link BeatDesk} works with. */
export interface BeatDeskOptions {
  /** Passwords belong to keys. */
  users: Pick<Users, "account">;
  /** Knows good keys. */
  tokens: Pick<TokenDesk, "recogniseBeat">;
  /** Sessions, here and elsewhere. */
  delivery: Pick<Delivery, "sessionsOf" | "nodesOf" | "relayBeat">;
  /** Whether there is an elsewhere. */
  isClustered: boolean;
  /** How long a key is believed to be good, ms. */
  believeMs: number;
  /** A user's beats are passed on to another node no more often than this, ms. */
  relayEveryMs: number;
  /** Monotonic clock, ms. */
  now: () => number;
}

/** A key that was good when the database was asked. */
interface Known {
  userId: number;
  checkedAt: number;
  relayedAt: number;
  /** While the database is asked again. */
  check: Promise<boolean> | undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Takes beats. One per node. */
export class BeatDesk {
  readonly #options: BeatDeskOptions;
  /** By key, the one that was checked longest ago first. */
  readonly #known = new Map<string, Known>();
  #lookupsAtOnce = 0;
  #lookups = 0;
  #lookupsSince = 0;

  /** See {@link BeatDeskOptions}. */
  constructor(options: BeatDeskOptions) {
    this.#options = options;
  }

  /** Takes a datagram; resolves with whether it keeps a session alive. Never rejects. */
  async take(datagram: Uint8Array): Promise<boolean> {
    const beat = parseBeat(datagram);
    if (!beat) return false;
    const { userId, key } = beat;
    const { delivery, isClustered, now, relayEveryMs } = this.#options;
    const find = () => delivery.sessionsOf(userId).find(({ udpKey }) => udpKey === key);
    if (!isClustered && !find()) return false;
    const known = await this.#recognise(userId, key);
    if (!known) return false;
    const session = find();
    if (session) {
      session.beatAt = now();
      return true;
    }
    if (delivery.nodesOf(userId) === 1) return false;
    if (now() - known.relayedAt < relayEveryMs) return true;
    known.relayedAt = now();
    return await delivery.relayBeat(userId, key);
  }

  /** What is known of the key; undefined when it is not good, or when there is no time to find out. */
  async #recognise(userId: number, key: string): Promise<Known | undefined> {
    const { believeMs, now } = this.#options;
    const known = this.#known.get(key);
    if (known?.userId !== userId) {
      return await this.#lookUp(userId, key) ? this.#remember(userId, key, -Infinity) : undefined;
    }
    if (now() - known.checkedAt < believeMs) return known;
    known.check ??= this.#isGood(userId, key).catch(() => true);
    const isGood = await known.check;
    known.check = undefined;
    if (isGood) return this.#remember(userId, key, known.relayedAt);
    this.#known.delete(key);
    return undefined;
  }

  #remember(userId: number, key: string, relayedAt: number): Known {
    const known: Known = { userId, checkedAt: this.#options.now(), relayedAt, check: undefined };
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size > KNOWN_MAX) forgetOldest(this.#known);
    return known;
  }

  /** Asks the database about a key it has not been asked about, if it has not been asked too much already. */
  async #lookUp(userId: number, key: string): Promise<boolean> {
    const now = this.#options.now();
    if (now - this.#lookupsSince >= 1_000) {
      this.#lookupsSince = now;
      this.#lookups = 0;
    }
    if (this.#lookups >= LOOKUPS_PER_SECOND || this.#lookupsAtOnce >= LOOKUPS_AT_ONCE) return false;
    this.#lookups++;
    this.#lookupsAtOnce++;
    try {
      return await this.#isGood(userId, key);
    } catch {
      // The database is away, as others have logged; the client beats again.
      return false;
    } finally {
      this.#lookupsAtOnce--;
    }
  }

  async #isGood(userId: number, key: string): Promise<boolean> {
    const { users, tokens } = this.#options;
    const account = await users.account(userId);
    return account !== undefined && await tokens.recogniseBeat(key, userId, account.password);
  }
}

/** Undefined when the datagram is anything but a beat. */
function parseBeat(datagram: Uint8Array): { userId: number; key: string } | undefined {
  if (datagram.length > DATAGRAM_MAX_BYTES) return undefined;
  try {
    const beat: unknown = JSON.parse(decoder.decode(datagram));
    if (!isJsonObject(beat) || beat.msgid !== MSGID.HEARTBEAT_MSG) return undefined;
    const { id, udp_key: key } = beat;
    const isId = typeof id === "number" && Number.isSafeInteger(id) && id > 0;
    return isId && typeof key === "string" && isBeatKey(key) ? { userId: id, key } : undefined;
  } catch {
    // Whatever it is, it asks for nothing and gets nothing.
    return undefined;
  }
}
