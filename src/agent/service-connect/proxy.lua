-- Runs inside a task's proxy. Two plain files connect it with the agent, in either kind of container and over restarts of both: `endpoints`, which the
-- agent replaces whole, says where each backend's tasks are; `counters` is what has been counted. Servers are slots that the configuration prepared.
--
-- Outlier detection, as Service Connect documents it: HAProxy takes a server out after five failures in a row (observe, on-error mark-down); here it comes
-- back after 30 s, each time later, 300 s at most, and never is more than half of a backend's servers out.

local directory = os.getenv("GANTRY_CONNECT")
local tick_ms = 200
local drain_s = 60
local base_s, longest_s = 30, 300
local read_last, counters_at = nil, 0
local backends = {}

local function slots_of(name)
  if backends[name] then return backends[name] end
  local backend = core.backends[name]
  if not backend then return nil end
  local slots, count = {}, 0
  for _ in pairs(backend.servers) do count = count + 1 end
  for i = 1, count do slots[i] = { server = backend.servers["s" .. i] } end
  backends[name] = { slots = slots, by_key = {} }
  return backends[name]
end

local function free_slot(pool)
  local oldest
  for _, slot in ipairs(pool.slots) do
    if not slot.key and not slot.draining then return slot end
    if slot.draining and (not oldest or slot.draining < oldest.draining) then oldest = slot end
  end
  return oldest
end

local function take(pool, key, address, port)
  local slot = free_slot(pool)
  if not slot then return end
  if slot.draining then slot.server:set_maint() slot.server:shut_sess() end
  slot.key, slot.draining, slot.out, slot.times, slot.back, slot.used = key, nil, nil, 0, nil, true
  pool.by_key[key] = slot
  slot.server:set_addr(address, tonumber(port))
  slot.server:set_ready()
end

local function apply(text)
  local wanted = {}
  for name, address, port in text:gmatch("(%S+) (%S+) (%d+)\n") do
    wanted[name] = wanted[name] or {}
    table.insert(wanted[name], { address .. ":" .. port, address, port })
  end
  local now = core.now().sec
  for name in pairs(core.backends) do
    local pool = name:sub(1, 1) == "b" and slots_of(name)
    if pool then
      local kept = {}
      for _, each in ipairs(wanted[name] or {}) do kept[each[1]] = true end
      for key, slot in pairs(pool.by_key) do
        if not kept[key] then
          slot.server:set_drain()
          slot.key, slot.draining = nil, now
          pool.by_key[key] = nil
        end
      end
      for _, each in ipairs(wanted[name] or {}) do
        if not pool.by_key[each[1]] then take(pool, each[1], each[2], each[3]) end
      end
    end
  end
end

local function look(pool, now)
  local active, out = 0, {}
  for _, slot in ipairs(pool.slots) do
    if slot.draining then
      local stats = slot.server:get_stats()
      if tonumber(stats.scur) == 0 or now - slot.draining > drain_s then
        slot.server:set_maint()
        slot.draining = nil
      end
    elseif slot.key then
      active = active + 1
      local down = slot.server:get_stats().status:sub(1, 4) == "DOWN"
      if down and not slot.out then
        slot.times = slot.times + 1
        slot.out = now + math.min(base_s * slot.times, longest_s)
      elseif not down then
        if slot.out then slot.out, slot.back = nil, now end
        if slot.times > 0 and now - (slot.back or now) > longest_s then slot.times = 0 end
      end
      if slot.out then table.insert(out, slot) end
    end
  end
  table.sort(out, function(a, b) return a.out < b.out end)
  local too_many = #out - math.floor(active / 2)
  for i, slot in ipairs(out) do
    if i <= too_many or now >= slot.out then slot.server:check_force_up() end
  end
end

local function read(name)
  local file = io.open(directory .. "/" .. name, "r")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local function write(name, text)
  local file = io.open(directory .. "/" .. name .. ".new", "w")
  if not file then return end
  file:write(text)
  file:close()
  os.rename(directory .. "/" .. name .. ".new", directory .. "/" .. name)
end

-- Of the tasks alone: to its own 503, when it reaches none of them, HAProxy gives a place among the backend's answers too.
local function answers(name, member)
  local sum = 0
  for _, slot in ipairs(slots_of(name).slots) do
    if slot.used then sum = sum + (tonumber(slot.server:get_stats()[member]) or 0) end
  end
  return sum
end

local function count()
  local lines = {}
  local members = { "scur", "stot", "bin", "bout", "req_tot", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "rtime", "ttime" }
  for name, backend in pairs(core.backends) do
    if name:sub(1, 1) == "b" then
      local back, front = backend:get_stats(), core.frontends["f" .. name:sub(2)]:get_stats()
      local values = { name }
      for _, member in ipairs(members) do
        local value = member:sub(1, 5) == "hrsp_" and answers(name, member)
        table.insert(values, tostring(value or (member:sub(2) == "time" and back or front)[member] or 0))
      end
      table.insert(lines, table.concat(values, " "))
    end
  end
  write("counters", table.concat(lines, "\n") .. "\n")
end

core.register_task(function()
  while true do
    local now = core.now().sec
    local text = read("endpoints")
    if text and text ~= read_last then
      local first = read_last == nil
      read_last = text
      apply(text)
      if first then write("ready", "ready\n") end
    end
    for _, pool in pairs(backends) do look(pool, now) end
    if now - counters_at >= 2 then
      counters_at = now
      count()
    end
    core.msleep(read_last and tick_ms or 20)
  end
end)
