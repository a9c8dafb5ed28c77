#!/bin/sh
#
# exercise.sh - for docs/exercises.md: makes a program with a mistake, or judges
# your own program.
#
#   sh tests/exercise.sh break NAME
#
# Makes build/NAME, a program with the change of docs/breaks/NAME.sed, and shows
# that change. The sources stay as they are.
#
#   sh tests/exercise.sh [--keep-going] [--junit FILE] NAME PROGRAM...
#
# NAME is the exercise, or its number in the page. PROGRAM is how yours is
# started, in any language: "./client", or "python3 client.py". Prints each check
# that passed, or the first thing that went wrong. --help tells of all options.
#
# Works from any folder. Exit status: 0 all passed, or the program is made; 1
# something failed; 2 wrong usage.

set -e
unset CDPATH # it would lead cd astray
tests=$(dirname -- "$0")
[ "$1" = break ] || exec python3 -B "$tests/exercise.py" "$@"

cd -- "$tests/.."
name=$(sed -n "/^### $2\. /,/^### /s/.*exercise\.sh break //p" docs/exercises.md)
name=${name:-$2}
script=docs/breaks/$name.sed
# Its first line names the source that it changes, and the one to compile with it.
if ! read -r _ source other 2>/dev/null <"$script"; then
  echo "exercise.sh: no break: $2 (the judge: exercise.sh $2 PROGRAM...)" >&2
  exit 2
fi
mkdir -p build
sed -f "$script" "$source" >"build/$name.c"
if lines=$(diff "$source" "build/$name.c"); then
  echo "exercise.sh: $script changes nothing in $source" >&2
  exit 1
fi
echo "$source, changed:"
printf '%s\n' "$lines" | sed -n 's/^< /-/p; s/^> /+/p'
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Icommon "build/$name.c" "$other" \
  -o "build/$name"
echo "build/$name is made"
