# The variables of a container's secrets, which the agent keeps in memory (@SECRETS@/<id>/environment), take the place of the mark that stands for them in
# the container's configuration and in that of each process run in it. What runc or runsc then reads lies in memory too, behind a symbolic link, and is gone
# when they have read it.
# Given: command, id, bundle, process.
secrets="@SECRETS@/$id"
mark="\"GANTRY_SECRETS=$id\""

# fill FROM TO: false when there is no mark.
fill() {
  text="$(cat "$1")"
  case "$text" in
    *"$mark"*) ;;
    *) return 1 ;;
  esac
  if [ ! -r "$secrets/environment" ]; then
    echo "the secrets of this container are not in memory any more" >&2
    exit 1
  fi
  (
    umask 077
    {
      printf %s "${text%%"$mark"*}"
      cat "$secrets/environment"
      printf %s "${text#*"$mark"}"
    } >"$2"
  )
}

if [ "$command" = create ] && fill "$bundle/config.json" "$secrets/config.json"; then
  mv "$bundle/config.json" "$bundle/config.plain" && ln -s "$secrets/config.json" "$bundle/config.json"
  trap 'mv -f "$bundle/config.plain" "$bundle/config.json"; rm -f "$secrets/config.json"' EXIT
fi
if [ "$command" = exec ] && fill "$process" "$secrets/process.$$"; then
  rm -f "$process" && ln -s "$secrets/process.$$" "$process"
  trap 'rm -f "$secrets/process.$$"' EXIT
fi
