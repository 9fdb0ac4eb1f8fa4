#!/bin/sh
# What containerd's shim calls in the place of runc for containers with secrets. The agent fills in @RUNC@ and @SECRETS@.

command="" id="" bundle="" process="" previous=""
for argument; do
  case "$previous" in
    --bundle) bundle="$argument" ;;
    --process) process="$argument" ;;
    --root | --log | --log-format | --pid-file | --console-socket | --criu | --preserve-fds) ;;
    *)
      case "$argument" in
        -*) ;;
        *) if [ -z "$command" ]; then command="$argument"; elif [ -z "$id" ]; then id="$argument"; fi ;;
      esac
      ;;
  esac
  previous="$argument"
done
@ENVIRONMENT@
case "$command" in
  create | exec)
    @RUNC@ "$@"
    exit $?
    ;;
  *) exec @RUNC@ "$@" ;;
esac
