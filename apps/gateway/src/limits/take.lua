-- Counts a request in all buckets or in none; the arithmetic is that of bucket.rs.
-- KEYS: the buckets, all of one slot. ARGV: for each its step and its window in microseconds.
-- Answers for each: requests that remain, microseconds until it is full, microseconds until there is room (0: counted).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local buckets, answers, refused = {}, {}, false
for i, key in ipairs(KEYS) do
    local step, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    -- A window that was shortened since: what lies beyond it counts no more than a full bucket.
    local before = math.min(math.max(tonumber(redis.call('GET', key) or now), now), now + window)
    local over = math.max(before + step - now - window, 0)
    refused = refused or over > 0
    buckets[i] = { step = step, window = window, before = before, over = over }
end
for i, bucket in ipairs(buckets) do
    local full_at = bucket.before
    if not refused then
        full_at = full_at + bucket.step
        redis.call('SET', KEYS[i], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
    end
    answers[3 * i - 2] = math.floor(math.max(bucket.window - (full_at - now), 0) / bucket.step)
    answers[3 * i - 1] = full_at - now
    answers[3 * i] = bucket.over
end
return answers
