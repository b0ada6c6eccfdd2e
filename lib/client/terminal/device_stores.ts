/**
 * The files of this machine's users at one server. Each client that runs is a device of its own, and has a file of its own:
 * `2.db` is the first of user 2, `2-2.db` the second. Who starts takes the first that no other client has open, and is the
 * device again that is kept in it.
 *
 * @module
 */

import { errorText } from "../../base/errors.ts";
import { prepareHistoryFile } from "./history_path.ts";
import { HistoryStore } from "./history_store.ts";

/** More clients of one user at a time keep nothing. */
const MOST_DEVICES = 20;
/** SQLite's words for a file that somebody else has; the runtime gives no number. */
const LOCKED = /database is locked/;
const FILE = /^([1-9]\d*)(?:-([1-9]\d*))?\.db$/;

interface Found {
  userId: number;
  store: HistoryStore;
}

/** The user's name and token that a device has left. */
export interface KeptLogin {
  /** Whose. */
  userId: number;
  /** Their name at that time. */
  name: string;
  /** What the server knows the device by. */
  token: string;
}

/** Hands out the files; one at a time is looked into before a login says whose it is. */
export class DeviceStores {
  readonly #folder: string;
  #found: Found | undefined;

  /** `folder` is that of the server; it need not be there. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Takes the file in which somebody, by id or name, is kept, and returns which device of theirs that is. It is theirs until
   * {@link open} or {@link release}.
   */
  find(who: number | string): number | undefined {
    this.release();
    const name = typeof who === "string" ? comparable(who) : undefined;
    for (const { userId, path } of this.#files()) {
      if (typeof who === "number" && userId !== who) continue;
      const store = tryOpen(path);
      if (store === undefined) continue;
      if (name !== undefined && comparable(store.setting("name") ?? "") !== name) store[Symbol.dispose]();
      else {
        this.#found = { userId, store };
        return Number(store.setting("device")) || undefined;
      }
    }
    return undefined;
  }

  /** Takes, as {@link find} does, the file that was used last of those with a token in it. Undefined: there is none. */
  findLogin(who?: number | string): KeptLogin | undefined {
    this.release();
    const name = typeof who === "string" ? comparable(who) : undefined;
    const files = this.#files().sort((one, other) => other.usedAt - one.usedAt);
    for (const { userId, path } of files) {
      if (typeof who === "number" && userId !== who) continue;
      const store = tryOpen(path);
      const token = store?.setting("token");
      const kept = store?.setting("name") ?? "";
      if (store !== undefined && token !== undefined && (name === undefined || comparable(kept) === name)) {
        this.#found = { userId, store };
        return { userId, name: kept, token };
      }
      store?.[Symbol.dispose]();
    }
    return undefined;
  }

  /** The file of a user who has logged in. Throws when none can be opened. */
  open(userId: number): HistoryStore {
    const found = this.#found;
    if (found?.userId === userId) {
      this.#found = undefined;
      return found.store;
    }
    this.release();
    for (let number = 1; number <= MOST_DEVICES; number++) {
      const store = openUnlessBusy(prepareHistoryFile(this.#folder, fileName(userId, number)));
      if (store !== undefined) return store;
    }
    throw new Error(`${MOST_DEVICES} clients of this user are running here already`);
  }

  /** Gives back what was found, when nothing came of it. */
  release(): void {
    this.#found?.store[Symbol.dispose]();
    this.#found = undefined;
  }

  /** Those that are there, of each user the first one first. */
  #files(): { userId: number; number: number; path: string; usedAt: number }[] {
    let names: string[];
    try {
      names = Array.from(Deno.readDirSync(this.#folder), ({ name }) => name);
    } catch {
      // Nobody has been here yet.
      return [];
    }
    return names.map((name) => FILE.exec(name)).filter((match) => match !== null).map((match) => {
      const path = `${this.#folder}/${match[0]}`;
      const usedAt = lastUse(path);
      return { userId: Number(match[1]), number: Number(match[2] ?? 1), path, usedAt };
    }).sort((one, other) => one.userId - other.userId || one.number - other.number);
  }
}

function fileName(userId: number, number: number): string {
  return number === 1 ? `${userId}.db` : `${userId}-${number}.db`;
}

/** Names are one whatever their case and form, nearly as the server has it. */
function comparable(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

/** When the file was written last, ms since the epoch; what has been written and not moved into it yet counts. */
function lastUse(path: string): number {
  const times = [path, `${path}-wal`].map((part) => {
    try {
      return Deno.statSync(part).mtime?.getTime() ?? 0;
    } catch {
      return 0;
    }
  });
  return Math.max(...times);
}

/** Undefined for one that another client has, and for what is no such file. */
function tryOpen(path: string): HistoryStore | undefined {
  try {
    return new HistoryStore(path);
  } catch {
    // Whoever logs in and needs it hears of it.
    return undefined;
  }
}

function openUnlessBusy(path: string): HistoryStore | undefined {
  try {
    return new HistoryStore(path);
  } catch (error) {
    if (LOCKED.test(errorText(error))) return undefined;
    throw error;
  }
}
