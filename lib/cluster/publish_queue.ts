/**
 * What a node publishes in one turn of the event loop, sent to Redis with one command.
 *
 * The driver makes a command, a promise and a reply of every PUBLISH, which costs more than all the rest of a message's
 * way over the bus; its pipelining does not help that. Measured with two nodes, 50 pairs with 16 messages under way:
 * 115 k messages a second, against 54 k with a PUBLISH each.
 *
 * @module
 */
import { errorText } from "../base/errors.ts";
import type { RedisConnection } from "./redis_connection.ts";
import { atEndOfTurn } from "../base/turn.ts";

/** More than this at once waits unsent: a Redis that does not answer must not make this node run out of memory. */
const MAX_PENDING_CHARS = 16 * 1024 * 1024;
/** Redis does nothing else while it works on a command. */
const PAYLOADS_PER_COMMAND = 500;

/** Answers with the number of receivers of each payload, or -1 for one that this user may not publish there. */
const PUBLISH_ALL = `local counts = {}
for i = 1, #ARGV, 2 do
  local count = redis.pcall('PUBLISH', ARGV[i], ARGV[i + 1])
  counts[#counts + 1] = type(count) == 'number' and count or -1
end
return counts`;

interface Publish {
  channel: string;
  payload: string;
  resolve: (receivers: number) => void;
  reject: (error: unknown) => void;
}

/** Collects payloads and sends them in the order they came. */
export class PublishQueue {
  readonly #connection: () => RedisConnection | null;
  readonly #display: string;
  #due: Publish[] = [];
  #pendingChars = 0;

  /** `connection`: to publish over, null while there is none. `display`: the URL of Redis without secrets. */
  constructor(connection: () => RedisConnection | null, display: string) {
    this.#connection = connection;
    this.#display = display;
  }

  /** Resolves with how many connections Redis handed `payload` to. Rejects when too much is on its way already. */
  add(channel: string, payload: string): Promise<number> {
    if (this.#pendingChars + payload.length > MAX_PENDING_CHARS) {
      const text = `Redis at ${this.#display} does not keep up: ${MAX_PENDING_CHARS} characters wait`;
      return Promise.reject(new Error(text));
    }
    this.#pendingChars += payload.length;
    return new Promise((resolve, reject) => {
      if (this.#due.length === 0) atEndOfTurn(this.#onTurnEnd);
      this.#due.push({ channel, payload, resolve, reject });
    });
  }

  /** Sends what waits for the end of the turn. */
  flush(): void {
    while (this.#due.length > 0) this.#send(this.#due.splice(0, PAYLOADS_PER_COMMAND));
  }

  readonly #onTurnEnd = () => this.flush();

  /** Both commands are awaited in one place: with unlike numbers of turns between, a later answer could come first. */
  async #send(publishes: readonly Publish[]): Promise<void> {
    try {
      const reply = await this.#command(publishes);
      const counts = Array.isArray(reply) ? reply : [reply];
      publishes.forEach(({ channel, resolve, reject }, index) => {
        const count = Number(counts[index]);
        if (count >= 0) resolve(count);
        else reject(new Error(`Redis at ${this.#display} refuses to publish on ${JSON.stringify(channel)}`));
      });
    } catch (error) {
      const reason = new Error(`Cannot publish over Redis at ${this.#display}: ${errorText(error)}`);
      for (const { reject } of publishes) reject(reason);
    } finally {
      for (const { payload } of publishes) this.#pendingChars -= payload.length;
    }
  }

  #command(publishes: readonly Publish[]): Promise<unknown> {
    const connection = this.#connection();
    if (!connection) return Promise.reject(new Error("the connection is lost"));
    const [first] = publishes;
    // The usual case of a quiet node, and the cheaper one for Redis.
    if (first && publishes.length === 1) return connection.publish(first.channel, first.payload);
    const args: string[] = [];
    for (const { channel, payload } of publishes) args.push(channel, payload);
    return connection.eval(PUBLISH_ALL, args);
  }
}
