#!/bin/sh
#
# valgrind.sh - runs the pair tests with every program under valgrind: no
# access to memory that is not the program's, no leak, and no descriptor left
# open by a program that ends well.
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

# The log has a high descriptor, and there is no vgdb, which would take one:
# the story counts them from 3. 99 is no exit status of the programs.
cat >"$logs/under_valgrind" <<END
#!/bin/sh
exec 9>>"$logs/\$\$.log"
exec valgrind --log-fd=9 --vgdb=no --error-exitcode=99 --track-fds=yes \\
  --leak-check=full --show-leak-kinds=definite,indirect,possible "\$@"
END
chmod +x "$logs/under_valgrind"
sh tests/wrap.sh "$build" "$logs/run" "$logs/under_valgrind"
TEST_DEADLINE=100
export TEST_DEADLINE

# Runs a pair's tests, and says so if one fails.
run_tests() { # NAME FIRST SECOND
  "$build/test_$1" "$logs/run/$2" "$logs/run/$3" >"$logs/$1.out" 2>&1 ||
    { cat "$logs/$1.out" && touch "$logs/failed"; }
}

run_all() {
  run_tests tcp tcp_server tcp_client &
  run_tests unix unix_server unix_client &
  run_tests udp udp_server udp_client &
  run_tests fifo fifo_writer fifo_reader &
  wait
}

run_all
echo "$(find "$logs" -name '*.log' | wc -l) programs ran under valgrind"
for log in "$logs"/*.log; do
  if grep -q 'ERROR SUMMARY: [1-9]' "$log"; then
    cat "$log"
    touch "$logs/failed"
  fi
done

# The conversations once more, in which every program ends well, or by the
# signal that ends a server: that one has its descriptors still.
rm "$logs"/*.log
CMOCKA_TEST_FILTER='test_*conversation*'
export CMOCKA_TEST_FILTER
run_all
cat "$logs"/*.log | awk '
  /Process terminating/ { ended[$1] = 1 }
  open && !/inherited from parent/ && !ended[open] {
    print "left open: " line; left = 1
  }
  { open = "" }
  / Open / { open = $1; line = $0 }
  END { exit left }' || touch "$logs/failed"

[ ! -e "$logs/failed" ]
