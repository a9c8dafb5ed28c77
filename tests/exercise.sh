#!/bin/sh
#
# exercise.sh - for docs/exercises.md: makes a program with a mistake, or checks
# your own program.
#
#   sh tests/exercise.sh break NAME
#
# Makes build/NAME, a program with the change that docs/breaks/NAME.sed makes,
# and shows that change. The sources stay as they are.
#
#   sh tests/exercise.sh NAME PROGRAM...
#
# NAME is the exercise: client, poll, timeout, numbered, framing, transfer, chat
# or room. PROGRAM is how yours is started, in any language: "./client", or
# "python3 client.py". Prints each check that passed, or the first thing that
# went wrong.
#
# Works from any folder. Exit status: 0 all passed, 1 something failed, 2 wrong
# usage.
set -eu
unset CDPATH # it would lead cd astray

if [ "${1-}" = break ]; then
  cd -- "$(dirname -- "$0")/.."
  script=docs/breaks/${2-}.sed
  [ -f "$script" ] || {
    echo 'usage: sh tests/exercise.sh break NAME, and NAME is one of:' >&2
    ls docs/breaks >&2
    exit 2
  }
  changed=$(mktemp -d)
  trap 'rm -r "$changed"' EXIT
  for source in $(sed -n '1s/# //p' "$script") common/helper.c; do
    sed -f "$script" "$source" >"$changed/${source##*/}"
    cmp -s "$source" "$changed/${source##*/}" && continue
    echo "$source, changed:"
    diff -U 0 "$source" "$changed/${source##*/}" | sed '1,2d; /^@@/d'
  done
  mkdir -p build
  cc -std=c11 -D_POSIX_C_SOURCE=200809L -I common "$changed"/*.c -o "build/$2"
  echo "build/$2 is made"
  exit
fi

command -v python3 >/dev/null || {
  echo 'exercise.sh: python3 is missing (Debian: apt-get install python3)' >&2
  exit 2
}
exec python3 -B "$(dirname -- "$0")/exercise.py" "$@"
