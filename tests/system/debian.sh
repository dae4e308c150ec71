#!/usr/bin/env bash
# Builds the Debian packages in a copy of the tree, unpacks them beside the system and uses what is in them: plugin,
# command, presets, models, library.  Takes minutes, so it is run by hand (needs debhelper):
#
#     tests/system/debian.sh [FOLDER]      FOLDER: keeps the packages there
#
# Their own tests are not run, unless DEB_BUILD_OPTIONS says otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS-nocheck}

mkdir "$work/source"
git ls-files -z | xargs -0 cp --parents -t "$work/source"
(cd "$work/source" && dpkg-buildpackage -us -uc -b) >"$work/log" 2>&1 || {
    tail -40 "$work/log"
    exit 1
}
[ $# -eq 0 ] || cp -t "$1" "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo
for deb in "$work"/*.deb; do
    echo "$(basename "$deb"): $(dpkg-deb -f "$deb" Depends)"
    case $deb in
    *-dbgsym*) ;;
    *) dpkg-deb -c "$deb" | awk '$1 !~ /^d/ { print "    " $6, $7, $8 }' && dpkg -x "$deb" "$work/root" ;;
    esac
done
if command -v lintian >/dev/null; then
    lintian --fail-on error "$work"/*.changes
fi

# what dpkg would have put under /
usr=$work/root/usr
lib=$(dirname "$(find "$usr/lib" -name libseedvr2.so)")
unset SEEDVR2_MODEL_PATH
export GST_PLUGIN_PATH_1_0=$lib/gstreamer-1.0 GST_REGISTRY=$work/registry.bin
export GST_PRESET_PATH=$usr/share/gstreamer-1.0/presets
gst-inspect-1.0 seedvr2upscale | grep -F "$lib/gstreamer-1.0/libgstseedvr2.so"
gst-launch-1.0 -m videotestsrc num-buffers=6 ! video/x-raw,width=64,height=48 ! \
    seedvr2upscale backend=cpu @preset=low-vram ! fakesink | grep -o 'seedvr2-summary, frames=(guint64)6'
"$usr/bin/seedvr2" selftest --backend cpu --size 64x48 | tail -1

export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root
# shellcheck disable=SC2046
cc "$usr/share/doc/libseedvr2-dev/examples/engine.c" $(pkg-config --cflags --libs seedvr2) -o "$work/engine"
LD_LIBRARY_PATH=$lib "$work/engine" "$usr/share/seedvr2/models" "$work/small.ppm" "$work/large.ppm"
echo "the packages work"
