# shellcheck shell=bash
# Sourced by the other scripts: finds the toolchain, what it needs to build, and a place to build in.
#
# Sets the working directory, which may be written; ends the script with the exact command to run where something is
# missing that it may not install.

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.." || exit
# Where the scripts are.
checkout=$(pwd)

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A crashing test must end, not wait for the backtracer.
export SWIFT_BACKTRACE=enable=no

[ "$(uname -s)" = Linux ] || fail "vmemmap-emulator needs Linux: it works on the host's page tables."

check_swift() {
    local swift_link="https://www.swift.org/install/linux/" program said code=0
    program=$(command -v swift) ||
        fail "no swift on PATH: install Swift 6.2 or later from $swift_link and run this again"
    said=$(swift --version 2>&1) || code=$?
    [ "$code" = 0 ] ||
        fail "$program does not start (exit code $code):" "$said" \
            "Install the packages that $swift_link names for your distribution, or another Swift 6.2 or later."
    [[ $said =~ Swift\ version\ ([0-9]{1,4})\.([0-9]{1,4}) ]] ||
        fail "cannot tell the version of $program; 6.2 or later is needed. It says:" "$said"
    ((10#${BASH_REMATCH[1]} * 10000 + 10#${BASH_REMATCH[2]} >= 60002)) ||
        fail "Swift ${BASH_REMATCH[1]}.${BASH_REMATCH[2]} is too old: 6.2 or later is needed, from $swift_link"
}

# Adds $1, in words, to what is missing, and the packages that have it, of Debian, Fedora and Arch in this order.
miss() {
    missing+=("$1")
    apt_packages+=("$2")
    dnf_packages+=("$3")
    pacman_packages+=("$4")
}

# Whether the toolchain's clang finds a file that it links with, or the linker. It answers with the bare name if not.
clang_finds() {
    local found
    found=$("$clang" "-print-$1=$2" 2>/dev/null) || return 1
    [ "$found" != "$2" ] && [ -e "$found" ]
}

# What a Swift toolchain needs and a minimal system lacks, asked of the toolchain itself.
check_packages() {
    local missing=() apt_packages=() dnf_packages=() pacman_packages=() clang resources
    command -v git >/dev/null || miss git git git git
    resources=$(swift -print-target-info 2>/dev/null | sed -n 's/.*"runtimeResourcePath": *"\(.*\)".*/\1/p' || true)
    clang=$resources/../../bin/clang
    if [ -x "$clang" ]; then
        clang_finds prog-name ld || miss "a linker (ld)" binutils binutils binutils
        clang_finds file-name Scrt1.o ||
            miss "the C library's headers and start files (Scrt1.o)" libc6-dev glibc-devel glibc
        { clang_finds file-name crtbeginS.o && clang_finds file-name libstdc++.so; } ||
            miss "the C++ library (libstdc++.so, crtbeginS.o)" g++ gcc-c++ gcc
    fi
    [ ${#missing[@]} -gt 0 ] || return 0

    local names sudo=
    names=$(printf ', %s' "${missing[@]}")
    [ "$(id -u)" = 0 ] || sudo="sudo "
    case "$(distribution)" in
        debian)
            local install=(apt-get install --yes "${apt_packages[@]}")
            [ -z "$sudo" ] || fail "missing: ${names:2}. Run: sudo apt-get update && sudo ${install[*]}"
            echo "installing ${apt_packages[*]}" >&2
            { apt-get update && DEBIAN_FRONTEND=noninteractive "${install[@]}"; } >&2 ||
                fail "missing: ${names:2}. This failed: ${install[*]}"
            ;;
        fedora) fail "missing: ${names:2}. Run: ${sudo}dnf install ${dnf_packages[*]}" ;;
        arch) fail "missing: ${names:2}. Run: ${sudo}pacman -S --needed ${pacman_packages[*]}" ;;
        *) fail "missing: ${names:2}. Install them with your distribution's package manager." ;;
    esac
}

# The family whose package manager is here: debian, fedora, arch or nothing. Tests name an os-release(5) of their own.
distribution() {
    local ids
    # shellcheck source=/dev/null
    ids=$(. "${VMEMMAP_OS_RELEASE:-/etc/os-release}" 2>/dev/null && echo " ${ID:-} ${ID_LIKE:-} ") || return 0
    case "$ids" in
        *" debian "* | *" ubuntu "*) ! command -v apt-get >/dev/null || echo debian ;;
        *" fedora "* | *" rhel "*) ! command -v dnf >/dev/null || echo fedora ;;
        *" arch "*) ! command -v pacman >/dev/null || echo arch ;;
    esac
}

check_swift
check_packages

# A folder or a home that may only be read will do: a copy in a place of the user's own is what is worked on then,
# unless somebody who may write there has built it already. (SwiftPM writes beside Package.swift.)
is_writable=yes
private_place="${TMPDIR:-/tmp}/vmemmap-emulator-$(id -u)"
use_private_place() {
    # Anybody can guess the name: a link in its place may lead to a folder of ours, whose rights are not to be changed.
    { mkdir -p "$private_place" && [ ! -L "$private_place" ] && [ -O "$private_place" ] &&
        chmod 700 "$private_place"; } ||
        fail "$private_place belongs to somebody else: set TMPDIR to a folder of your own"
}
if [ ! -w . ] || { [ -e .build ] && [ ! -w .build ]; }; then
    is_writable=no
    use_private_place
    # One for each folder that may only be read.
    copy="$private_place/copy-$(cksum <<<"$checkout" | cut -d ' ' -f 1)"
    mkdir -p "$copy"
    # What has left the folder leaves the copy. What was built there stays, and times, so that it is not built anew.
    find "$copy" -mindepth 1 -maxdepth 1 ! -name '.build*' ! -name Package.resolved -exec rm -rf {} +
    tar --exclude='./.build*' --exclude=./Package.resolved --mode=u+w -cf - . | tar -C "$copy" -xf - ||
        fail "cannot copy $checkout to $copy, to build there"
    cd "$copy" || exit
fi
if [ ! -w "${HOME:-/nonexistent}" ]; then
    use_private_place
    mkdir -p "$private_place/home"
    export HOME="$private_place/home"
fi

# Whether the program $1 was built from the sources as they are now, and from the folders named after it.
is_up_to_date() {
    [ -x "$1" ] && [ -z "$(find Package.swift CSystemShims Sources "${@:2}" -newer "$1" -type f | head -n 1)" ]
}

# Whether the tests' program $1 was built in the checkout, by somebody else.
is_built_for_us() { [ "$is_writable" = no ] && is_up_to_date "$checkout/$1" Tests; }

# Takes out of the binary $1 what no run needs, and clears the hashes of its modules, which follow from where they were
# built. (If strip took their section out, RELRO would go with it.)
strip_binary() {
    local strip place
    strip=$(command -v strip || command -v llvm-strip) || return 0
    "$strip" "$1"
    place=$(readelf -SW "$1" 2>/dev/null |
        sed -nE 's/.* \.swift_modhash +PROGBITS +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) .*/\1 \2/p') || return 0
    [ -z "$place" ] ||
        dd if=/dev/zero of="$1" bs=1 seek=$((16#${place% *})) count=$((16#${place#* })) conv=notrunc status=none
}

# Public parsers for what is exported, in a Python environment of their own; sets VMEMMAP_EXPORT_PYTHON if they are to
# be had. The test that needs them skips itself otherwise.
prepare_export_parsers() {
    local place=.build/export-parsers
    if ! "$place/bin/python" -c 'import jsonschema, prometheus_client' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! python3 -c 'import ensurepip' 2>/dev/null; then
            { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes python3 python3-venv; } >&2 || true
        fi
        { python3 -m venv "$place" &&
            "$place/bin/pip" install --quiet --retries 1 --timeout 15 \
                'jsonschema>=4.18' 'prometheus_client>=0.17'; } >&2 ||
            { echo "no parsers from PyPI: the test of the exports skips itself" >&2 && return; }
    fi
    VMEMMAP_EXPORT_PYTHON=$(cd "$place" && pwd)/bin/python
    export VMEMMAP_EXPORT_PYTHON
}
