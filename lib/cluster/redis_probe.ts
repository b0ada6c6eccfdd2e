/**
 * Finds out by doing whether Redis lets this node do what it needs: it writes, and it publishes to itself.
 *
 * @module
 */
import { createScript, type RedisScript } from "./redis_script.ts";

/**
 * Everything the scripts of presence do, and what the publish queue does, under the keys and on a channel of the cluster.
 * ARGV: prefix of keys, channel. Reply: the command and the error of each that failed, by turns.
 */
export const PROBE: RedisScript = createScript(`
local prefix, channel = unpack(ARGV)
local key, set = prefix .. 'probe', prefix .. 'probes'
local failures = {}
for _, command in ipairs({
  { 'SET', key, '', 'PX', 10000 }, { 'GET', key }, { 'PTTL', key }, { 'EXISTS', key }, { 'DEL', key },
  { 'SADD', set, '' }, { 'SMEMBERS', set }, { 'SREM', set, '' }, { 'TIME' }, { 'PUBLISH', channel, '' },
}) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    failures[#failures + 1] = command[1]
    failures[#failures + 1] = reply.err
  end
end
return failures
`);

/** What the reply to {@link PROBE} says is wrong, in one line; undefined when nothing is. */
export function probeFailure(reply: unknown): string | undefined {
  if (!Array.isArray(reply)) return `Redis answered a script with ${JSON.stringify(reply)}`;
  const [command, error] = reply.map(String);
  if (command === undefined) return undefined;
  const commands = reply.filter((_, index) => index % 2 === 0);
  return `${error} (${commands.join(", ")})`;
}
