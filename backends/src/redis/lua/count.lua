-- Counts an attempt exactly as `dockbell_proto::health::Health::count` does; a test compares them.
local MOST = 4294967295
local DISTINCT_LIMIT = 16

-- What is kept in one text, in this order.
local function rules_of(text)
  local rules, names = {}, { 'failures', 'deliveries', 'span', 'cooldown', 'longest_cooldown', 'trickle' }
  for number in string.gmatch(text, '%d+') do
    rules[names[1]] = tonumber(number)
    table.remove(names, 1)
  end
  return rules
end

local function recover(health, since, level, successes, rules)
  if successes >= rules.trickle then
    make_healthy(health)
  else
    health.standing, health.from, health.level, health.successes = 'recovering', since, level, successes
  end
end

local function succeed(health, at, now, rules)
  health.succeeded = math.max(health.succeeded or at, at)
  if health.since and at < health.since then
    return
  end
  health.failures, health.since, health.failed, health.failed_of = 0, nil, nil, {}
  if health.standing == 'suspended' then
    recover(health, now, health.level, 1, rules)
  elseif health.standing == 'recovering' then
    recover(health, health.from, health.level, math.min(health.successes + 1, MOST), rules)
  end
end

local function remember(health, delivery)
  for _, id in ipairs(health.failed_of) do
    if id == delivery then
      return
    end
  end
  if #health.failed_of < DISTINCT_LIMIT then
    table.insert(health.failed_of, delivery)
  end
end

-- The how many-th suspension in a row begins; none if none does.
local function next_level(health, at, rules)
  if health.standing == 'healthy' then
    local is_enough = health.failures >= rules.failures and #health.failed_of >= rules.deliveries
      and health.failed - health.since >= rules.span
    return is_enough and 1 or nil
  end
  return at >= health.from and math.min(health.level + 1, MOST) or nil
end

local function fail(health, delivery, at, now, rules)
  health.failures = math.min(health.failures + 1, MOST)
  health.since = math.min(health.since or at, at)
  health.failed = math.max(health.failed or at, at)
  remember(health, delivery)
  local level = next_level(health, at, rules)
  if level then
    local factor = level <= 32 and 2 ^ (level - 1) or MOST
    local cooldown = math.min(rules.cooldown * factor, rules.longest_cooldown)
    health.standing, health.from, health.level, health.successes = 'suspended', now + cooldown, level, nil
  end
end

local function count(health, what, delivery, at, now, suspension)
  local rules = rules_of(suspension)
  if what == 'accepted' then
    succeed(health, at, now, rules)
  elseif what == 'failed' and not (health.succeeded and at <= health.succeeded) then
    fail(health, delivery, at, now, rules)
  end
end

-- Whether `Health::change_since` has anything to say.
local function differs(before, after)
  return before.standing ~= after.standing or (after.standing == 'suspended' and before.level ~= after.level)
end
