/**
 * Who has shown the right password within the last day, so that scrypt need not find it right again: after a node's death
 * all its users come back at once, and those of version 1 have no token.
 *
 * Kept is a digest, HMAC-SHA256 of user, stored hash and password. With its key and the stored hash it would let passwords be
 * tried without scrypt, so keys are in the memory of nodes and nowhere else: not in the database, not in Redis, not on the
 * way between nodes. Each node draws one for itself, and a pair of keys (X25519) whose public one it announces; any two nodes
 * have a secret that neither of them has sent. Whoever has found a password right tells each of the others its digest under
 * that. So nothing is easier to guess with the database, with Redis, with all that has ever passed through Redis, or with the
 * three together; and when a node ends, its digests are worth nothing.
 *
 * Nothing has to be withdrawn: a digest is of the hash that is stored, which every login reads. Another password or another
 * cost makes it wrong, and the account's state is looked at as ever.
 *
 * From outside, a wrong password is no faster to try than before: it is compared, found wrong, and then hashed and counted
 * like any other; one that is not hashed, for want of a turn or because its client has gone, is counted all the same. A burst
 * of them would be compared before the first is counted; so until one is, nobody else's is compared for that account or from
 * that address.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { forgetOldest } from "../base/forget_oldest.ts";
import { ENVELOPE, type Envelope } from "../cluster/envelope.ts";
import type { Delivery } from "../log/delivery.ts";
import { equalInConstantTime, normalizePassword } from "./password.ts";
import { isJsonObject } from "../protocol/protocol.ts";

/** How long a password counts as found right, ms. */
const RECENT_MS = 86_400_000;
/** Users kept, some 200 bytes each; the one that was noted longest ago is forgotten first. */
const KEPT = 100_000;
/** How often a node announces itself, and forgets what is too old, ms. */
const ANNOUNCE_MS = 10_000;
/** A node that has not been heard for so long is not told any more, ms. */
const SILENT_MS = 3 * ANNOUNCE_MS;
const KEY_BYTES = 32;
const DIGEST_CHARS = 43;

/** A login by password. */
export interface Attempt {
  /** Whose. */
  userId: number;
  /** From where: as in person_address.ts. */
  person: string | undefined;
  /** The hash it is held against; undefined: nothing that was found right need be looked for. */
  stored: string | undefined;
  /** As it came. */
  password: string;
}

/** What {@link RecentPasswords.recognise} found; to be disposed of when a wrong one has been counted. */
export interface Recognition extends Disposable {
  /** It was found right. */
  isRight: boolean;
  /** It is not what was found right: unless another hash is stored since, it is wrong. Neither: nobody knows. */
  isWrong: boolean;
}

interface Entry {
  /** What the digest is made with. */
  key: Uint8Array;
  /** In base64url: a text takes a fifth of the memory of bytes. */
  digest: string;
  /** By scrypt, on whichever node. */
  verifiedAt: number;
  /** Nodes that have been there since before this know of it. */
  toldAt: number;
}

/** Another node. */
interface Peer {
  /** Of the two. */
  key: Uint8Array;
  since: number;
  heardAt: number;
}

/** What {@link RecentPasswords} works with. */
export interface RecentPasswordsOptions {
  /** The way to the other nodes. */
  delivery: Pick<Delivery, "publishNews">;
  /** Monotonic clock, ms. */
  now: () => number;
}

/** One per node. */
export class RecentPasswords {
  readonly #options: RecentPasswordsOptions;
  readonly #ownKey: Uint8Array = randomBytes(KEY_BYTES);
  readonly #privateKey: KeyObject;
  /** The public key, in base64url. */
  readonly #name: string;
  /** By name. */
  readonly #peers = new Map<string, Peer>();
  readonly #entries = new Map<number, Entry>();
  /** Accounts and addresses of passwords that were found wrong here and are not counted yet. */
  readonly #held = new Set<number | string>();
  #announceAt = 0;
  /** For metrics: hashes that need not be made. */
  spared = 0;

  /** See {@link RecentPasswordsOptions}. */
  constructor(options: RecentPasswordsOptions) {
    this.#options = options;
    const { privateKey, publicKey } = generateKeyPairSync("x25519");
    this.#privateKey = privateKey;
    this.#name = publicKey.export({ format: "jwk" }).x ?? "";
  }

  /** Scrypt has found `password` right; `stored` is its hash. */
  note(userId: number, stored: string, password: string): void {
    const now = this.#options.now();
    const text = textOf(userId, stored, password);
    const digest = digestOf(this.#ownKey, text);
    this.#remember(userId, { key: this.#ownKey, digest, verifiedAt: now, toldAt: now });
    this.#tell(userId, text, now, this.#peers);
  }

  /** Looks whether a password was found right within the last day. */
  recognise({ userId, person, stored, password }: Attempt): Recognition {
    const isHeld = this.#held.has(userId) || (person !== undefined && this.#held.has(person));
    const entry = this.#entries.get(userId);
    if (isHeld || !entry || stored === undefined || this.#isOld(entry)) return recognition({});
    const text = textOf(userId, stored, password);
    const isRight = equalInConstantTime(Buffer.from(digestOf(entry.key, text)), Buffer.from(entry.digest));
    if (!isRight) return this.#hold(userId, person);
    this.spared++;
    const newcomers = [...this.#peers].filter(([, { since }]) => since >= entry.toldAt);
    this.#tell(userId, text, entry.verifiedAt, newcomers);
    entry.toldAt = this.#options.now();
    return recognition({ isRight: true });
  }

  #hold(userId: number, person: string | undefined): Recognition {
    const subjects = person === undefined ? [userId] : [userId, person];
    for (const subject of subjects) this.#held.add(subject);
    return recognition({ isWrong: true }, () => {
      for (const subject of subjects) this.#held.delete(subject);
    });
  }

  #isOld({ verifiedAt }: Entry): boolean {
    return this.#options.now() - verifiedAt >= RECENT_MS;
  }

  #remember(userId: number, entry: Entry): void {
    this.#entries.delete(userId);
    this.#entries.set(userId, entry);
    if (this.#entries.size > KEPT) forgetOldest(this.#entries);
  }

  /** Who does not hear of it has to hash once more. */
  #tell(userId: number, text: string, verifiedAt: number, peers: Iterable<[string, Peer]>): void {
    const digests = [...peers].map(([name, { key }]) => [name, digestOf(key, text)]);
    if (digests.length === 0) return;
    this.#options.delivery.publishNews(undefined, {
      kind: ENVELOPE.verified,
      sender: userId,
      seq: Math.ceil(this.#options.now() - verifiedAt),
      conversation: this.#name,
      frame: JSON.stringify(Object.fromEntries(digests)),
    });
  }

  /** What another node has published. Throws when it is not what that node should have sent. */
  onMessage({ kind, sender, seq, conversation, frame }: Envelope): void {
    const { key } = this.#meet(conversation);
    if (kind !== ENVELOPE.verified) return;
    const digests: unknown = JSON.parse(frame);
    const digest = isJsonObject(digests) ? digests[this.#name] : undefined;
    // That of a node which did not know of this one, or of one that this one has come after.
    if (typeof digest !== "string") return;
    if (digest.length !== DIGEST_CHARS) throw new Error("This is no digest of a password");
    const now = this.#options.now();
    this.#remember(sender, { key, digest, verifiedAt: now - seq, toldAt: now });
  }

  #meet(name: string): Peer {
    const now = this.#options.now();
    const known = this.#peers.get(name);
    if (known) {
      known.heardAt = now;
      return known;
    }
    const peer = { key: this.#keyWith(name), since: now, heardAt: now };
    this.#peers.set(name, peer);
    // It has just come, and does not know this one.
    this.#announceAt = now;
    return peer;
  }

  #keyWith(name: string): Uint8Array {
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x: name }, format: "jwk" });
    const secret = diffieHellman({ privateKey: this.#privateKey, publicKey });
    return createHash("sha256").update("recent passwords\n").update(secret).digest();
  }

  /** To be called about once a second. */
  tick(): void {
    const now = this.#options.now();
    if (now < this.#announceAt) return;
    this.#announceAt = now + ANNOUNCE_MS;
    this.#options.delivery.publishNews(undefined, { kind: ENVELOPE.peer, conversation: this.#name });
    for (const [name, { heardAt }] of this.#peers) {
      if (now - heardAt > SILENT_MS) this.#peers.delete(name);
    }
    for (const [userId, entry] of this.#entries) {
      // Those behind it came later. One that was found right long before it came here takes its place a while longer.
      if (!this.#isOld(entry)) break;
      this.#entries.delete(userId);
    }
  }
}

function recognition(
  { isRight = false, isWrong = false }: { isRight?: boolean; isWrong?: boolean },
  end: () => void = () => {},
): Recognition {
  return { isRight, isWrong, [Symbol.dispose]: end };
}

/** A stored hash has no line breaks. */
function textOf(userId: number, stored: string, password: string): string {
  return `${userId}\n${stored}\n${normalizePassword(password)}`;
}

function digestOf(key: Uint8Array, text: string): string {
  return createHmac("sha256", key).update(text).digest("base64url");
}
