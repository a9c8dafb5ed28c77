local socket = require("socket")

local connection = assert(socket.connect("127.0.0.1", 12345))
assert(connection:send("Hello from Lua, 你好!\n"))
assert(connection:shutdown("send"))
local answer = assert(connection:receive("*a"))
io.write(answer)
connection:close()
