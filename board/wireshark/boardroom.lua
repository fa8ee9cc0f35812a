-- Wireshark and tshark dissector for the election of boardroom (docs/protocol.md).
-- Install: make install-wireshark, or copy it to the folder that Help > About >
-- Folders names "Personal Lua Plugins". Another port: Decode As..., or the
-- preference "UDP port".

local boardroom = Proto("boardroom", "Election of boards")

local MESSAGE_LEN = 40
local ABOUT, VERSION, FLAGS, EPOCH, WORD, TAG = 18, 22, 23, 24, 28, 32
local VERSION_1 = 0xb1

local f = {
  text = ProtoField.string("boardroom.text", "Text"),
  kind = ProtoField.string("boardroom.kind", "Kind"),
  address = ProtoField.ipv4("boardroom.address", "Address"),
  vote = ProtoField.uint8("boardroom.vote", "Vote"),
  name = ProtoField.string("boardroom.name", "Name"),
  about = ProtoField.ipv4("boardroom.about", "About"),
  version = ProtoField.uint8("boardroom.version", "Version", base.HEX),
  flags = ProtoField.uint8("boardroom.flags", "Flags", base.HEX),
  epoch = ProtoField.uint32("boardroom.epoch", "Epoch"),
  word = ProtoField.uint32("boardroom.word", "Counter or nonce", base.HEX),
  tag = ProtoField.bytes("boardroom.tag", "Tag"),
  tag_is = ProtoField.string("boardroom.tag.is", "Tag is"),
  rest = ProtoField.bytes("boardroom.rest", "Behind the message"),
  old = ProtoField.string("boardroom.old", "Old program"),
}

local flag_fields = {
  { 0x01, "asking", "Asking: answer by your own vote" },
  { 0x02, "fresh", "Fresh: the sender's first round since its start" },
  { 0x04, "suspicion", "Suspicion: I miss the claims of the board named" },
  { 0x08, "witness", "Witness: I have heard the board named" },
  { 0x10, "verdict", "Verdict: this VOTE begins the epoch told; the board named is gone" },
  { 0x20, "bound", "Bound: the word is the asker's nonce" },
  { 0x40, "later", "Later: I follow you, and my epoch is a later one" },
}
for _, entry in ipairs(flag_fields) do
  f["flag_" .. entry[2]] = ProtoField.bool("boardroom.flags." .. entry[2], entry[3], 8, nil, entry[1])
end

local fields = {}
for _, field in pairs(f) do
  fields[#fields + 1] = field
end
boardroom.fields = fields

local e = {
  invalid = ProtoExpert.new("boardroom.invalid", "No message of the election", expert.group.MALFORMED,
    expert.severity.WARN),
  mismatch = ProtoExpert.new("boardroom.mismatch", "The address told is not the sender's",
    expert.group.SEQUENCE, expert.severity.NOTE),
  tag = ProtoExpert.new("boardroom.badtag", "The trailer is signed, or not the sender's own: no checksum fits",
    expert.group.CHECKSUM, expert.severity.NOTE),
  short = ProtoExpert.new("boardroom.length", "Not 40 bytes: an old program", expert.group.PROTOCOL,
    expert.severity.CHAT),
}
boardroom.experts = { e.invalid, e.mismatch, e.tag, e.short }

boardroom.prefs.port = Pref.uint("UDP port", 2000, "The port of the election")

-- The common CRC-32, as in Ethernet, over the first 32 bytes.
local function crc32(range)
  local crc = 0xffffffff
  local bytes = range:bytes()
  for i = 0, bytes:len() - 1 do
    crc = bit.bxor(crc, bytes:get_index(i))
    for _ = 1, 8 do
      local low = bit.band(crc, 1)
      crc = bit.rshift(crc, 1)
      if low == 1 then
        crc = bit.bxor(crc, 0xedb88320)
      end
    end
  end
  crc = bit.bnot(crc)
  if crc < 0 then
    crc = crc + 0x100000000
  end
  return crc
end

-- The text that counts: of the first 40 bytes, up to the first NUL, without
-- trailing CR, LF and spaces.
local function text_of(buffer)
  local counted = buffer(0, math.min(buffer:len(), MESSAGE_LEN)):raw()
  local text = counted:match("^[^%z]*") or ""
  return (text:gsub("[\r\n ]+$", ""))
end

local function is_quad(text)
  local parts = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  if #parts ~= 4 then
    return false
  end
  for _, part in ipairs(parts) do
    if tonumber(part) > 255 or #part > 3 or (#part > 1 and part:sub(1, 1) == "0") then
      return false
    end
  end
  return text ~= "0.0.0.0"
end

local ranked = { ["#"] = "vote", ["!"] = "claim", ["?"] = "lease asked for" }
local addressed = { ["-"] = "resignation", ["+"] = "lease granted" }

-- What the text says: kind, and address, vote, name or why it is none.
local function read(text)
  if text == "WHOIS" then
    return { kind = "WHOIS", info = "Who is the master?" }
  elseif text == "VOTE" then
    return { kind = "VOTE", info = "Hold an election" }
  end
  local sign = text:sub(1, 1)
  if ranked[sign] then
    local address, digits, behind = text:match("^.[ \t]*(%S+)[ \t]+(%d+)(.?)")
    if not address or not is_quad(address) then
      return { why = "no usable address behind " .. sign }
    end
    local vote = tonumber(digits)
    if vote < 1 or vote > 10 or #digits > 2 or digits:sub(1, 1) == "0" or not behind:match("^[%s#]?$") then
      return { why = "the number is not from 1 to 10" }
    end
    return { kind = ranked[sign], address = address, vote = vote,
      info = string.format("%s %s: %d", ranked[sign], address, vote), smeared = behind == "#" }
  elseif addressed[sign] then
    local address = text:match("^.[ \t]*(%S+)$")
    if not address or not is_quad(address) then
      return { why = "no usable address behind " .. sign }
    end
    return { kind = addressed[sign], address = address, info = addressed[sign] .. " " .. address }
  end
  local head = text:match("^(.*) is the master$")
  local before, address = (head or ""):match("^(.*) (%S+)$")
  local name = before and (before:match("^(.*) on board$") or before:match("^(.*) on$"))
  if name and is_quad(address) then
    return { kind = "answer", address = address, name = name,
      info = string.format("%s on %s is the master", name, address) }
  end
  return { why = text == "" and "no text" or "unknown text" }
end

local function add_trailer(buffer, tree, message)
  if buffer:len() < MESSAGE_LEN or buffer(VERSION, 1):uint() ~= VERSION_1 then
    return false
  end
  local covered = buffer(0, TAG)
  local tag = buffer(TAG, 8)
  local is_checksum = tag(0, 4):uint() == crc32(covered) and tag(4, 4):uint() == 0
  local branch = tree:add(boardroom, buffer(VERSION, MESSAGE_LEN - VERSION),
    "Trailer: epoch " .. buffer(EPOCH, 4):uint())
  branch:add(f.version, buffer(VERSION, 1))
  local flags = branch:add(f.flags, buffer(FLAGS, 1))
  for _, entry in ipairs(flag_fields) do
    flags:add(f["flag_" .. entry[2]], buffer(FLAGS, 1))
  end
  branch:add(f.epoch, buffer(EPOCH, 4))
  branch:add(f.word, buffer(WORD, 4))
  local tag_item = branch:add(f.tag, tag)
  branch:add(f.tag_is, tag, is_checksum and "the checksum (no key)" or "signed by a key, or foreign"):set_generated()
  if not is_checksum then
    tag_item:add_proto_expert_info(e.tag)
  end
  if (message.kind == "WHOIS" or message.kind == "VOTE") and buffer(ABOUT, 4):uint() ~= 0 then
    branch:add(f.about, buffer(ABOUT, 4))
  end
  return true
end

-- What is odd about a datagram of an old program.
local function oddities(buffer, message, has_trailer)
  local found = {}
  if buffer:len() ~= MESSAGE_LEN then
    found[#found + 1] = string.format("%d bytes", buffer:len())
  elseif not has_trailer then
    found[#found + 1] = "no trailer"
  end
  if message.smeared then
    found[#found + 1] = "digits run into an old buffer's rest"
  end
  local raw = buffer:raw()
  local nul = raw:find("%z")
  if nul and raw:find("[^%z]", nul) and not has_trailer then
    found[#found + 1] = "garbage behind the NUL"
  end
  return table.concat(found, ", ")
end

function boardroom.dissector(buffer, pinfo, root)
  pinfo.cols.protocol = "BOARDROOM"
  local tree = root:add(boardroom, buffer())
  if buffer:len() == 0 then
    pinfo.cols.info = "Invalid: empty datagram"
    tree:add_proto_expert_info(e.invalid, "empty datagram")
    return 0
  end
  local text = text_of(buffer)
  local message = read(text)
  local shown = buffer(0, math.max(1, math.min(#text, buffer:len())))
  tree:add(f.text, shown, text)
  if not message.kind then
    pinfo.cols.info = "Invalid: " .. message.why
    tree:append_text(", invalid: " .. message.why)
    tree:add_proto_expert_info(e.invalid, message.why)
    return buffer:len()
  end
  tree:add(f.kind, shown, message.kind):set_generated()
  tree:append_text(", " .. message.info)
  pinfo.cols.info = message.info
  if message.address then
    local item = tree:add(f.address, shown, Address.ip(message.address))
    if message.kind ~= "lease granted" and message.address ~= tostring(pinfo.src) then
      item:add_proto_expert_info(e.mismatch)
    end
  end
  if message.vote then
    tree:add(f.vote, shown, message.vote)
  end
  if message.name then
    tree:add(f.name, shown, message.name)
  end
  local has_trailer = message.kind ~= "answer" and add_trailer(buffer, tree, message)
  if has_trailer then
    pinfo.cols.info:append(", epoch " .. buffer(EPOCH, 4):uint())
  end
  local odd = oddities(buffer, message, has_trailer)
  if odd ~= "" and message.kind ~= "answer" then
    tree:add(f.old, shown, odd):set_generated()
    if buffer:len() ~= MESSAGE_LEN then
      tree:add_proto_expert_info(e.short)
    end
  end
  if buffer:len() > MESSAGE_LEN then
    tree:add(f.rest, buffer(MESSAGE_LEN))
  end
  return buffer:len()
end

local table_ = DissectorTable.get("udp.port")
local bound = boardroom.prefs.port
table_:add(bound, boardroom)

function boardroom.prefs_changed()
  if bound ~= boardroom.prefs.port then
    table_:remove(bound, boardroom)
    bound = boardroom.prefs.port
    table_:add(bound, boardroom)
  end
end
