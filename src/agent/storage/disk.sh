# A file system in a sparse file, mounted: disk.sh <file> <directory> <GiB>. Nothing in it outlives its task, so it has no journal; deleting gives the
# machine its room back (discard); inode tables are written when they are used (noinit_itable), so that it costs 30 ms whatever its size.
set -e
truncate -s "$3G" "$1"
mkfs.ext4 -q -F -m 0 -O ^has_journal,^resize_inode -E lazy_itable_init=1,nodiscard "$1"
mkdir -p "$2"
# Direct: the task's file pages stand in memory once, as its own, and not again as the file's.
device="$(losetup --find --show --direct-io=on "$1" 2>/dev/null || losetup --find --show "$1")"
mount -t ext4 -o noatime,discard,noinit_itable "$device" "$2" || {
  losetup --detach "$device"
  exit 1
}
# It is mounted: this makes the kernel let go of the device with the mount, whoever undoes it.
losetup --detach "$device"
