# shellcheck shell=sh
#
# install.sh - installs what demo.sh, check.sh and .ci/run need; they source
# this file from the project's folder. With everything there it starts a few
# processes, and asks nothing of the network.

# Ends the script with an error.
fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# Runs a command, and shows what it printed only if it fails.
quietly() {
  output=$("$@" 2>&1 </dev/null) && return
  printf '%s\n' "$output" >&2
  return 1
}

# need NAME PACKAGES COMMAND...: takes NAME, and the Debian packages that hold
# it, for missing if the command fails.
need() {
  name=$1
  packages=$2
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    missing="${missing:+$missing, }$name"
    missing_packages="$missing_packages $packages"
  fi
}

# Whether the compiler works and finds a header. The folders are where other
# systems (macOS, BSD) keep what was installed later.
can_include() {
  # CC may hold options too, so it is split into words.
  # shellcheck disable=SC2086
  printf '#include <%s>\n' "$1" | ${CC:-cc} -E -I/opt/homebrew/include \
    -I/opt/local/include -I/usr/local/include -
}

need_build_tools() {
  need 'a C compiler' 'gcc libc6-dev' can_include stdio.h
  need CMake cmake command -v cmake
  need make make command -v make
}

# Installs what is missing. The argument is a function that calls need for
# all that the script uses.
install_missing() {
  missing='' missing_packages=''
  "$1"
  [ -n "$missing" ] || return 0

  if ! command -v apt-get >/dev/null; then
    # Who has Homebrew has a compiler and make.
    by=$(printf '%s' "$missing_packages" | sed s/libcmocka-dev/cmocka/)
    ! command -v brew >/dev/null || fail "please run: brew install$by; then this again"
    fail "please install $missing; then run this again"
  fi
  install="apt-get install -y --no-install-recommends$missing_packages"
  by_hand="run this as root, and then this script again:

  apt-get update && $install
"
  as_root=''
  if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null ||
      fail "missing: $missing. You are not root, and there is no sudo; $by_hand"
  fi

  printf 'Installing %s, with %sapt-get; the Debian packages are:\n %s\n' \
    "$missing" "${as_root:+$as_root }" "$missing_packages"
  # A source that can't be reached need not be one that is needed. The lock
  # may be held by a new system that is just updating itself.
  # shellcheck disable=SC2086
  quietly $as_root sh -c "apt-get -q update || true
    export DEBIAN_FRONTEND=noninteractive
    $install -q -o DPkg::Lock::Timeout=120" ||
    fail "the installation failed; mend it, or $by_hand"

  missing='' missing_packages=''
  "$1"
  [ -z "$missing" ] || fail "still missing: $missing"
}
