# Chooses the interpreter that the probes run with: the first that starts, and is not too old. Leaves its path in
# $python, its version in $version, and in $tried a line for each other one: path, exit status and last words.
# Which interpreter the *pipeline* gets is another question; each context is asked for itself.
# After frame.sh. The sender may set $further: a function that prints more paths.

python='' version='' tried='' late=''
newline='
'
tab='	'
# Also of Python 2, which is told by its version.
question='import sys; print(sys.version.split()[0]); sys.exit(sys.version_info < (3, 7))'

try() {
  candidate=$(command -v "$1") || return 1
  case $newline$tried in *"$newline$candidate$tab"*) return 1 ;; esac
  said=$(limited "$candidate" -E -s -S -c "$question" 2>&1 </dev/null)
  try_status=$?
  said=${said##*"$newline"}
  case $try_status in
    0) python=$candidate version=$said; return 0 ;;
    124 | 137 | 143) late=$late. ;;
  esac
  tried=$tried$candidate$tab$try_status$tab$said$newline
  return 1
}

for name in \
  python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python3.7 python \
  /usr/bin/python3 /usr/bin/python3.[0-9]* /usr/local/bin/python3 /usr/local/bin/python3.[0-9]* \
  /opt/conda/bin/python3 /opt/*/bin/python3 \
  "$HOME"/miniconda3/bin/python3 "$HOME"/anaconda3/bin/python3 "$HOME"/miniforge3/bin/python3 \
  "$HOME"/.local/bin/python3.[0-9]* "$HOME"/.pyenv/versions/*/bin/python3 "$HOME"/.venv/bin/python3 \
  /usr/libexec/platform-python
do
  case $name in *-config) continue ;; esac
  # Two that hang are enough: what is left of the time belongs to what else can be read.
  if [ "$late" = .. ] || try "$name"; then break; fi
done
if [ ! "$python" ] && [ "$late" != .. ]; then
  for number in $further; do
    try "$("further_$number")" && break
  done
fi
