#!/bin/sh
# What a person would look at after the first boot, told on the serial console.
labels=/var/lib/edge-fer/labels.csv
say() {
    echo "report: $1" >/dev/ttyAMA0
}

until [ "$(wc -l 2>/dev/null <$labels)" -gt 5 ] && grep -q . /opt/edge-fer/running; do sleep 1; done
say "host $(hostname)"
say "groups $(id -nG ada)"
say "service $(systemctl is-active edge-fer.service) as $(ps -o user= -C edge-fer)"
say "service groups $(id -nG edge-fer)"
say "ssh $(systemctl is-active ssh.service)"
say "restarts $(systemctl show --property NRestarts --value edge-fer.service)"
say "at power-on $(systemctl is-enabled edge-fer.service)"
say "signers $(stat -c '%U %G %a' /etc/edge-fer/allowed_signers)"
say "release $(readlink /opt/edge-fer/current)"
say "labels $(tail -n +2 $labels | head -n 5 | cut -d, -f10 | tr '\n' ' ')"
systemctl poweroff
