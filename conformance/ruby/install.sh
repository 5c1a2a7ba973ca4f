#!/usr/bin/env bash
# Unpacks Debian packages into a folder, from the release that has the newest ones: install.sh LIST FOLDER
# Nothing of the machine's own apt is changed: it keeps its lists and its state.
set -euo pipefail
list=$1 folder=$2

apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt"/{lists/partial,archives/partial,none,packages}
: >"$apt/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# The mirror that this machine takes its own packages from, in either of apt's two forms.
mirror=$( (cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true) |
  sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' | grep '/debian/*$' | head -n 1)
echo "deb [signed-by=$keys] $mirror forky main" >"$apt/sources.list"
options=(
  -qq -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
  -o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/none"
  -o "Dir::Etc::preferencesparts=$apt/none" -o "APT::Sandbox::User="
)
apt-get "${options[@]}" update
cd "$apt/packages"
xargs apt-get "${options[@]}" download <"$list"
for package in *.deb; do dpkg-deb --extract "$package" "$folder"; done
