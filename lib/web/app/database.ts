/**
 * What the browser keeps: IndexedDB, written to in the order of the calls and all calls of one turn in one transaction.
 *
 * @module
 */

/** One of the kinds of things that are kept. */
export type StoreName = "kept" | "conversations" | "outbox" | "drafts";

const STORES: readonly StoreName[] = ["kept", "conversations", "outbox", "drafts"];

type Change = { store: StoreName; key: string; value: unknown } | "clear";

function settle<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** A database with which nothing is lost when the page is closed; without IndexedDB it keeps nothing. */
export class Database {
  readonly #database: IDBDatabase | undefined;
  readonly #onFailure: () => void;
  #changes: Change[] = [];
  #writing: Promise<void> = Promise.resolve();

  private constructor(database: IDBDatabase | undefined, onFailure: () => void) {
    this.#database = database;
    this.#onFailure = onFailure;
  }

  /** `name`: of the database. `onFailure`: from now on nothing is kept (storage is forbidden, or full). */
  static async open(name: string, onFailure: () => void): Promise<Database> {
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

  /** Everything in a store, by its keys. */
  async all(store: StoreName): Promise<[key: string, value: unknown][]> {
    if (this.#database === undefined) return [];
    await this.#writing;
    const objects = this.#database.transaction(store).objectStore(store);
    const [keys, values] = await Promise.all([settle(objects.getAllKeys()), settle(objects.getAll())]);
    return keys.map((key, index) => [String(key), values[index]]);
  }

  /** One value, or undefined. */
  async get(store: StoreName, key: string): Promise<unknown> {
    if (this.#database === undefined) return undefined;
    await this.#writing;
    return await settle(this.#database.transaction(store).objectStore(store).get(key));
  }

  /** Stores a value, or takes it away when it is undefined. Resolves when that is durable. */
  set(store: StoreName, key: string, value: unknown): Promise<void> {
    return this.#change({ store, key, value });
  }

  /** Forgets everything. */
  clear(): Promise<void> {
    return this.#change("clear");
  }

  /** Resolves when all that was changed is durable. */
  get written(): Promise<void> {
    return this.#writing;
  }

  #change(change: Change): Promise<void> {
    if (this.#changes.push(change) === 1) this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
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
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error);
      });
    } catch {
      this.#onFailure();
    }
  }
}
