#!/bin/sh
#
# big_endian.sh - the programs, built for s390x, talk to the ones of this
# machine: each side once big-endian, in an emulator, and once native. So the
# byte order on the wire is that of the protocols, and of no machine.
#
#   sh tests/big_endian.sh BUILD BIG_BUILD
#
# BUILD is a folder in which check.sh has built; BIG_BUILD is made.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."
build=$1
big=$2

cmake -B "$big" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=s390x \
  -DCMAKE_C_COMPILER=s390x-linux-gnu-gcc -DBUILD_TESTING=OFF \
  -DWARNINGS_AS_ERRORS=ON
cmake --build "$big"
sh tests/wrap.sh "$big" "$big/run" qemu-s390x -L /usr/s390x-linux-gnu

# The tests whose name says that they are a conversation.
CMOCKA_TEST_FILTER='test_*conversation*'
TEST_DEADLINE=60
export CMOCKA_TEST_FILTER TEST_DEADLINE
for pair in tcp udp unix; do
  "$build/test_$pair" "$big/run/${pair}_server" "$build/${pair}_client"
  "$build/test_$pair" "$build/${pair}_server" "$big/run/${pair}_client"
  "$build/test_$pair" "$big/run/${pair}_server" "$big/run/${pair}_client"
done
