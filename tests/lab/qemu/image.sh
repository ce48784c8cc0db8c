#!/bin/bash
# image.sh ARCH PACKAGE FOLDER: a whole box for QEMU in FOLDER (vmlinuz, initrd.gz, root.img, for arm64 box.dtb), of
# Debian's packages and ours. ARCH is arm64, as on a Pi, or amd64.
#
# Debian's kernel has a sound card that loops back (snd-aloop), but no chip of simulated pins: gpio-sim is compiled from
# the kernel's own source, which is fetched and not kept here (GPL-2). Two edits make it a module of its own.
# This machine's apt is left alone: the kernel comes through one that lies in FOLDER. Needs root, for mmdebstrap.
set -euo pipefail
arch=$1 package=$(readlink -f "$2") here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$3" && cd "$3"
suite=bookworm host=$(dpkg --print-architecture) cross=() strip=strip
mirror=$(apt-get indextargets --format '$(SITE) $(ORIGIN)' | sed -n '/security/!s/ Debian$//p' | head -1)
say() { echo "lab: $*"; }
if [ "$arch" = arm64 ] && [ "$host" != arm64 ]; then
    cross=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-) strip=aarch64-linux-gnu-strip
    if [ ! -e /proc/sys/fs/binfmt_misc/register ]; then mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; fi
    if [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then # no systemd here that does it at boot
        cat /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
    fi
fi

# --- the kernel, its headers, its source
apt=$PWD/apt
mkdir -p "$apt"/etc/apt/{sources.list.d,preferences.d,apt.conf.d} "$apt"/var/lib/{apt/lists/partial,dpkg} \
    "$apt"/var/cache/apt/archives/partial debs
: >"$apt/var/lib/dpkg/status"
for from in $suite-backports $suite; do
    echo "deb [arch=$arch,$host signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $from main"
done >"$apt/etc/apt/sources.list"
options=(-oDir="$apt" -oDir::State::status="$apt/var/lib/dpkg/status" -oAPT::Architecture="$arch"
    -oAPT::Architectures::="$arch" -oAPT::Architectures::="$host" -oAcquire::Languages=none -oAPT::Sandbox::User=root -qq)
apt-get "${options[@]}" update
full=$(apt-cache "${options[@]}" show "linux-image-$arch/$suite-backports" | sed -n 's/^Depends: linux-image-\([^ ]*\) .*/\1/p' | head -1)
common=${full%-"$arch"}
say "kernel $full"
for name in "linux-image-$full" "linux-headers-$full" "linux-headers-$common-common" "linux-kbuild-$common:$host" \
    linux-source-6.12/$suite-backports busybox-static; do
    plain=${name%%[:/]*}
    compgen -G "debs/${plain}_*.deb" >/dev/null || (cd debs && apt-get "${options[@]}" download "$name")
done
rm -rf kernel headers && mkdir kernel headers
dpkg-deb -x debs/linux-image-"$full"_*.deb kernel
for name in "linux-headers-$full" "linux-headers-$common-common" "linux-kbuild-$common" busybox-static; do
    dpkg-deb -x debs/"$name"_*.deb headers
done
modules=$PWD/kernel
if [ -d kernel/usr/lib/modules ]; then modules=$PWD/kernel/usr; fi
depmod -b "$modules" "$full"

# --- simulated pins
if [ ! -f "gpio-sim-$full.ko" ]; then
    say "gpio-sim"
    rm -rf pins && mkdir pins
    dpkg-deb --fsys-tarfile debs/linux-source-6.12_*.deb | tar -xO ./usr/src/linux-source-6.12.tar.xz |
        tar -xJ -C pins --strip-components=3 linux-source-6.12/drivers/gpio/gpio-sim.c linux-source-6.12/kernel/irq/irq_sim.c
    mv pins/gpio-sim.c pins/main.c
    sed -i -e 's/^EXPORT_SYMBOL_GPL.*//' \
        -e 's/handle_simple_irq(irq_to_desc(irqnum));/generic_handle_irq_safe(irqnum);/' pins/irq_sim.c
    printf 'obj-m := gpio-sim.o\ngpio-sim-y := main.o irq_sim.o\n' >pins/Kbuild
    tree=headers/usr/src/linux-headers-$full
    grep -rlE '/usr/(src|lib)/linux' "$tree" --include=Makefile --include=.kernelvariables |
        xargs -r sed -i "s#/usr/src/linux-headers#$PWD/headers/usr/src/linux-headers#g; s#/usr/lib/linux-kbuild#$PWD/headers/usr/lib/linux-kbuild#g"
    find headers/usr/src -type l | while read -r link; do
        case $(readlink "$link") in /usr/*) ln -sfn "$PWD/headers$(readlink "$link")" "$link" ;; esac
    done
    make -s "${cross[@]}" -C "$tree" M="$PWD/pins" CONFIG_DEBUG_INFO_BTF_MODULES= modules
    $strip -g pins/gpio-sim.ko && mv pins/gpio-sim.ko "gpio-sim-$full.ko"
fi

# --- the system, and our package to be installed once it has booted
if [ ! -f bare.tar ]; then
    say "Debian"
    mmdebstrap --quiet --architectures="$arch" --variant=minbase --aptopt='APT::Install-Recommends "false"' \
        --include=systemd,systemd-sysv,dbus,udev,kmod,procps,alsa-utils,libasound2,libspeexdsp1,libstdc++6,zlib1g,python3.11 \
        "$suite" partial.tar "deb $mirror $suite main"
    mv partial.tar bare.tar
fi
say "our package"
rm -rf tree && mkdir tree && tar -C tree -xf bare.tar
mkdir -p tree/opt/lab tree/etc/systemd/system/multi-user.target.wants tree/etc/systemd/journald.conf.d
cp "$here"/guest/*.py "$here"/guest/*.sh tree/opt/lab
cp "$here"/guest/*.service tree/etc/systemd/system
cp "$package" tree/opt/lab/edgevoice.deb
install -D -m 644 "$here/guest/edgevoice.toml" tree/etc/edgevoice/edgevoice.toml
if [ "$arch" = amd64 ]; then
    install -D -m 644 "$here/guest/revision.conf" tree/etc/systemd/system/edgevoice.service.d/revision.conf
else # by its device tree it is a Pi
    sed -i '/^pins = /d' tree/etc/edgevoice/edgevoice.toml
fi
for unit in lab-agent lab-hardware; do
    ln -sf "../$unit.service" "tree/etc/systemd/system/multi-user.target.wants/$unit.service"
done
for unit in apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer; do
    ln -sf /dev/null "tree/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/multi-user.target tree/etc/systemd/system/default.target
# As on a box that spares its SD card: the journal in memory, no times of reading on the disk.
printf '[Journal]\nStorage=volatile\n' >tree/etc/systemd/journald.conf.d/lab.conf
echo '/dev/vda / ext4 defaults,noatime 0 1' >tree/etc/fstab
echo edgelab >tree/etc/hostname && : >tree/etc/machine-id

# --- modules, disk, the way to the disk
needed() { # insmod order of modules and what they need
    for module in "$@"; do modprobe -d "$modules" -S "$full" --show-depends "$module"; done |
        awk '$1 == "insmod" && !seen[$2]++ { gsub("//", "/", $2); print $2 }'
}
plain() { case $1 in *.xz) xz -dc "$1" ;; *) cat "$1" ;; esac; }
to=tree/usr/lib/modules/$full
mkdir -p "$to/extra" && cp "gpio-sim-$full.ko" "$to/extra/gpio-sim.ko"
needed snd-aloop virtio_pci virtio_blk virtio_console virtio_rng configfs ext4 | while read -r file; do
    place=$to/${file#*/modules/"$full"/}
    mkdir -p "${place%/*}" && plain "$file" >"${place%.xz}"
done
cp "$modules/lib/modules/$full"/modules.{builtin,builtin.modinfo,order} "$to"
depmod -b tree "$full"
rm -f root.img && truncate -s 1500M root.img
mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -d tree root.img

rm -rf start && mkdir -p start/{bin,dev,proc,sys,new,modules}
busybox=headers/bin/busybox
if [ ! -f $busybox ]; then busybox=headers/usr/bin/busybox; fi
cp $busybox start/bin/busybox
needed virtio_pci virtio_blk ext4 | while read -r file; do
    name=$(basename "${file%.xz}")
    plain "$file" >"start/modules/$name" && echo "$name" >>start/modules/order
done
install -m 755 "$here/init" start/init
(cd start && find . | cpio -o -H newc --quiet | gzip -1) >initrd.gz
cp "kernel/boot/vmlinuz-$full" vmlinuz

# --- the device tree of a Pi: QEMU's own machine, with the model, the revision and 54 pins by which a Pi is known
if [ "$arch" = arm64 ]; then
    qemu-system-aarch64 -M virt,gic-version=3,dumpdtb=virt.dtb -cpu cortex-a53 -smp 2 -m 512 -display none 2>/dev/null
    dtc -q -I dtb -O dts virt.dtb | awk -v pi="$here/guest/pi.dtsi" '
        /^\t(gpio-keys|pl061@[0-9a-f]+) \{/ { skipped = 1 } # pins of its own
        /^\tmodel = / { $0 = "\tmodel = \"Raspberry Pi Zero 2 W Rev 1.0\";" }
        !skipped && !/^};/ { print }
        skipped && /^\t};/ { skipped = 0 }
        /^};/ { while ((getline line < pi) > 0) print line; print }' >box.dts
    dtc -q -I dts -O dtb box.dts -o box.dtb
fi
rm -rf tree kernel headers start pins
say "$(du -h root.img | cut -f1) in $PWD/root.img"
