#!/bin/sh
#
# valgrind.sh - runs tests with every program under valgrind: no access to
# memory that is not the program's, no leak, and no descriptor left open by a
# program that ends well.
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

# play TOPIC PATTERN...: the tests of a topic whose names match. Each start
# takes a second here, so those that start hundreds are left out.
play() {
  topic=$1
  shift
  for pattern in "$@"; do
    PROGRAMS=$logs/run TEST_DEADLINE=100 CMOCKA_TEST_FILTER=$pattern \
      "$build/test_$topic" >"$logs/$topic.out" 2>&1 &&
      grep -q 'Running [1-9]' "$logs/$topic.out" && continue
    cat "$logs/$topic.out"
    echo "failed: $topic $pattern" | tee -a "$logs/failed"
  done
}

play streams 'hello*' 'conv*' 'much*' 'lines*' '*clients' 'child*' 'signals*' \
  '*socket*' &
(play udp '*' && play fifo 'conv*' 'what*' 'a_signal*' '*outlives*') &
wait

# With these strangers every program ends well, and so closes what it has opened.
# (Those of inetd leave a client before its input ends: the kernel closes then.)
mkdir "$logs/plays"
mv "$logs"/*.log "$logs/plays"
python3 -B tests/strangers.py "$logs/run" nc socat sh || touch "$logs/failed"
awk '/ Open / { open = $0; next }
  open && !/inherited from parent/ { print "left open:" open; left = 1 }
  { open = "" }
  END { exit left }' "$logs"/*.log || touch "$logs/failed"

# Nobody looks at the exit status of every child.
cat "$logs"/*.log "$logs"/plays/*.log >"$logs/all"
echo "$(grep -c 'ERROR SUMMARY' "$logs/all") processes ran under valgrind"
grep 'ERROR SUMMARY: [1-9]' "$logs/all" && touch "$logs/failed"
[ ! -e "$logs/failed" ]
