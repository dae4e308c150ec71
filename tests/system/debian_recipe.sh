#!/usr/bin/env bash
# debian/ belongs to this tree: its version is the project's, its install files name what is installed, and every
# installed file is in a package.  tests/system/debian.sh builds the packages.  Arguments behind the usual ones:
# BUILD SOURCE VERSION PREFIX.
. "$(dirname "$0")/common.sh"
build=$4 source=$5 version=$6 prefix=$7
command -v dpkg-parsechangelog >/dev/null || exit 77

packaged=$(dpkg-parsechangelog -l "$source/debian/changelog" -S Version)
[ "$packaged" = "$version" ] || die "debian/changelog is of $packaged, meson.build of $version"

packages=$(sed -n 's/^Package: //p' "$source/debian/control")
meson install -C "$build" --no-rebuild --quiet --destdir "$work/root" >"$work/out" 2>"$work/err" ||
    die "meson install fails"
# as debhelper sees it, in /usr; a single folder between lib and what is in it is the architecture's
mkdir "$work/usr" && cp -a "$work/root$prefix/." "$work/usr/"
if [ ! -d "$work"/usr/lib/*-linux-gnu* ]; then
    mkdir "$work/usr/lib/any" && mv "$work"/usr/lib*/{*.so*,gstreamer-1.0,pkgconfig} "$work/usr/lib/any"
fi
cd "$work"
soname=$(readlink usr/lib/*/libseedvr2.so)
echo "$packages" | grep -qx "libseedvr2-${soname#libseedvr2.so.}" || die "debian/control has no package for $soname"
for file in "$source"/debian/*.install; do
    package=$(basename "$file" .install)
    echo "$packages" | grep -qx "$package" || die "debian/control has no package $package"
    while read -r pattern; do
        # shellcheck disable=SC2086
        find $pattern ! -type d >"$work/found" 2>/dev/null || true
        [ -s "$work/found" ] || [ "$package" = seedvr2-cuda ] || die "$package: nothing is installed as $pattern"
        cat "$work/found" >>"$work/unsorted"
    done <"$file"
done
sort "$work/unsorted" >"$work/claimed"
uniq -d "$work/claimed" >"$work/out"
[ ! -s "$work/out" ] || die "in two packages:"
find usr ! -type d | sort | comm -23 - "$work/claimed" >"$work/out"
[ ! -s "$work/out" ] || die "in no package:"
for file in $(cat "$source"/debian/*.docs "$source"/debian/*.examples); do
    [ -f "$source/$file" ] || die "debian/ names $file, which is not there"
done
echo "$(wc -l <"$work/claimed") files in $(echo "$packages" | wc -w) packages"
