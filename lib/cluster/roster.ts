/**
 * What the nodes of a cluster say of themselves, for operators: each says it once in a while, and hears of all others by
 * that. Nothing is decided by it.
 *
 * @module
 */
import type { Redis } from "./redis.ts";
import { createScript } from "./redis_script.ts";

/** So long a node is remembered that has gone without a word, ms. */
const REMEMBERED_MS = 3_600_000;

/** What a node says of itself. */
export interface NodeStatus {
  /** Its name. */
  node: string;
  /** Its version of the program. */
  version: string;
  /** When it was started, ms since the epoch. */
  since: number;
  /** Where its page for operators is, "host:port". */
  http: string;
  /** Users online there. */
  users: number;
  /** Their devices. */
  devices: number;
  /** Client connections. */
  connections: number;
  /** Messages stored a second. */
  rate: number;
  /** How late its event loop is, ms. */
  lagMs: number;
  /** Bytes that wait for clients. */
  queueBytes: number;
}

/** A node as others see it. */
export interface NodeSeen extends NodeStatus {
  /** How long ago it has said so, ms. */
  ageMs: number;
}

/** Says what this node has to say, and gives what all have said, this one among them. */
export interface Roster {
  /** Rejects when that is not to be had. */
  tell(status: NodeStatus): Promise<NodeSeen[]>;
  /** This node goes in good order. Never rejects. */
  leave(): Promise<void>;
}

/** Of a node that is alone. */
export const LONE_ROSTER: Roster = {
  tell: (status) => Promise.resolve([{ ...status, ageMs: 0 }]),
  leave: () => Promise.resolve(),
};

/** ARGV: prefix, node, what it says, ms for which that is kept. Reply: what each has said, and how much longer it is kept. */
const TELL = createScript(`
local set = ARGV[1] .. 'statuses'
redis.call('SET', ARGV[1] .. 'status:' .. ARGV[2], ARGV[3], 'PX', ARGV[4])
redis.call('SADD', set, ARGV[2])
local reply = {}
for _, node in ipairs(redis.call('SMEMBERS', set)) do
  local key = ARGV[1] .. 'status:' .. node
  local said = redis.call('GET', key)
  if said then
    table.insert(reply, said)
    table.insert(reply, redis.call('PTTL', key))
  else redis.call('SREM', set, node) end
end
return reply`);

/** ARGV: prefix, node. */
const LEAVE = createScript(`
redis.call('DEL', ARGV[1] .. 'status:' .. ARGV[2])
redis.call('SREM', ARGV[1] .. 'statuses', ARGV[2])`);

/** In Redis. What stands there is signed: see Seal.sign. */
export class SharedRoster implements Roster {
  readonly #redis: Pick<Redis, "script">;
  readonly #prefix: string;
  readonly #node: string;
  readonly #sign: (text: string) => string;

  /** `prefix`: before each key. `node`: this node's name. */
  constructor(redis: Pick<Redis, "script">, prefix: string, node: string, sign: (text: string) => string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#node = node;
    this.#sign = sign;
  }

  /** See {@link Roster.tell}. */
  async tell(status: NodeStatus): Promise<NodeSeen[]> {
    const text = JSON.stringify(status);
    const said = `${this.#sign(text)} ${text}`;
    const reply = await this.#redis.script(TELL, [this.#prefix, this.#node, said, REMEMBERED_MS]);
    const seen: NodeSeen[] = [];
    for (let at = 0; Array.isArray(reply) && at < reply.length; at += 2) {
      const status = this.#read(String(reply[at]));
      if (status) seen.push({ ...status, ageMs: Math.max(0, REMEMBERED_MS - Number(reply[at + 1])) });
    }
    return seen.sort((a, b) => a.node < b.node ? -1 : 1);
  }

  /** Undefined: no node has said that. */
  #read(said: string): NodeStatus | undefined {
    const end = said.indexOf(" ");
    const text = said.slice(end + 1);
    // What is signed is what another node has written, of this version or another that adds to it.
    return this.#sign(text) === said.slice(0, end) ? JSON.parse(text) : undefined;
  }

  /** See {@link Roster.leave}. */
  async leave(): Promise<void> {
    // It is forgotten by itself where that cannot be done.
    await this.#redis.script(LEAVE, [this.#prefix, this.#node]).catch(() => {});
  }
}
