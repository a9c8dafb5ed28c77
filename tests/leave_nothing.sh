# shellcheck shell=sh
#
# leave_nothing.sh - for a script that starts programs and makes a folder:
# nothing of it survives the script, however that ends. The script sources this
# file, and sets:
#
#   folder      the folder that it has made
#   processes   the process ids of all that may still run

folder='' processes=''

# Ends what still runs, and removes what was made.
clean_up() {
  trap '' HUP INT PIPE TERM
  for process in $processes; do
    kill "$process" || true # it may have ended by itself
    kill -s CONT "$process" || true # or may have been stopped
    wait "$process" || true # so that it has gone when this script has
  done 2>/dev/null
  [ -z "$folder" ] || rm -rf "$folder"
}

# Ends this script by a signal, so that its caller sees that it was one.
end_by() {
  trap - EXIT
  clean_up
  trap - "$1"
  kill -s "$1" $$
}

trap clean_up EXIT
for signal in HUP INT PIPE TERM; do
  # shellcheck disable=SC2064 # the signal's name is meant to be put in now
  trap "end_by $signal" "$signal"
done
