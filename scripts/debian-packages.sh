#!/bin/sh
# Unpacks the Debian packages that the tests use as peers into target/peers, without installing or starting anything:
#   prometheus, prometheus-alertmanager (and amtool), prometheus-node-exporter; libfaketime, with which one process
#   sees another wall clock; strace, which makes system calls fail; python3-aiosmtpd (a mail server) with what it imports;
#   postgresql (the server of Debian 12) with the libraries that a small system lacks
# Needs no root. Where there is no apt-get, the tests that need a peer say so and are skipped.
set -eu
cd "$(dirname "$0")/.."
peers="${CARGO_TARGET_DIR:-target}/peers"
packages="prometheus prometheus-alertmanager prometheus-node-exporter libfaketime python3-aiosmtpd python3-attr python3-public strace libunwind8"
# Named after the version of Debian 12: elsewhere the tests that need them say so and are skipped.
database="postgresql-15 libicu72 libxml2 libldap-2.5-0 libsasl2-2 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libkeyutils1"

if ! command -v apt-get >/dev/null 2>&1; then
    echo "no apt-get here: tests against real peers and those of clock faults will be skipped"
    exit 0
fi
mkdir -p "$peers/deb"
unpack() {
    if [ -x "$peers/usr/bin/$1" ] || [ -d "$peers/usr/share/doc/$1" ]; then
        return 0
    fi
    echo "unpacking $1 into $peers"
    if ! (cd "$peers/deb" && apt-get download "$1" >/dev/null 2>&1); then
        # The package lists are missing on a fresh machine; fetching them needs root.
        if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi
        (cd "$peers/deb" && apt-get download "$1") || return 1
    fi
    dpkg -x "$peers/deb/${1}"_*.deb "$peers"
}
for package in $packages; do
    unpack "$package"
done
for package in $database; do
    unpack "$package" || echo "$package is not to be had: tests with PostgreSQL are skipped"
done
