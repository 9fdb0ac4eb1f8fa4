#!/bin/sh
# What containerd's runc shim calls in the place of runc, so that the containers of a task share one gVisor sandbox. Debian's runsc has no shim
# of its own, and runc's expects of a second container what runsc does not give: a process of its own that ends with its exit code, on the
# streams that `create` was given. Here that process is a small shell, the keeper, which waits for runsc's word.
#   create   starts the keeper and writes its pid     start    gives runsc the keeper's streams, then sends the keeper to wait for the exit
#   delete   ends the keeper                          exec     remembers the process's number inside the sandbox, for kill-exec (ours)
# Called as gantry-sandbox it runs a sandbox's first container (src/agent/sandbox/pause.ts, or the only one of a task), which needs no keeper: its
# process is the sandbox.
# The agent fills in @RUNSC@, @FLAGS@ and src/agent/secrets/environment.sh. Each call that should be short has an end, since runsc's can hang.

command="" id="" bundle="" pid_file="" root=/run/runsc log=/dev/null previous="" forced="" signal="" process="" console=""
for argument; do
  case "$previous" in
    --root) root="$argument" ;;
    --log) log="$argument" ;;
    --bundle) bundle="$argument" ;;
    --pid-file) pid_file="$argument" ;;
    --process) process="$argument" ;;
    --console-socket) console="$argument" ;;
    --log-format | --criu) ;;
    *)
      case "$argument" in
        --force) forced=--force ;;
        -*) ;;
        *) if [ -z "$command" ]; then command="$argument"; elif [ -z "$id" ]; then id="$argument"; else signal="$argument"; fi ;;
      esac
      ;;
  esac
  previous="$argument"
done
[ -n "$bundle" ] || bundle="${log%/*}"
long="@RUNSC@ @FLAGS@"
short="timeout --foreground --kill-after 2 120 $long"
globals="--root $root --log $log --log-format json"
inside="$root.exec"

keeper=""
[ ! -e "$bundle/keeper" ] || read -r keeper <"$bundle/keeper"
keeps() { [ -n "$keeper" ] && kill -0 "$keeper" 2>/dev/null; }
@ENVIRONMENT@
case "$command" in
  create)
    if [ "${0##*/}" = gantry-sandbox ]; then
      $short $globals create --bundle "$bundle" --pid-file "$pid_file" "$id" && exit
      code=$?
      timeout --kill-after 1 5 $long --root "$root" delete --force "$id" >/dev/null 2>&1
      exit $code
    fi
    mkfifo "$bundle/begin"
    $short $globals create --bundle "$bundle" "$id" </dev/null >/dev/null 2>"$bundle/errors" || {
      code=$?
      cat "$bundle/errors" >&2
      exit $code
    }
    (
      read -r _ <"$bundle/begin"
      said="$($long --root "$root" wait "$id" </dev/null 2>/dev/null)"
      code="${said##*\"exitStatus\":}"
      code="${code%%[!0-9]*}"
      # No word: the sandbox was killed, and all in it.
      exit "${code:-137}"
    ) &
    echo $! >"$bundle/keeper"
    printf %s $! >"$pid_file"
    ;;
  start)
    if [ -z "$keeper" ]; then
      # Since Linux 6.13 every network namespace has rmem_default, which this runsc takes for a sign of the machine's own: then it refuses to have a network.
      exec unshare --mount --propagation private sh -c \
        'mount -t tmpfs none /proc/sys && mkdir /proc/sys/vm && echo 65536 >/proc/sys/vm/mmap_min_addr; exec "$@"' sh $short $globals start "$id"
    fi
    $short $globals start "$id" <"/proc/$keeper/fd/0" >"/proc/$keeper/fd/1" 2>"/proc/$keeper/fd/2" || {
      code=$?
      # Its file server would stay, and hold the streams open.
      $short --root "$root" --log /dev/null delete --force "$id" >/dev/null 2>&1
      exit $code
    }
    echo >"$bundle/begun"
    keeps && echo >"$bundle/begin"
    exit 0
    ;;
  kill)
    if [ -n "$keeper" ] && ! keeps; then
      echo "os: process already finished" >&2
      exit 1
    fi
    if [ -n "$keeper" ] && [ ! -e "$bundle/begun" ]; then
      kill -9 "$keeper"
      exit 0
    fi
    $short "$@" && exit
    code=$?
    # It ended meanwhile, or the sandbox did.
    ! keeps && echo "os: process already finished" >&2
    exit $code
    ;;
  delete)
    # Whatever runsc remembers of it: it has ended.
    [ -z "$keeper" ] || keeps || forced=--force
    $short --root "$root" --log "$log" --log-format json delete $forced "$id"
    code=$?
    ! keeps || kill -9 "$keeper"
    if [ $code != 0 ] && [ -n "$forced" ]; then
      rm -f "$root/${id}_sandbox:"*
      code=0
    fi
    exit $code
    ;;
  exec)
    mkdir -p "$inside"
    $short $globals exec --process "$process" ${console:+--console-socket "$console"} --internal-pid-file "$inside/${pid_file##*/}" \
      --detach --pid-file "$pid_file" "$id"
    ;;
  kill-exec)
    # The file ends without a line's end.
    read -r pid <"$inside/$signal.pid"
    [ -z "$pid" ] || $short --root "$root" --log /dev/null kill --pid "$pid" "$id" 9
    ;;
  *) exec $long "$@" ;;
esac
