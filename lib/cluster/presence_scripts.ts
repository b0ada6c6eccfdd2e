/**
 * What presence does in Redis, each as one atomic step. ARGV[1] is the prefix of all keys:
 *
 * - `node:NAME`, the lease: `BOOT/WORD`, the boot id of the process that runs under this name and how many times it has said
 *   anew what it holds, with a time to live
 * - `user:ID`, or `user:ID.DEVICE` for a device of version 3, a claim: `GENERATION BOOT/WORD NODE`; it lives while the lease of NODE is of BOOT, unless that node has said
 *   anew what it holds since WORD. So what an old copy of the data brings back does not count
 * - `devices:ID`, a set: the devices of a user that have claims, and some that had
 * - `nodes`, a set: the names of nodes that have not been shut down in good order
 * - `cleanup:NAME`: somebody is looking after the users of this dead node, or it has left in good order
 * - `generation`: the last one given out
 *
 * Keys follow from data and are not declared, so this is for one Redis with or without replicas, not for
 * Redis Cluster.
 *
 * @module
 */

import { createScript, type RedisScript } from "./redis_script.ts";

/** Functions for scripts that look at claims. A lease is read once a run. */
const CLAIMS = `
local prefix = ARGV[1]

local leases = {}
local function lease(node)
  if leases[node] == nil then
    local boot, word = string.match(redis.call('GET', prefix .. 'node:' .. node) or '', '^([^/]+)/?(%d*)$')
    leases[node] = { boot = boot, word = tonumber(word) or 0 }
  end
  return leases[node]
end

local function read(user)
  local text = redis.call('GET', prefix .. 'user:' .. user)
  if not text then return nil end
  local generation, boot, word, node = string.match(text, '^(%d+) ([^/ ]+)/?(%d*) (.*)$')
  if not generation then return nil end
  word = tonumber(word) or 0
  local holder = lease(node)
  return {
    generation = generation, boot = boot, word = word, node = node,
    isLive = holder.boot == boot and holder.word <= word,
  }
end

local function write(subject, generation, boot, word, node)
  redis.call('SET', prefix .. 'user:' .. subject, generation .. ' ' .. boot .. '/' .. word .. ' ' .. node)
  local user, device = string.match(subject, '^(%d+)%.(%d+)$')
  if device then redis.call('SADD', prefix .. 'devices:' .. user, device) end
end

local function forget(subject)
  redis.call('DEL', prefix .. 'user:' .. subject)
  local user, device = string.match(subject, '^(%d+)%.(%d+)$')
  if device then redis.call('SREM', prefix .. 'devices:' .. user, device) end
end

local function isLive(subject)
  local claim = read(subject)
  return claim ~= nil and claim.isLive
end

-- Whether the user of a subject has a live claim of another one.
local function hasOthers(subject)
  local user = string.match(subject, '^%d+')
  if user ~= subject and isLive(user) then return true end
  for _, device in ipairs(redis.call('SMEMBERS', prefix .. 'devices:' .. user)) do
    local other = user .. '.' .. device
    if other ~= subject then
      if isLive(other) then return true end
      forget(other)
    end
  end
  return false
end
`;

/** The boot id in a lease; nil when there is none. */
const HOLDER = `
local function holderOf(key)
  local text = redis.call('GET', key)
  return text and string.match(text, '^[^/]*')
end
`;

/**
 * Takes the lease if nobody has it, or the one who has is `expected`.
 * ARGV: prefix, node, boot, lease in ms, expected boot.
 * Reply: empty, or the holder's boot id and the ms it has left.
 */
export const TAKE_LEASE: RedisScript = createScript(`${HOLDER}
local prefix, node, boot, leaseMs, expected = unpack(ARGV)
local key = prefix .. 'node:' .. node
local holder = holderOf(key)
if holder and holder ~= expected then return { holder, redis.call('PTTL', key) } end
redis.call('SET', key, boot .. '/0', 'PX', leaseMs)
redis.call('SADD', prefix .. 'nodes', node)
redis.call('DEL', prefix .. 'cleanup:' .. node)
return {}
`);

/**
 * Prolongs the lease, or takes it again when it has run out or was lost. `word`: claims with an earlier one do not count any
 * more. ARGV: prefix, node, boot, lease in ms, word. Reply: `renewed`, `restored`, or `taken BOOT` by another process.
 */
export const RENEW_LEASE: RedisScript = createScript(`${HOLDER}
local prefix, node, boot, leaseMs, word = unpack(ARGV)
local key = prefix .. 'node:' .. node
local holder = holderOf(key)
if holder and holder ~= boot then return 'taken ' .. holder end
redis.call('SET', key, boot .. '/' .. word, 'PX', leaseMs)
redis.call('SADD', prefix .. 'nodes', node)
if holder then return 'renewed' end
redis.call('DEL', prefix .. 'cleanup:' .. node)
return 'restored'
`);

/**
 * Gives the lease back, and all claims with it. Nobody has to look after the users of a node that leaves: nodes that
 * remember it find the mark of that for some time. ARGV: prefix, node, boot, that time in ms.
 */
export const LEAVE: RedisScript = createScript(`${HOLDER}
local prefix, node, boot, markMs = unpack(ARGV)
if holderOf(prefix .. 'node:' .. node) ~= boot then return 0 end
redis.call('SREM', prefix .. 'nodes', node)
redis.call('SET', prefix .. 'cleanup:' .. node, boot, 'PX', markMs)
return redis.call('DEL', prefix .. 'node:' .. node)
`);

/**
 * Claims subjects. A claim of this very boot that the node does not know of is left from a reply that got lost.
 * ARGV: prefix, node, boot, word, then for each: subject, generation this node holds or 0, mode.
 * Reply: for each `claimed`, generation, previous node or empty, `others` when its user is online on another device, `lapsed`
 * when a node had it whose lease has run out; or `refused` and four empty texts. Without a lease the reply is empty, and
 * nothing was done.
 *
 * Generations follow Redis' clock in microseconds, so that they increase even when Redis has lost all it
 * knew.
 */
export const CLAIM: RedisScript = createScript(`${CLAIMS}
local node, boot, word = ARGV[2], ARGV[3], ARGV[4]
if lease(node).boot ~= boot then return {} end
local time = redis.call('TIME')
local last = math.max(tonumber(redis.call('GET', prefix .. 'generation') or 0), time[1] * 1000000 + time[2] - 1)
local replies = {}
local isClaimed = false
local function reply(outcome, generation, previous, others, lapsed)
  replies[#replies + 1] = outcome
  replies[#replies + 1] = generation
  replies[#replies + 1] = previous
  replies[#replies + 1] = others
  replies[#replies + 1] = lapsed
end
for i = 5, #ARGV, 3 do
  local user, held, mode = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local claim = read(user)
  local counts = claim and claim.isLive and not (claim.boot == boot and claim.generation ~= held)
  if counts and mode == 'refuse' then
    reply('refused', '', '', '', '')
  else
    if claim then last = math.max(last, tonumber(claim.generation)) end
    last = last + 1
    local generation = string.format('%.0f', last)
    write(user, generation, boot, word, node)
    isClaimed = true
    local lapsed = claim and not claim.isLive and claim.boot ~= boot and 'lapsed' or ''
    reply('claimed', generation, counts and claim.node or '', hasOthers(user) and 'others' or '', lapsed)
  end
end
if isClaimed then redis.call('SET', prefix .. 'generation', string.format('%.0f', last)) end
return replies
`);

/**
 * Makes the claim of a subject what this node holds, unless it is another's.
 * ARGV: prefix, subject, node, boot, word, generation this node holds or 0. Reply: 1 when its user is online on another
 * device.
 */
export const SETTLE: RedisScript = createScript(`${CLAIMS}
local _, user, node, boot, word, held = unpack(ARGV)
local claim = read(user)
if claim and claim.boot == boot and claim.generation ~= held then
  if held == '0' then forget(user) else write(user, held, boot, word, node) end
end
return hasOthers(user) and 1 or 0
`);

/**
 * Writes claims that Redis has lost or knows from an earlier time, and finds those that other nodes have taken.
 * ARGV: prefix, node, boot, word, then subject and generation by turns. Reply: the subjects that are lost; nil without a
 * lease.
 */
export const VERIFY: RedisScript = createScript(`${CLAIMS}
local node, boot, word = ARGV[2], ARGV[3], ARGV[4]
if lease(node).boot ~= boot then return false end
local lost = {}
for i = 5, #ARGV, 2 do
  local user, generation = ARGV[i], ARGV[i + 1]
  local claim = read(user)
  local isOlder = claim and tonumber(claim.generation) < tonumber(generation)
  if not claim or not claim.isLive or isOlder or (claim.boot == boot and claim.word < tonumber(word)) then
    write(user, generation, boot, word, node)
  elseif claim.boot ~= boot then
    lost[#lost + 1] = user
  end
end
return lost
`);

/**
 * Finds those with a live claim and deletes dead claims. ARGV: prefix, subjects. Reply: those that are online; a user is
 * on any device.
 */
export const ONLINE: RedisScript = createScript(`${CLAIMS}
local online = {}
for i = 2, #ARGV do
  local claim = read(ARGV[i])
  local isHere = claim and claim.isLive
  if claim and not isHere then forget(ARGV[i]) end
  local isUser = not string.find(ARGV[i], '.', 1, true)
  if isHere or (isUser and hasOthers(ARGV[i])) then online[#online + 1] = ARGV[i] end
end
return online
`);

/**
 * Looks for nodes whose lease is gone. Each is handed to one asker, who has some time to look after it.
 * ARGV: prefix, node, boot, that time in ms, then names of nodes to look for even if Redis has lost them.
 * Reply: names of dead nodes handed to this one, names of live ones; nil without a lease.
 */
export const SURVEY: RedisScript = createScript(`${HOLDER}
local prefix, node, boot, cleanupMs = unpack(ARGV, 1, 4)
if holderOf(prefix .. 'node:' .. node) ~= boot then return false end
local dead, live, seen = {}, {}, { [node] = true }
local function look(name)
  if seen[name] then return end
  seen[name] = true
  if redis.call('EXISTS', prefix .. 'node:' .. name) == 1 then
    live[#live + 1] = name
  elseif redis.call('SET', prefix .. 'cleanup:' .. name, boot, 'PX', cleanupMs, 'NX') then
    redis.call('SADD', prefix .. 'nodes', name)
    dead[#dead + 1] = name
  end
end
for _, name in ipairs(redis.call('SMEMBERS', prefix .. 'nodes')) do look(name) end
for i = 5, #ARGV do look(ARGV[i]) end
return { dead, live }
`);

/**
 * The dead node has been looked after, or not (then somebody else may try at once). A mark stays for a while
 * when it has: nodes that remember the dead one by themselves must not begin again.
 * ARGV: prefix, boot, name, `done` or `failed`.
 */
export const END_CLEANUP: RedisScript = createScript(`
local prefix, boot, name, outcome = unpack(ARGV)
if redis.call('GET', prefix .. 'cleanup:' .. name) ~= boot then return 0 end
if outcome == 'failed' then return redis.call('DEL', prefix .. 'cleanup:' .. name) end
if redis.call('EXISTS', prefix .. 'node:' .. name) == 1 then return 0 end
return redis.call('SREM', prefix .. 'nodes', name)
`);
