#!/bin/sh
#
# exercise.sh - checks your own program for an exercise of docs/exercises.md.
#
#   sh tests/exercise.sh NAME PROGRAM...
#
# NAME is the exercise: client, poll, timeout, numbered, framing, transfer, chat
# or room. PROGRAM is how yours is started, in any language: "./client", or
# "python3 client.py". Works from any folder. Prints each check that passed, or
# the first thing that went wrong. Exit status: 0 all passed, 1 something
# failed, 2 wrong usage.

command -v python3 >/dev/null || {
  echo 'exercise.sh: python3 is missing (Debian: apt-get install python3)' >&2
  exit 2
}
unset CDPATH # it would lead cd astray
exec python3 -B "$(dirname -- "$0")/exercise.py" "$@"
