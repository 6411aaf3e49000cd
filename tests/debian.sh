#!/bin/sh
# Installs the Debian packages that some tests need: `make test`, where it runs as root and has apt-get.
#
# Elsewhere, or where the packages cannot be installed, those tests are skipped and say what is missing.
# Arguments: packages, each as package=program; a program that is found needs no package.
set -u
missing=""
for pair in "$@"; do
    command -v "${pair#*=}" > /dev/null || test -x "/usr/sbin/${pair#*=}" || missing="$missing ${pair%%=*}"
done
test -n "$missing" || exit 0
if test "$(id -u)" != 0 || ! command -v apt-get > /dev/null; then
    echo "not installed, tests that need them are skipped:$missing"
    exit 0
fi
echo "installing Debian packages for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of names
apt-get -qq update > /dev/null && apt-get -qq install --yes --no-install-recommends $missing > /dev/null 2>&1 ||
    echo "could not be installed, tests that need them are skipped:$missing"
