# Marks around what a shell reads, and a deadline for each command. Must survive dash and busybox: POSIX, nothing more.
# Nothing is written anywhere: the root disk may be full. The sender sets $nonce and $limit_s.

has_timeout=
if timeout -k 1 9 true </dev/null >/dev/null 2>&1; then has_timeout=yes; fi

# Put together here, so that no echoed script holds a mark.
mark() { printf '\n@@%s@@\n' "pipeline-$1 $nonce $2"; }

# A name, and what prints the part of that name. Its exit status closes the part: a part without one was cut short.
section() {
  mark part "$1"
  shift
  "$@" </dev/null 2>&1
  section_status=$?
  mark status "$section_status"
  return "$section_status"
}

# Runs a program that may hang; it is killed when it is late.
limited() {
  if [ "$has_timeout" ]; then
    timeout -k 1 "$limit_s" "$@"
    return
  fi
  "$@" &
  limited_job=$!
  # The watch takes its own sleep along when it is no longer needed.
  (
    trap 'kill $!; exit' TERM
    sleep "$limit_s" &
    wait $! && kill -9 "$limited_job"
  ) </dev/null >/dev/null 2>&1 &
  limited_watch=$!
  wait "$limited_job"
  limited_status=$?
  kill "$limited_watch" 2>/dev/null
  wait "$limited_watch"
  return "$limited_status"
}
