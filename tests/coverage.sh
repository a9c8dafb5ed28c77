#!/bin/sh
#
# coverage.sh - measures which lines of the programs and of common/ the tests
# reach. Fails below 95 %. docs/reliability.md explains the lines that are left.
#
#   sh tests/coverage.sh BUILD
#
# BUILD is a folder to make anew.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."
build=$1

rm -rf "$build"
cmake -B "$build" -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_C_FLAGS="--coverage -include $PWD/tests/coverage.h" >/dev/null
cmake --build "$build" --parallel 2 >/dev/null
build=$(cd "$build" && pwd)

# Whether tests pass is not asked here. gcov writes when a program ends, and
# that may not go well where a test has let calls fail: its complaints go
# elsewhere, and each group of tests is counted by itself.
GCOV_ERROR_FILE=/dev/null
TEST_DEADLINE=10
export GCOV_ERROR_FILE TEST_DEADLINE

count() { # GROUP COMMAND...
  group=$1
  shift
  find "$build" -name '*.gcda' -exec rm {} +
  "$@" >/dev/null 2>&1 || :
  gcovr --root . --object-directory "$build" --json "$build/$group.json" \
    --filter '(tcp|udp|unix|fifo|common)/' 2>/dev/null
}

for label in unit tcp udp unix fifo; do
  count "$label" ctest --test-dir "$build" -j2 -L "$label"
done
# Of the faults those that do not strike gcov's writing, too.
for tests in test_fatal accept fork connect clients_under test_fifo_under \
  test_unix_server_says test_udp_server udp_client; do
  CMOCKA_TEST_FILTER="*$tests*"
  export CMOCKA_TEST_FILTER
  count "$tests" "$build/test_faults" "$build" \
    "$build/tests/libinterrupted_connect.so"
done

set --
for counted in "$build"/*.json; do
  case $counted in
  */compile_commands.json) ;;
  *) set -- "$@" --add-tracefile "$counted" ;;
  esac
done
gcovr --root . "$@" --fail-under-line 95
