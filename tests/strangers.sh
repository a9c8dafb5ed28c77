#!/bin/sh
#
# strangers.sh - proves that a program in another language can take either
# side of each pair: Python, Lua and C++, each with one send and one receive,
# and nc and socat. A FIFO is a file, so there the shell takes part, too.
#
#   sh tests/strangers.sh PROGRAMS
#
# PROGRAMS is the folder of the eight programs. A stranger that is not
# installed is skipped; with STRANGERS_REQUIRED=1 that is a failure. Exit
# status: 0, 1 if a conversation failed, 77 if no stranger is here.
#
# Each side's bytes come from a file and go to a file; they must be what the
# other side sent, and both must end with status 0. A line tells who began,
# who came second, and what each sent (-: from its input).
#
# Nothing waits for time: whoever serves takes port 0, and says on standard
# error when and where it can be reached. The deadline only ends what hangs.

set -eu
unset CDPATH # it would lead cd astray
[ $# -eq 1 ] || {
  echo 'usage: sh tests/strangers.sh PROGRAMS' >&2
  exit 2
}
programs=$(cd "$1" && pwd)
deadline=60 # seconds for one program in one conversation

# shellcheck source=tests/leave_nothing.sh
. "$(dirname "$0")/leave_nothing.sh"

# A path of its own for everything: UNIX sockets need a short one.
folder=$(mktemp -d /tmp/strangers.XXXXXX)
path=$folder/path
mkfifo "$folder/story"

conversations=0 failures=0 missing=''

# Takes a stranger, or a part of it, for missing.
miss() {
  missing=yes
  if [ "${STRANGERS_REQUIRED:-0}" = 1 ]; then
    printf 'FAILED: %s is not installed\n' "$1"
    failures=$((failures + 1))
  else
    printf 'skipped: %s is not installed\n' "$1"
  fi
}

# begin COMMAND...: starts the first program of a conversation, and waits
# until the second may come. A server's port is then in $port.
begin() {
  failure='' port=''
  : >"$folder/first_story"
  timeout -k 5 "$deadline" "$@" <"$folder/first_input" \
    >"$folder/first_output" 2>"$folder/story" &
  first=$!
  processes=$first
  exec 3<"$folder/story"
  while IFS= read -r line <&3; do
    printf '%s\n' "$line" >>"$folder/first_story"
    # nc says Bound, and then, unless it is for UDP, Listening.
    case $pair:$line in
    *:*'ready on '* | *:*'istening on '* | udp:'Bound on '*)
      port=${line##*[!0-9]}
      return
      ;;
    fifo:*' waits for a '*) return ;;
    esac
  done
  failure="${1##*/} ended before it was ready"
}

# await PROCESS NAME: waits until it has ended; it should with status 0.
await() {
  status=0
  wait "$1" || status=$?
  [ "$status" -eq 0 ] || failure=${failure:-"$2 ended with status $status"}
  # Whatever hangs once will hang again.
  case $status in 124 | 137) hung=yes ;; esac
}

# finish COMMAND...: starts the second program of a conversation, and waits
# for both.
finish() {
  hung=''
  : >"$folder/second_output"
  : >"$folder/second_story"
  if [ -z "$failure" ]; then
    timeout -k 5 "$deadline" "$@" <"$folder/second_input" \
      >"$folder/second_output" 2>"$folder/second_story" 3<&- &
    second=$!
    processes="$first $second"
    await "$second" "${1##*/}"
  fi
  # If the second failed, the first would wait for another one.
  [ -z "$failure" ] || kill "$first" 2>/dev/null || true # it may have ended
  await "$first" 'the other side'
  processes=''
  conclude
}

# Tells how the conversation ended.
conclude() {
  for side in first second; do
    cmp -s "$folder/${side}_output" "$folder/${side}_expected" ||
      failure="${failure:+$failure; }the $side side got something else"
  done
  case $ours in
  unix_server | fifo_reader)
    if [ -e "$path" ] || [ -L "$path" ]; then
      failure="${failure:+$failure; }$ours left its path behind"
    fi
    ;;
  esac
  rm -f "$path" # what a stranger made is left behind

  conversations=$((conversations + 1))
  if [ -z "$failure" ]; then
    exec 3<&-
    printf 'ok: %s\n' "$label"
    return
  fi
  failures=$((failures + 1))
  timeout 5 cat <&3 >>"$folder/first_story" || true # as far as it was told
  exec 3<&-
  printf 'FAILED: %s: %s\n' "$label" "$failure"
  for side in first second; do
    printf 'The %s side was to get, got, and told:\n' "$side"
    od -c "$folder/${side}_expected"
    od -c "$folder/${side}_output"
    cat "$folder/${side}_story"
  done
  [ -z "$hung" ] || {
    echo 'Something hangs: the rest is left out.'
    exit 1
  }
}

# put NAME TEXT: makes a file of the text, in which \n is a newline.
put() {
  printf '%b' "$2" >"$folder/$1"
}

# script ACTION ROLE: the stranger begins or finishes with its own program.
script() {
  action=$1 role=$2
  set -- "$role" "$pair" "$path"
  case $pair in
  tcp | udp) set -- "$role" "$pair" 127.0.0.1 "${port:-0}" ;;
  esac
  case $stranger in
  Python) "$action" "$python" -I "$folder/stranger.py" "$@" ;;
  Lua) "$action" lua5.4 "$folder/stranger.lua" "$@" ;;
  C++) "$action" "$folder/stranger" "$@" ;;
  esac
}

# The stranger is the client of our server.
stranger_client() {
  case $stranger-$pair in
  nc-tcp) finish nc -N 127.0.0.1 "$port" ;;
  nc-udp) finish nc -u -W 1 127.0.0.1 "$port" ;;
  nc-unix) finish nc -N -U "$path" ;;
  socat-tcp) finish socat -t "$deadline" - "TCP:127.0.0.1:$port" ;;
  # UDP has no end: without this count, socat would go by the clock.
  socat-udp)
    count=$(wc -c <"$folder/second_expected")
    finish socat -t "$deadline" - \
      "UDP:127.0.0.1:$port,readbytes=$((count))"
    ;;
  socat-unix) finish socat -t "$deadline" - "UNIX:$path" ;;
  *) script finish client ;;
  esac
}

# The stranger is the server of our client. Both tools answer as soon as
# somebody has connected: the server may go first.
stranger_server() {
  port=''
  case $stranger-$pair in
  nc-tcp) begin nc -l -N -n -v 127.0.0.1 0 ;;
  nc-udp) begin nc -l -u -W 1 -n -v 127.0.0.1 0 ;;
  nc-unix) begin nc -l -N -v -U "$path" ;;
  socat-tcp) begin socat -d -d -t "$deadline" TCP-LISTEN:0,bind=127.0.0.1 - ;;
  socat-udp)
    count=$(wc -c <"$folder/first_expected")
    begin socat -d -d -t "$deadline" \
      "UDP-LISTEN:0,bind=127.0.0.1,readbytes=$((count))" -
    ;;
  socat-unix) begin socat -d -d -t "$deadline" "UNIX-LISTEN:$path" - ;;
  *) script begin server ;;
  esac
}

# ask_ours QUESTION REPLY: the stranger asks our server, an echo if there is
# no REPLY.
ask_ours() {
  ours=${pair}_server
  label="$ours ${2:-echo} | $stranger client $1"
  answer=$1
  if [ -n "$2" ]; then
    answer=$2
    [ "$pair" = udp ] || answer="$2\n" # a line of the stream
  fi
  put first_input ''
  put first_expected ''
  put second_input "$1"
  put second_expected "$answer"
  case $pair in
  unix) begin "$programs/$ours" -n 1 "$path" ${2:+"$2"} ;;
  *) begin "$programs/$ours" -n 1 127.0.0.1 0 ${2:+"$2"} ;;
  esac
  stranger_client
}

# ask_stranger MESSAGE ANSWER [INPUT]: our client asks the stranger. INPUT is
# what it sends if MESSAGE is -.
ask_stranger() {
  ours=${pair}_client
  label="$stranger server $2 | $ours $1${3:+ $3}"
  put second_input "${3:-}"
  put first_input "$2"
  case $pair in
  udp)
    put first_expected "${3:-$1}"
    put second_expected "$2\n" # it prints each datagram as a line
    ;;
  *)
    line="$1\n"
    put first_expected "${3:-$line}"
    put second_expected "$2"
    ;;
  esac
  stranger_server
  case $pair in
  unix) finish "$programs/$ours" "$path" "$1" ;;
  *) finish "$programs/$ours" 127.0.0.1 "$port" "$1" ;;
  esac
}

# Plays one pair of sockets with a stranger at each side.
play_sockets() {
  pair=$1
  for end in '' '\n'; do
    ask_ours "Hello, server!$end" ''
    ask_ours "Hello, server!$end" 'Hello, client!'
    ask_ours "你好，服务器！$end" ''
    ask_ours "你好，服务器！$end" '你好，客户端！'

    ask_stranger 'Hello, server!' "Hello, client!$end"
    ask_stranger - "Hello, client!$end" 'Hello, server!'
    ask_stranger '你好，服务器！' "你好，客户端！$end"
    ask_stranger - "你好，客户端！$end" '你好，服务器！'
  done
}

# write_to_ours first|second TEXT: our reader comes first or second.
write_to_ours() {
  ours=fifo_reader
  label="$ours | $stranger writer $2"
  put first_input "$2"
  put second_input "$2"
  put first_expected ''
  put second_expected ''
  put "$1_expected" "$2"
  if [ "$1" = second ]; then
    label="$stranger writer $2 | $ours"
    mkfifo -m 600 "$path"
    script begin writer
    finish "$programs/$ours" "$path"
    return
  fi
  begin "$programs/$ours" "$path"
  # shellcheck disable=SC2016 # only the new shell shall open the path
  case $stranger in
  shell) finish sh -c 'cat >"$0"' "$path" ;;
  socat) finish socat -u - "OPEN:$path,wronly" ;;
  *) script finish writer ;;
  esac
}

# read_from_ours first|second MESSAGE [INPUT]: our writer comes first or
# second. INPUT is what it writes if MESSAGE is -.
read_from_ours() {
  ours=fifo_writer
  label="$ours $2${3:+ $3} | $stranger reader"
  put first_input "${3:-}"
  put second_input "${3:-}"
  line="$2\n"
  put first_expected "${3:-$line}"
  put second_expected "${3:-$line}"
  put "$1_expected" ''
  if [ "$1" = second ]; then
    label="$stranger reader | $ours $2${3:+ $3}"
    mkfifo -m 600 "$path"
    script begin reader
    finish "$programs/$ours" "$path" "$2"
    return
  fi
  begin "$programs/$ours" "$path" "$2"
  case $stranger in
  shell) finish cat "$path" ;;
  socat) finish socat -u "OPEN:$path,rdonly" - ;;
  *) script finish reader ;;
  esac
}

# Plays the FIFO pair, with our program in these places.
play_fifo() {
  pair=fifo port=''
  for place in "$@"; do
    write_to_ours "$place" 'Hello, reader!'
    write_to_ours "$place" 'Hello, reader!\n'
    write_to_ours "$place" '你好，读者！\n'
    read_from_ours "$place" 'Hello, reader!'
    read_from_ours "$place" - 'Hello, reader!'
    read_from_ours "$place" '你好，读者！'
  done
}

# The three programs take ROLE PAIR WHERE [PORT]. ROLE is client or server,
# writer or reader. What they send is their input, what they get their output.

cat >"$folder/stranger.py" <<'PYTHON'
import os
import socket
import sys

role, pair, where = sys.argv[1:4]
message = sys.stdin.buffer.read()


def show(received):
    sys.stdout.buffer.write(received)


def tell_ready():
    print("ready on", where, file=sys.stderr, flush=True)


def send(sock):
    assert sock.send(message) == len(message)


if pair == "fifo":
    tell_ready()
    if role == "writer":
        with open(where, "wb") as fifo:
            fifo.write(message)
    else:
        with open(where, "rb") as fifo:
            show(fifo.read())
    sys.exit()

family = socket.AF_UNIX if pair == "unix" else socket.AF_INET
kind = socket.SOCK_DGRAM if pair == "udp" else socket.SOCK_STREAM
address = where if pair == "unix" else (where, int(sys.argv[4]))

with socket.socket(family, kind) as sock:
    if role == "client":
        sock.connect(address)
        send(sock)
        show(sock.recv(65536))
        sys.exit()

    sock.bind(address)
    if pair != "udp":
        sock.listen()
    if pair != "unix":
        where = "%s:%d" % sock.getsockname()
    tell_ready()

    if pair == "udp":
        received, client = sock.recvfrom(65536)
        show(received)
        assert sock.sendto(message, client) == len(message)
    else:
        connection, client = sock.accept()
        with connection:
            show(connection.recv(65536))
            send(connection)
PYTHON

cat >"$folder/stranger.lua" <<'LUA'
local socket = require("socket")

local role, pair, where, port = table.unpack(arg)
local message = io.read("a")

local function tell_ready()
  io.stderr:write("ready on ", where, "\n")
end

-- Takes what one recv would: receive alone waits until it has all it asked for.
local function receive(stream)
  socket.select({ stream })
  stream:settimeout(0)
  local all, _, part = stream:receive(65536)
  stream:settimeout(nil)
  io.write(all or part)
end

local function send(stream)
  assert(assert(stream:send(message)) == #message)
end

if pair == "fifo" then
  tell_ready()
  local fifo = assert(io.open(where, role == "writer" and "wb" or "rb"))
  if role == "writer" then
    assert(fifo:write(message))
  else
    io.write(fifo:read("a"))
  end
  assert(fifo:close())
  return
end

if pair == "udp" then
  local sock = assert(socket.udp())
  if role == "client" then
    assert(sock:setpeername(where, port))
    assert(sock:send(message))
    io.write(assert(sock:receive()))
  else
    assert(sock:setsockname(where, port))
    where = where .. ":" .. select(2, sock:getsockname())
    tell_ready()
    local received, host, from = assert(sock:receivefrom())
    io.write(received)
    assert(sock:sendto(message, host, from))
  end
  sock:close()
  return
end

local sock
if pair == "unix" then
  sock = assert(require("socket.unix")())
else
  sock = assert(socket.tcp())
end
if role == "client" then
  assert(sock:connect(where, port))
  send(sock)
  receive(sock)
else
  assert(sock:bind(where, port))
  assert(sock:listen())
  if pair == "tcp" then
    where = where .. ":" .. select(2, sock:getsockname())
  end
  tell_ready()
  local connection = assert(sock:accept())
  receive(connection)
  send(connection)
  connection:close()
end
sock:close()
LUA

cat >"$folder/stranger.cpp" <<'CPP'
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static std::string read_all(std::istream &stream)
{
    return {std::istreambuf_iterator<char>(stream), {}};
}

static ssize_t check(ssize_t result, const char *what)
{
    if (result == -1) {
        std::perror(what);
        std::exit(EXIT_FAILURE);
    }
    return result;
}

static std::string receive(int fd, sockaddr *peer, socklen_t *peer_size)
{
    std::string buffer(65536, '\0');
    ssize_t size = check(
        recvfrom(fd, &buffer[0], buffer.size(), 0, peer, peer_size), "recv");
    buffer.resize(static_cast<std::size_t>(size));
    return buffer;
}

static void send_all(int fd, const std::string &message, const sockaddr *peer,
                     socklen_t peer_size)
{
    ssize_t size = check(
        sendto(fd, message.data(), message.size(), 0, peer, peer_size), "send");
    if (static_cast<std::size_t>(size) != message.size()) {
        std::cerr << "send: only " << size << " bytes\n";
        std::exit(EXIT_FAILURE);
    }
}

int main(int, char *argv[])
{
    const std::string role = argv[1], pair = argv[2], where = argv[3];
    const std::string message = read_all(std::cin);

    if (pair == "fifo") {
        std::cerr << "ready on " << where << std::endl;
        if (role == "writer") {
            std::ofstream fifo(where, std::ios::binary);
            fifo << message << std::flush;
            return fifo ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        std::ifstream fifo(where, std::ios::binary);
        std::cout << read_all(fifo);
        return fifo.is_open() ? EXIT_SUCCESS : EXIT_FAILURE;
    }

    sockaddr_in inet{};
    sockaddr_un local{};
    auto *address = reinterpret_cast<sockaddr *>(&inet);
    socklen_t size = sizeof inet;
    if (pair == "unix") {
        local.sun_family = AF_UNIX;
        std::strncpy(local.sun_path, where.c_str(), sizeof local.sun_path - 1);
        address = reinterpret_cast<sockaddr *>(&local);
        size = sizeof local;
    } else {
        inet.sin_family = AF_INET;
        inet.sin_addr.s_addr = inet_addr(where.c_str());
        inet.sin_port = htons(static_cast<in_port_t>(std::atoi(argv[4])));
    }

    const bool datagrams = pair == "udp";
    int fd =
        socket(address->sa_family, datagrams ? SOCK_DGRAM : SOCK_STREAM, 0);
    check(fd, "socket");
    if (role == "client") {
        check(connect(fd, address, size), "connect");
        send_all(fd, message, nullptr, 0);
        std::cout << receive(fd, nullptr, nullptr);
        close(fd);
        return EXIT_SUCCESS;
    }

    check(bind(fd, address, size), "bind");
    if (!datagrams) {
        check(listen(fd, 5), "listen");
    }
    check(getsockname(fd, address, &size), "getsockname");
    std::cerr << "ready on " << where;
    if (pair != "unix") {
        std::cerr << ':' << ntohs(inet.sin_port);
    }
    std::cerr << std::endl;

    if (datagrams) {
        sockaddr_in client{};
        auto *peer = reinterpret_cast<sockaddr *>(&client);
        socklen_t peer_size = sizeof client;
        std::cout << receive(fd, peer, &peer_size);
        send_all(fd, message, peer, peer_size);
    } else {
        int connection = accept(fd, nullptr, nullptr);
        check(connection, "accept");
        std::cout << receive(connection, nullptr, nullptr);
        send_all(connection, message, nullptr, 0);
        close(connection);
    }
    close(fd);
    return EXIT_SUCCESS;
}
CPP

# Plays all pairs with a stranger that speaks these kinds of socket.
play() {
  stranger=$1
  shift
  for kind in "$@"; do
    play_sockets "$kind"
  done
}

if ! command -v timeout >/dev/null; then
  miss 'timeout, without which nothing can be played,'
  [ "$failures" -eq 0 ] || exit 1
  exit 77
fi

# The real interpreter: the one on the path may be a slow stand-in.
if python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null); then
  play Python tcp udp unix
  play_fifo first second
else
  miss Python
fi

if lua5.4 -e 'require("socket")' 2>/dev/null; then
  play Lua tcp udp
  if lua5.4 -e 'require("socket.unix")' 2>/dev/null; then
    play Lua unix
  else
    miss "Lua's socket.unix"
  fi
  play_fifo first second
else
  miss 'Lua 5.4 with LuaSocket'
fi

if command -v g++ >/dev/null; then
  g++ -std=c++11 -Wall -Wextra -o "$folder/stranger" "$folder/stranger.cpp"
  play C++ tcp udp unix
  play_fifo first second
else
  miss g++
fi

# There are others of this name; they know neither -N nor -U.
case $(nc -h 2>&1 || true) in
OpenBSD*) play nc tcp udp unix ;;
*) miss 'nc (of OpenBSD)' ;;
esac

if command -v socat >/dev/null; then
  play socat tcp udp unix
  play_fifo first
else
  miss socat
fi

if [ "$conversations" -eq 0 ] && [ "$failures" -eq 0 ]; then
  echo 'No stranger is installed.'
  exit 77
fi

stranger=shell
play_fifo first

printf '%d conversations, %d failed%s\n' "$conversations" "$failures" \
  "${missing:+; not every stranger is installed}"
[ "$failures" -eq 0 ]
