#!/usr/bin/env bash
# Installs what building, running and testing need on Debian 12 (or a relative), if anything is missing.
set -euo pipefail

packages=(
    gcc meson ninja-build pkg-config python3 valgrind
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libdnnl-dev
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-ugly gstreamer1.0-libav
    python3-gi gir1.2-gstreamer-1.0 dpkg-dev
)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing: ${missing[*]}"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
