# Sourced by the other scripts: finds the toolchain and the C library's headers, and a place to build in.
#
# Sets `swift_build_flags` (an array) and the working directory; ends the script with the exact command to run where
# something is missing that it may not install.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A crashing test must end, not wait for the backtracer.
export SWIFT_BACKTRACE=enable=no

[ "$(uname -s)" = Linux ] || fail "vmemmap-emulator needs Linux: it works on the host's page tables."

# Debian and Ubuntu packages that a Swift toolchain needs and a minimal system lacks.
missing=()
command -v git >/dev/null || missing+=(git)
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install --yes ${missing[*]}"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${missing[*]}" >&2
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update && $install; } >&2 || fail "could not install ${missing[*]}: run $install"
    else
        fail "missing: ${missing[*]}. Run: sudo apt-get update && sudo $install"
    fi
fi

command -v swift >/dev/null || fail \
    "no swift on PATH: install Swift 6.2 or later from https://www.swift.org/install/linux/ and run this again"
swift_version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
case "$swift_version" in
    [0-5].* | 6.0 | 6.1) fail "Swift $swift_version is too old: 6.2 or later is needed" ;;
esac

# A folder or a home that may only be read will do: what is built goes to a place of the user's own then, unless somebody
# who may write there has built it already.
swift_build_flags=()
is_writable=yes
private_place="${TMPDIR:-/tmp}/vmemmap-emulator-$(id -u)"
use_private_place() {
    mkdir -p "$private_place" && chmod 700 "$private_place" && [ -O "$private_place" ] ||
        fail "$private_place belongs to somebody else: set TMPDIR to a folder of your own"
}
if [ ! -w . ] || { [ -e .build ] && [ ! -w .build ]; }; then
    is_writable=no
    use_private_place
    # Two folders that may only be read must not build into each other.
    swift_build_flags+=(--scratch-path "$private_place/build-$(pwd | cksum | cut -d ' ' -f 1)")
fi
if [ ! -w "${HOME:-/nonexistent}" ]; then
    use_private_place
    mkdir -p "$private_place/home"
    export HOME="$private_place/home"
fi

# Whether $1 was built here by somebody else, from the sources as they are now.
is_built_for_us() {
    [ "$is_writable" = no ] && [ -x "$1" ] &&
        [ -z "$(find Package.swift CSystemShims Sources Tests -newer "$1" -type f | head -n 1)" ]
}

# Public parsers for what is exported, in a Python environment of their own; sets VMEMMAP_EXPORT_PYTHON if they are to be had. The
# test that needs them skips itself otherwise.
prepare_export_parsers() {
    local place=.build/export-parsers
    if [ "$is_writable" = no ]; then
        use_private_place
        place=$private_place/export-parsers
    fi
    if ! "$place/bin/python" -c 'import jsonschema, prometheus_client' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! python3 -c 'import ensurepip' 2>/dev/null; then
            { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes python3 python3-venv; } >&2 || true
        fi
        { python3 -m venv "$place" &&
            "$place/bin/pip" install --quiet --retries 1 --timeout 15 'jsonschema>=4.18' 'prometheus_client>=0.17'; } >&2 ||
            { echo "no parsers from PyPI: the test of the exports skips itself" >&2 && return; }
    fi
    export VMEMMAP_EXPORT_PYTHON=$(cd "$place" && pwd)/bin/python
}
