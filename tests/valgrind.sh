#!/bin/sh
#
# valgrind.sh - runs the pair tests with every program under valgrind: no
# access to memory that is not the program's, no leak, and, when a program
# ends well, no descriptor left open.
#
#   sh tests/valgrind.sh BUILD LOGS
#
# BUILD is a folder in which check.sh has built; LOGS is made anew.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."
build=$1
rm -rf "$2"
mkdir -p "$2"
logs=$(cd "$2" && pwd)

# Each process writes a log of its own. 99 is no status of the programs.
# Without vgdb, which takes a descriptor, the story counts them from 3.
sh tests/wrap.sh "$build" "$logs/run" valgrind --error-exitcode=99 --vgdb=no \
  --leak-check=full --show-leak-kinds=definite,indirect,possible \
  --track-fds=yes "--log-file=$logs/%p.log"

TEST_DEADLINE=100
export TEST_DEADLINE
status=0
for pair in tcp udp unix; do
  "$build/test_$pair" "$logs/run/${pair}_server" "$logs/run/${pair}_client" ||
    status=1
done
"$build/test_fifo" "$logs/run/fifo_writer" "$logs/run/fifo_reader" || status=1

printf '%s processes ran under valgrind\n' "$(find "$logs" -name '*.log' | wc -l)"
if grep -L 'ERROR SUMMARY: 0 errors' "$logs"/*.log | xargs -r cat | grep .; then
  status=1
fi

# The conversations once more, in which every program ends well, or by the
# signal that ends a server.
rm "$logs"/*.log
CMOCKA_TEST_FILTER='test_*conversation*'
export CMOCKA_TEST_FILTER
for pair in tcp udp unix; do
  "$build/test_$pair" "$logs/run/${pair}_server" "$logs/run/${pair}_client" ||
    status=1
done
"$build/test_fifo" "$logs/run/fifo_writer" "$logs/run/fifo_reader" || status=1
for log in "$logs"/*.log; do
  grep -q 'Process terminating' "$log" && continue
  grep -q 'FILE DESCRIPTORS: [0-3] open (. std)' "$log" ||
    { cat "$log" && status=1; }
done
exit "$status"
