#!/bin/sh
#
# check.sh - installs what is missing, builds, and runs every test; arguments
# are for CTest, such as -L tcp. Works from any folder. Ends with CTest's own
# summary, why tests were skipped, and CTest's exit status. These environment
# variables change what is tested:
#
#   CC           the compiler, when the build folder is new
#   CHECK_BUILD  the build folder (build)
#   CHECK_CMAKE  more arguments for CMake, such as -DSANITIZERS=address

set -eu
unset CDPATH # it would lead cd astray
cd "$(dirname "$0")/.."
# shellcheck source=tests/install.sh
. tests/install.sh

need_test_tools() {
  need_build_tools
  need CMocka libcmocka-dev can_include cmocka.h
}

build=${CHECK_BUILD:-build}
jobs=$(getconf _NPROCESSORS_ONLN)

install_missing need_test_tools
printf 'Building in %s/ ...\n' "$build"
# Progress is left out; errors and warnings are on standard error.
# shellcheck disable=SC2086 # CHECK_CMAKE is several words
cmake -S . -B "$build" ${CHECK_CMAKE:-} >/dev/null
[ -f "$build/tests/CTestTestfile.cmake" ] ||
  fail 'no tests: CMake does not find CMocka, and left them out'
cmake --build "$build" --parallel "$jobs" >/dev/null

cd "$build"
log=Testing/Temporary/LastTest.log
rm -f $log
status=0
ctest --output-on-failure --no-tests=error --parallel "$jobs" "$@" || status=$?
[ ! -f $log ] || awk '/^[0-9]+\/[0-9]+ Testing: / { test = $3 }
  /^Skipped: / && !told[test, $0]++ {
    if (!told[""]++) print "\nWhat was skipped, in whole or in part:"
    sub("Skipped: ", ""); print "  " test ": " $0
  }' $log
(exit $status)
