#!/bin/sh
#
# big_endian.sh - the programs, built for s390x, talk to the native ones of this
# machine, from both sides, to each other, and to programs of others.
# So the byte order on the wire is that of the protocols, and of no machine.
#
#   sh tests/big_endian.sh BUILD BIG_BUILD
#
# BUILD is a folder in which check.sh has built; BIG_BUILD is made.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."

cmake -B "$2" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=s390x \
  -DCMAKE_C_COMPILER=s390x-linux-gnu-gcc -DBUILD_TESTING=OFF \
  -DWARNINGS_AS_ERRORS=ON
cmake --build "$2" --parallel 2
sh tests/wrap.sh "$2" "$2/run" qemu-s390x -L /usr/s390x-linux-gnu

python3 -B tests/strangers.py "$2/run"
for native in none server client; do
  mkdir -p "$2/$native"
  cp "$2/run"/* "$2/$native/"
  [ $native = none ] || cp "$1"/*_$native "$2/$native/"
  for test in 'streams hello_comes_back' \
    'udp datagrams_of_every_size_pass_whole'; do
    PROGRAMS=$2/$native TEST_DEADLINE=60 CMOCKA_TEST_FILTER=${test#* } \
      "$1/test_${test% *}" 2>&1 | tee "$2/output"
    grep -q 'PASSED  ] 1' "$2/output" # else it has failed, or is not there
  done
done
