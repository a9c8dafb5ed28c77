#!/bin/sh
#
# demo.sh - installs what is missing, builds, and plays all four pairs: both
# sides' stories in the order in which they happen. On a terminal it stops
# after each scene until Enter. Takes no arguments, works from any folder, and
# leaves nothing behind but build/.
#
# Each program writes a line of its story with one write(), so all can share
# one FIFO, which keeps the lines whole and in order. This script reads them:
# it shows each line, and does the next step when a program has said that it
# is ready for it.

set -eu
unset CDPATH # it would lead cd astray
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

scene() {
  printf '\n%s%s%s\n\n' "$bold" "$1" "$plain"
}

# Shows a line, or a command: a client's and the FIFO writer's indented. What
# names no program is data. A client's hint may name its server, too.
show() {
  case $1 in
  *_client* | *fifo_writer*) printf '%s  %s%s\n' "$right" "$1" "$plain" ;;
  *_server* | *fifo_reader*) printf '%s%s%s\n' "$left" "$1" "$plain" ;;
  *) printf '%s  %s%s\n' "$data" "$1" "$plain" ;;
  esac
}

# Shows what the programs say, until a line matches the pattern; its last word
# is then in $word.
show_until() {
  while IFS= read -r line <&3; do
    show "$line"
    word=${line##* }
    # shellcheck disable=SC2254 # it is a pattern
    case $line in
    $1) return ;;
    esac
  done
  exec 3<&-
  [ "$1" = 'the end' ] || fail "all have ended before one said: $1"
}

# Starts a program, as its command line says. Its input is empty; or, with -,
# what is written to descriptor 4. No other program may have that end of it, or
# else the input would not end.
start() {
  show "\$ $1"
  input=/dev/null
  [ "${1% -}" = "$1" ] || input=$folder/input
  eval "exec $1" <"$input" >"$folder/story" 2>&1 3<&- 4>&- &
  [ -n "$processes" ] || exec 3<"$folder/story"
  processes="$processes $!"
  [ "$input" = /dev/null ] || exec 4>"$folder/input"
}

# Starts a server, and waits until it waits. Its address is then in $address.
start_server() {
  start "$1"
  server=$!
  show_until '*: ready on *'
  address=$word
  show_until '* waits for a *'
}

# Shows the rest of a scene, in which all have to end with this status. On a
# terminal somebody looks at it, until Enter.
finish() {
  exec 4>&-
  show_until 'the end'
  for process in $processes; do
    status=0
    wait "$process" || status=$?
    [ "$status" -eq "$1" ] || fail "a program has ended with status $status"
  done
  processes=''
  if [ -t 0 ] && [ -t 1 ]; then
    printf '\n[Enter]'
    read -r line || exit 0
  fi
}

install_missing need_build_tools
printf 'Building in build/ ...\n'
quietly cmake -S . -B build
quietly cmake --build build --parallel 2 --target tcp_server tcp_client \
  udp_server udp_client unix_server unix_client fifo_reader fifo_writer

# A path of its own for everything: UNIX sockets need a short one.
folder=$(mktemp -d /tmp/demo.XXXXXX)
mkfifo "$folder/story" "$folder/input"

printf '\n%s\n' \
  'Clients are indented. A line without a program is data: standard output.'

scene 'TCP: a connection. What the client sends comes back.'
start_server 'build/tcp_server -n 1 127.0.0.1 0'
start "build/tcp_client 127.0.0.1 ${address#*:}"
finish 0

scene 'TCP: two clients at once. While one idles, a quiet one is served.'
start_server 'build/tcp_server -n 2 127.0.0.1 0'
start "build/tcp_client 127.0.0.1 ${address#*:} -"
show_until '* waits for input *'
start "build/tcp_client -q 127.0.0.1 ${address#*:} 'I am the second.'"
show_until 'I am the second.'
printf '%s\n' 'I am the first.' >&4
show_until 'tcp_client*: write(*'
finish 0

scene 'TCP has no messages: one read may take what two writes sent.'
start_server "build/tcp_server -n 1 127.0.0.1 0 'Hello, client!'"
kill -s STOP "$server"
start "build/tcp_client 127.0.0.1 ${address#*:} -"
printf '%s\n' 'First line.' >&4
show_until 'tcp_client*: write(*'
printf '%s\n' '第二行。' >&4
show_until 'tcp_client*: write(*'
kill -s CONT "$server"
show_until 'Hello, client!'
finish 0

scene 'UDP: datagrams, without a connection. What the client sends comes back.'
start_server 'build/udp_server -n 1 127.0.0.1 0'
start "build/udp_client 127.0.0.1 ${address#*:}"
finish 0

scene 'UNIX: nearly the calls of TCP on one machine; the address is a file.'
start_server "build/unix_server -n 1 $folder/socket"
start "build/unix_client $address"
finish 0

scene 'FIFO: a pipe with a name, in one direction. Both wait in open.'
start "build/fifo_reader $folder/fifo"
show_until '* waits for a writer'
start "build/fifo_writer $folder/fifo"
finish 0

scene 'The client first: nobody listens there. A hint says what to do.'
start 'build/tcp_client 127.0.0.1 1'
finish 1

scene 'The path is taken: by something that is no socket. It stays as it is.'
start 'build/unix_server README.md'
finish 1

printf '\n%s\n' "Now you, in two terminals, both after: cd $(pwd)

  build/tcp_server    build/tcp_client
  build/udp_server    build/udp_client
  build/unix_server   build/unix_client
  build/fifo_reader   build/fifo_writer

Ctrl-C ends a server. With -h each program shows what else it can do."
