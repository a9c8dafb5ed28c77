# Usage: conversation.sh CLIENT... Does CLIENT HOST PORT get back what it sends?
folder=$(mktemp -d)
mkfifo "$folder/story"
timeout 20 build/tcp_server -q -n 1 127.0.0.1 0 2>"$folder/story" &
read -r line <"$folder/story" # waits for the ready line, not for a time
address=${line##* }

answer=$(echo hello | timeout 5 "$@" "${address%:*}" "${address##*:}")
kill $! 2>/dev/null
rm -r "$folder"
[ "$answer" = hello ] && echo passed && exit
echo "failed: the answer was: $answer"
exit 1
