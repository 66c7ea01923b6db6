#!/bin/sh
# enter.sh ROOT CORE FOLDER CPU COMMAND...: runs a command in an arm64 root, on an emulated processor.
#
# Meant for namespaces of its own (unshare --user --map-root-user --mount --pid --fork): what is
# mounted and registered here is gone afterwards, and the machine itself never sees it. FOLDER holds
# site/ (Python packages) and shared/; CORE what cpuinfo and sysfs say of the processor.
set -eu
root=$1 core=$2 folder=$3 cpu=$4
shift 4
qemu=$(command -v qemu-aarch64-static)
elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

mount --bind "$folder/site" "$root/site"
mount --bind "$folder/shared" "$root/shared"
mount --bind "$core/cpu" "$root/sys/devices/system/cpu"
mount -t proc proc "$root/proc"
mount --bind "$core/cpuinfo" "$root/proc/cpuinfo"
mount -t binfmt_misc binfmt_misc "$root/proc/sys/fs/binfmt_misc"
printf '%s' ":qemu-aarch64:M::$elf:$mask:$qemu:PF" >"$root/proc/sys/fs/binfmt_misc/register"

ulimit -c 0
# Not by exec: this shell is process 1 of its namespace, which no signal of its own would end.
env -i PATH=/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 PYTHONPATH=/site QEMU_CPU="$cpu" \
    "$(command -v chroot)" "$root" "$@"
