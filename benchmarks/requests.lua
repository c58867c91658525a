-- For wrk: sends the requests of a file in turn. In each of them `@counter` becomes a number that was not
-- sent before, of as many characters, so that things can be created under names of their own.
--
--     wrk -t1 -c8 -d2s -s requests.lua http://127.0.0.1:8000 -- FILE FIRST-NUMBER

local separator = "\1\2next\2\1"
local requests, at, counter, counting = {}, 0, 0, false

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  counter = tonumber(args[2])
  local from = 1
  while true do
    local first, last = text:find(separator, from, true)
    requests[#requests + 1] = text:sub(from, (first or 0) - 1)
    if not first then break end
    from = last + 1
  end
  counting = text:find("@counter", 1, true) ~= nil
end

function request()
  at = at % #requests + 1
  if not counting then return requests[at] end
  counter = counter + 1
  return (requests[at]:gsub("@counter", string.format("%08d", counter)))
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    "\nRESULT %d %d %d %d %d\n",
    summary.requests,
    summary.duration,
    failed.status + failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
