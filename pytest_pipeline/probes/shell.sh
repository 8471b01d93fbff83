# What a shell can read of a host where no Python answers. After frame.sh and interpreter.sh; the sender sets $volume
# (frame.sh and volume.sh, to be run for one path) and $paths, the numbers of $path_0, $path_1 ...

PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL

identity() { uname -n && uname -r && uname -m && id -un && id -u; }

# How many files of a name's shape there are.
count() {
  if [ -e "$1" ]; then echo $#; else echo 0; fi
}

nvidia_smi() {
  smi=$(command -v nvidia-smi)
  for folder in /usr/bin /usr/local/nvidia/bin /usr/lib/wsl/lib /opt/bin; do
    if [ ! "$smi" ] && [ -f "$folder/nvidia-smi" ]; then smi=$folder/nvidia-smi; fi
  done
}

presence() {
  cards=0
  for device in /sys/bus/pci/devices/*; do
    if [ -e "$device" ] && [ "$(cat "$device/vendor")" = 0x10de ]; then
      case $(cat "$device/class") in 0x03*) cards=$((cards + 1)) ;; esac
    fi
  done
  count /dev/nvidia[0-9]*
  echo "$cards"
  echo "$smi"
  readlink /proc/self/ns/pid
}

gpus() {
  nvidia_smi
  section presence presence
  if [ "$smi" ]; then
    mark part smi
    { smi_said=$(limited "$smi" -q -x 2>&1 >&3 </dev/null); } 3>&1
    mark status $?
    section smi-said printf '%s' "$smi_said"
  fi
}

look() {
  case $1 in
    gpus) gpus ;;
    *)
      eval "path=\$path_$1"
      limited /bin/sh -c "$volume" sh "$1" "$path" 2>&1 </dev/null
      ;;
  esac
}

# All looks at once, each with a pipe of its own until its turn to be printed; the first one given is printed last.
side_by_side() {
  if [ $# = 0 ]; then return; fi
  one=$1
  shift
  look "$one" | {
    side_by_side "$@"
    cat
  }
}

section clock date +%s
section identity identity
section memory cat /proc/meminfo
# A driver that hangs in the kernel cannot be killed: nothing is to wait behind it.
side_by_side gpus $paths
section clock-end date +%s
printf '\n@@%s@@\n' "end $nonce"
