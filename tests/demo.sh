#!/bin/sh
#
# demo.sh - installs what is missing, builds, and plays all four pairs: both
# sides' stories in the order in which they happen. Takes no arguments, works
# from any folder, and leaves nothing behind but build/.
#
# Each program writes a line of its story with one write(), so both can share
# one FIFO, which keeps the lines whole and in order. This script reads them:
# it shows each line, and starts the second program when the first is ready.

set -eu
unset CDPATH # it would lead cd astray
started_in=$(pwd)
cd "$(dirname "$0")/.."
# shellcheck source=tests/install.sh
. tests/install.sh
# shellcheck source=tests/leave_nothing.sh
. tests/leave_nothing.sh

bold='' left='' right='' data='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  escape=$(printf '\033')
  bold="${escape}[1m" plain="${escape}[0m"
  left="${escape}[36m" right="${escape}[35m" data="${escape}[1;32m"
fi

# Shows a line: the first program's at the left, the second's indented. What
# does not begin with a program's name is data.
show() {
  case $1 in
  "$first: "* | "${first}["*) printf '%s%s%s\n' "$left" "$1" "$plain" ;;
  "$second: "* | "${second}["*) printf '%s    %s%s\n' "$right" "$1" "$plain" ;;
  *) printf '%s    standard output: %s%s\n' "$data" "$1" "$plain" ;;
  esac
}

# Shows a command as it could be typed: COLOUR INDENTATION COMMAND...
show_command() {
  printf '%s%s$' "$1" "$2"
  shift 2
  for word in "$@"; do
    case $word in
    -) printf ' - <%s' "$lines" ;;
    *[!A-Za-z0-9_./:-]*) printf " '%s'" "$word" ;;
    *) printf ' %s' "$word" ;;
    esac
  done
  printf '%s\n' "$plain"
}

# Starts the first program of a pair, and waits until the second may come. A
# server's address is then in $address.
begin() {
  first=${1##*/} second=none
  show_command "$left" '' "$@"
  "$@" <"$lines" >"$folder/story" 2>&1 &
  first_process=$!
  processes=$!
  exec 3<"$folder/story"
  while IFS= read -r line <&3; do
    show "$line"
    case $line in
    "$first: ready on "*)
      address=${line#*: ready on }
      port=${address##*:}
      return
      ;;
    "$first: open("*" waits for a "*) return ;;
    esac
  done
  fail "$first ended before it was ready"
}

# Shows what comes until all that write into the FIFO have ended.
show_rest() {
  while IFS= read -r line <&3; do
    show "$line"
  done
}

# Starts the second program, and shows both stories until both have ended.
finish() {
  second=${1##*/} failed=''
  show_command "$right" '    ' "$@"
  show_rest &
  shower=$!
  exec 4>"$folder/story" 3<&-
  "$@" <"$lines" >&4 2>&1 4>&- &
  processes="$first_process $! $shower"
  exec 4>&-

  # If the second fails, the first would wait for another one.
  if ! wait "$!"; then
    failed=$second
    kill "$first_process" 2>/dev/null || true # it may have ended too
  fi
  wait "$first_process" 2>/dev/null || failed=${failed:-$first}
  wait "$shower" || true # fails if nobody reads what we show
  processes=''
  [ -z "$failed" ] || fail "$failed failed"
}

title() {
  printf '\n%s%s%s\n%s\n\n' "$bold" "$1" "$plain" "$2"
}

programs='tcp_server tcp_client udp_server udp_client
  unix_server unix_client fifo_reader fifo_writer'

install_missing need_build_tools
printf 'Building in build/ ...\n'
quietly cmake -S . -B build || fail 'cmake failed'
# shellcheck disable=SC2086
quietly cmake --build build --target $programs || fail 'the build failed'

# A path of its own for everything: UNIX sockets need a short one.
folder=$(mktemp -d /tmp/demo.XXXXXX)
lines=$folder/lines
mkfifo "$folder/story"
printf '%s\n' 'The first line.' '第二行：你好' 'The third line.' >"$lines"

printf '
Each scene has a program at the left and one that is started when the first
is ready, indented. Both tell each system call when it has returned, on
standard error; what arrives is on standard output.
'

title 'TCP: a connection, and a stream of bytes each way' \
  'Port 0 means any free port. What the client sends comes back.'
begin build/tcp_server -n 1 127.0.0.1 0
finish build/tcp_client 127.0.0.1 "$port"

title 'TCP has no messages' \
  'Three lines are sent. One read takes them all, so one reply goes back.'
begin build/tcp_server -n 1 127.0.0.1 0 'Hello, client!'
finish build/tcp_client 127.0.0.1 "$port" -

title 'UDP: datagrams, without a connection' \
  'What the client sends comes back.'
begin build/udp_server -n 1 127.0.0.1 0
finish build/udp_client 127.0.0.1 "$port"

title 'UDP has messages' \
  'Three lines are three datagrams, and get three replies.'
begin build/udp_server -n 3 127.0.0.1 0 'Hello, client!'
finish build/udp_client 127.0.0.1 "$port" -

title 'UNIX: a stream within one machine, at a path' \
  'Nearly the same calls as for TCP; the address is a file.'
begin build/unix_server -n 1 "$folder/socket"
finish build/unix_client "$address"

title 'UNIX: bytes pass unchanged' \
  'Three lines, in English and Chinese, come back as they went.'
begin build/unix_server -n 1 "$folder/socket"
finish build/unix_client "$address" -

title 'FIFO: a named pipe, in one direction, reader first' \
  'Opening it waits for the other side.'
begin build/fifo_reader "$folder/fifo"
finish build/fifo_writer "$folder/fifo"

title 'FIFO: writer first' \
  'The three lines arrive just so.'
begin build/fifo_writer "$folder/fifo" -
finish build/fifo_reader "$folder/fifo"

printf '\n%sNow you, in two terminals%s' "$bold" "$plain"
[ "$started_in" = "$(pwd)" ] || printf ', both after: cd %s' "$(pwd)"
printf "

          first               second
  TCP     %sbuild/tcp_server%s    %sbuild/tcp_client%s
  UDP     %sbuild/udp_server%s    %sbuild/udp_client%s
  UNIX    %sbuild/unix_server%s   %sbuild/unix_client%s
  FIFO    %sbuild/fifo_reader%s   %sbuild/fifo_writer%s

Ctrl-C ends a server. With -h each program shows what else it can do.
" "$left" "$plain" "$right" "$plain" "$left" "$plain" "$right" "$plain" \
  "$left" "$plain" "$right" "$plain" "$left" "$plain" "$right" "$plain"
