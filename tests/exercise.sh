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
# Works from any folder. Exit status: 0 all passed, 1 something failed, 2 wrong
# usage.

command -v python3 >/dev/null || {
  echo 'exercise.sh: python3 is missing (Debian: apt-get install python3)' >&2
  exit 2
}
unset CDPATH # it would lead cd astray
exec python3 -B "$(dirname -- "$0")/exercise.py" "$@"
