# Looks at what is behind the path $2, as probe volumes.py does, and prints its parts under the number $1.
# After frame.sh, in a process of its own: each look at a dead mount may hang.

number=$1 path=$2
case $path in
  '~') path=$HOME ;;
  '~/'*) path=$HOME/${path#'~/'} ;;
  '~'*) path= ;; # whose home that is, a shell tells only where it may be given the name unquoted
  /*) ;;
  *) path=$HOME/$path ;;
esac

# An absent path is judged by its nearest parent that exists. What may not be looked at is not absent.
place() {
  if [ ! "$path" ]; then echo "a shell cannot tell whose home that is"; return 1; fi
  exists=yes judged=$path
  while [ ! -d "$judged" ]; do
    said=$(ls -d "$judged/." 2>&1)
    case $said in
      *": No such file or directory" | *": Not a directory") ;;
      *) echo "$said"; return 1 ;;
    esac
    if [ -L "$judged" ]; then echo "$judged is a link, and leads to no folder"; return 1; fi
    [ -e "$judged" ] || exists=no
    judged=${judged%/*}
    judged=${judged:-/}
  done
  rest=${path#"$judged"}
  rest=${rest#/}
  judged=$(cd -P "$judged" && pwd -P) || { echo "$judged"; return 1; }
  real=${judged%/}${rest:+/$rest}
  printf '%s\n' "$exists" "$judged" "${real:-/}"
}

disks() {
  source=$(df -P -k "$judged" | sed -n '$p')
  source=${source%% *}
  case $source in /dev/*) lsblk -Psno NAME,TYPE,MODEL,SERIAL "$source" ;; esac
}

section "$number.place" place || exit 1
section "$number.space" df -P -k "$judged"
section "$number.inodes" df -P -i "$judged"
section "$number.disks" disks
section "$number.mounts" cat /proc/self/mountinfo
