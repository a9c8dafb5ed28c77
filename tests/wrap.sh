#!/bin/sh
#
# wrap.sh - makes stand-ins for the eight programs, which run them under some
# command, such as an emulator or a checker. A test takes them for the
# programs.
#
#   sh tests/wrap.sh PROGRAMS STAND_INS COMMAND [ARGUMENT ...]
#
# PROGRAMS is the folder of the programs, STAND_INS the folder to make.

set -eu
programs=$(cd "$1" && pwd)
mkdir -p "$2"
stand_ins=$(cd "$2" && pwd)
shift 2

for name in tcp_server tcp_client udp_server udp_client unix_server \
  unix_client fifo_writer fifo_reader; do
  # exec: the stand-in's process id is the program's own.
  printf '#!/bin/sh\nexec %s "%s/%s" "$@"\n' "$*" "$programs" "$name" \
    >"$stand_ins/$name"
  chmod +x "$stand_ins/$name"
done
