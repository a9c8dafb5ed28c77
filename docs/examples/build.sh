#!/bin/sh
# build.sh - builds the small programs of the pages: of docs/examples/NAME.c,
# build/NAME.
cd -- "$(dirname -- "$0")/../.." && mkdir -p build || exit
for source in docs/examples/*.c; do
  name=${source##*/}
  cc -std=c11 -D_POSIX_C_SOURCE=200809L "$source" -o "build/${name%.c}" || exit
done
