"""What the Redis server runs in one step, so that no two clients can take the same credit.

A credit is a member of a sorted set, one set for each scope and strategy: named by its token,
scored by the server's own time in milliseconds. So a window's use is counted, not added up, the
clocks of the clients mean nothing, and giving a credit back can only touch its own windows. All
keys carry one hash tag, because a credit is given back whatever scope it was taken in.
"""

from typing import Final
from urllib.parse import quote

from al_framework.pipeline.limits.base import PERIOD_SECONDS
from al_framework.pipeline.limits.windows import KEEP_S

_TAG: Final = "{al-framework}"
# The names of all the other keys.
BOOKS: Final = f"{_TAG}:books"

_LENGTHS: Final = ", ".join(str(length * 1000) for length in PERIOD_SECONDS.values())
_KEEP_MS: Final = int(KEEP_S * 1000)

_COMMON: Final = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local function used(key)
  local counts = {{}}
  for index, length in ipairs({{{_LENGTHS}}}) do
    local start = now - now % length
    counts[index] = redis.call('ZCOUNT', key, text(start), '(' .. text(start + length))
  end
  return counts
end
"""

# KEYS: the books' names, then one set for each strategy in order.
# ARGV: the token, then for each strategy its limit in each period, -1 for none.
# Returns the place of the strategy that pays (0: none), the moment of its credit, the moment of
# now, and for each strategy that was looked at what is used in each period.
RESERVE: Final = f"""{_COMMON}
local token = ARGV[1]
for index = 2, #KEYS do
  local held = redis.call('ZSCORE', KEYS[index], token)
  if held then return {{index - 1, tonumber(held), now}} end
end
local reply = {{0, now, now}}
for index = 2, #KEYS do
  local room = true
  local counts = used(KEYS[index])
  for period, count in ipairs(counts) do
    local limit = tonumber(ARGV[(index - 2) * #counts + period + 1])
    if limit >= 0 and count >= limit then room = false end
  end
  for _, count in ipairs(counts) do
    if room then count = count + 1 end
    reply[#reply + 1] = count
  end
  if room then
    redis.call('ZADD', KEYS[index], text(now), token)
    redis.call('ZREMRANGEBYSCORE', KEYS[index], '-inf', text(now - {_KEEP_MS}))
    redis.call('PEXPIRE', KEYS[index], {_KEEP_MS})
    redis.call('SADD', KEYS[1], KEYS[index])
    reply[1] = index - 1
    return reply
  end
end
return reply
"""

# KEYS: the books' names. ARGV: tokens. Returns how many of them held a credit.
RELEASE: Final = """
local released = 0
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  -- One that is no set of ours must not keep the others from their credits.
  local count = redis.pcall('ZREM', key, unpack(ARGV))
  if type(count) == 'number' then released = released + count end
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', KEYS[1], key) end
end
return released
"""

# KEYS: the books' names, then one set for each strategy. Returns the moment of now, and for each
# strategy what is used in each period.
LOOK: Final = f"""{_COMMON}
local reply = {{now}}
for index = 2, #KEYS do
  for _, count in ipairs(used(KEYS[index])) do reply[#reply + 1] = count end
end
return reply
"""


def book(scope: str, strategy: str) -> str:
    """Return the name of the set that holds a strategy's credits."""
    return f"{_TAG}:{quote(scope, safe='')}:{quote(strategy, safe='')}"
