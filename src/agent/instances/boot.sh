# A local instance's machine. Outside: boot.sh enter <network namespace> <cgroup.procs:cgroup.procs:…> <directory>, which goes into the instance's cgroup and namespaces; its
# process is the instance's as seen from this machine, and ends with it. Inside it is process 1: it makes the root and keeps the instance's daemons running.
#
# The root: what the host has below /usr, /etc and /opt, to be read by all and written by nobody but into the instance's own layer; /var, /home and /root are the instance's own;
# /tmp and /run are memory. Nothing else of the host is seen. All mounts are of the instance's mount namespace: with its last process they are gone.
set -u
if [ "$1" = enter ]; then
  network=$2 groups=$3 directory=$4
  IFS=:
  for each in $groups; do echo $$ >"$each" || exit 71; done
  unset IFS
  exec nsenter --net="/run/netns/$network" \
    unshare --mount --propagation private --uts --ipc --pid --cgroup --fork --kill-child bash "$0" inside "$directory"
fi
directory=$2
. "$directory/shared/boot.env"
disk=$directory/disk root=$directory/root
die() { echo "boot: $*"; exit 70; }

mount -t tmpfs -o mode=755,size=4m root "$root" || die "no root"
for each in usr etc opt bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$each" ]; then cp -a "/$each" "$root/$each"; continue; fi
  [ -d "/$each" ] || continue
  mkdir -p "$root/$each" "$disk/$each" "$directory/work/$each"
  mount -t overlay -o "lowerdir=/$each,upperdir=$disk/$each,workdir=$directory/work/$each" overlay "$root/$each" || die "no overlay of /$each"
done
for each in var home root srv; do
  mkdir -p "$root/$each" "$disk/$each"
  mount --bind "$disk/$each" "$root/$each" || die "no /$each"
done
chmod 700 "$root/root"
mkdir -p "$root"/proc "$root"/sys "$root"/dev "$root"/run "$root"/tmp "$root"/mnt "$root"/var/{lib,log,tmp,cache,spool}
chmod 1777 "$root/var/tmp"
ln -sfn /run "$root/var/run"
if [ -d /var/lib/dpkg ]; then
  mkdir -p "$root/var/lib/dpkg"
  mount --bind /var/lib/dpkg "$root/var/lib/dpkg" && mount -o remount,bind,ro "$root/var/lib/dpkg"
fi
mount -t proc proc "$root/proc" || die "no /proc"
mount -t sysfs -o ro sysfs "$root/sys" || die "no /sys"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755,size=64k dev "$root/dev"
for each in null zero full random urandom tty fuse net/tun kmsg loop-control; do
  [ -c "/dev/$each" ] || continue
  mkdir -p "$root/dev/${each%/*}" 2>/dev/null || true
  [ -d "$root/dev/$each" ] && rmdir "$root/dev/$each"
  touch "$root/dev/$each" && mount --bind "/dev/$each" "$root/dev/$each"
done
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for each in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${each%:*}" "$root/dev/${each#*:}"; done

# The instance's cgroup is its root: it can neither see nor lift its own limits.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || die "no cgroups"
  mkdir -p "$root/sys/fs/cgroup/init"
  for process in $(cat "$root/sys/fs/cgroup/cgroup.procs"); do echo "$process" >"$root/sys/fs/cgroup/init/cgroup.procs" 2>/dev/null; done
  # The one that waits outside of the instance's process namespace.
  echo 0 >"$root/sys/fs/cgroup/init/cgroup.procs" 2>/dev/null
  for each in $(cat "$root/sys/fs/cgroup/cgroup.controllers"); do echo "+$each" >"$root/sys/fs/cgroup/cgroup.subtree_control" 2>/dev/null; done
else
  mount -t tmpfs -o mode=755,size=64k cgroup "$root/sys/fs/cgroup" || die "no cgroups"
  while read -r type options; do
    [ "$type" = cgroup ] || continue
    IFS=, read -ra words <<<"$options"
    names=()
    for word in "${words[@]}"; do
      case "$word" in cpu | cpuacct | cpuset | memory | devices | freezer | blkio | pids | hugetlb | perf_event | net_cls | net_prio | rdma | misc) names+=("$word") ;; name=*) named=$word ;; esac
    done
    [ "${#names[@]}" -gt 0 ] || continue
    together=$(IFS=,; echo "${names[*]}")
    mkdir -p "$root/sys/fs/cgroup/$together"
    mount -t cgroup -o "$together" cgroup "$root/sys/fs/cgroup/$together" || die "no cgroup $together"
    # Where systemd mounts two together, each is also found by its own name.
    if [ "${#names[@]}" -gt 1 ]; then for word in "${names[@]}"; do ln -sfn "$together" "$root/sys/fs/cgroup/$word"; done; fi
  done < <(sed -n 's/^.* - \([^ ]*\) [^ ]* \(.*\)$/\1 \2/p' /proc/self/mountinfo)
  mkdir -p "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" 2>/dev/null || rmdir "$root/sys/fs/cgroup/systemd"
fi

# What Gantry is made of, where the host has it; and where it keeps its own things, where that would be seen.
while IFS= read -r each; do
  [ -e "$each" ] || continue
  case "$each" in /usr/* | /opt/* | /bin/* | /lib/*) continue ;; esac
  mkdir -p "$root$each"
  mount --bind "$each" "$root$each" && mount -o remount,bind,ro "$root$each" || die "no $each"
done <<<"$GANTRY_SOURCES"
if [ -d "$root$GANTRY_HOST_HOME" ] && [ "$GANTRY_HOST_HOME" != /var/lib/gantry ]; then mount -t tmpfs -o size=4k,ro hidden "$root$GANTRY_HOST_HOME"; fi
mkdir -p "$root/run/gantry" "$root/run/gantry-api" "$root/var/lib/gantry/containerd"
mount --bind "$directory/shared" "$root/run/gantry" || die "no /run/gantry"
mount --bind "$GANTRY_API" "$root/run/gantry-api" || die "no /run/gantry-api"

# Once: what users change of it later stays. Nobody's keys but the instance's own.
if [ ! -e "$disk/made" ]; then
  rm -rf "$root"/etc/ssh/ssh_host_* "$root"/etc/ssl/private "$root"/etc/dropbear "$root"/etc/gantry "$root"/etc/ecs
  cp -a "$directory/shared/etc/." "$root/etc/"
  mkdir -p "$root/home/ec2-user" "$root/etc/dropbear"
  cp -a "$directory/shared/home/." "$root/home/ec2-user/"
  chown -R 1000:1000 "$root/home/ec2-user"
  chmod 700 "$root/home/ec2-user/.ssh" && chmod 600 "$root/home/ec2-user/.ssh/authorized_keys" "$root/etc/shadow"
  touch "$disk/made"
fi
cp "$directory/shared/containerd.toml" "$root/var/lib/gantry/containerd/config.toml"
mkdir -p "$root/usr/local/sbin"
printf '#!/bin/sh\nkill -TERM 1\n' >"$root/usr/local/sbin/poweroff"
chmod 755 "$root/usr/local/sbin/poweroff"
for each in halt shutdown; do ln -sfn poweroff "$root/usr/local/sbin/$each"; done

mkdir "$root/.host"
cd "$root" && pivot_root . .host && umount -l /.host && rmdir /.host || die "no pivot"
hostname "$GANTRY_HOSTNAME"
ip link set lo up
ip address replace 169.254.169.254/32 dev lo
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
unset GANTRY_SOURCES GANTRY_HOST_HOME GANTRY_API

declare -A running
start() {
  case "$1" in
    containerd) containerd --config /var/lib/gantry/containerd/config.toml --log-level warn >>/var/log/containerd.log 2>&1 & ;;
    ssh) dropbear -F -E -R -s -w -p 22 >>/var/log/ssh.log 2>&1 & ;;
    # shellcheck disable=SC2086
    agent) "$GANTRY_NODE" $GANTRY_NODE_OPTIONS "$GANTRY_MAIN" & ;;
  esac
  running[$!]=$1
}
leave() {
  trap '' TERM
  kill -TERM -1 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.1
    [ "$(echo /proc/[0-9]*)" = "/proc/1" ] && break
  done
  exit 0
}
trap leave TERM INT
start containerd
start agent
command -v dropbear >/dev/null && start ssh
while :; do
  gone=
  wait -n -p gone
  name=${running[${gone:-0}]:-}
  [ -n "${gone:-}" ] || { sleep 1; continue; }
  unset "running[$gone]"
  [ -n "$name" ] || continue
  echo "boot: $name ended, it is started again"
  sleep 0.5
  start "$name"
done
