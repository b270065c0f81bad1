#!/bin/sh
# Install the Debian packages named on the command line that are missing.
# "a|b" means a, or b where the release has no a.
set -eu

installed()
{
    dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null |
        grep -q '^install ok installed$'
}

missing=
for wanted in "$@"; do
    found=
    for p in $(echo "$wanted" | tr '|' ' '); do
        if installed "$p"; then
            found=$p
        fi
    done
    [ -n "$found" ] || missing="$missing $wanted"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "deps: no Debian here; install what these packages hold:$missing" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps: not root and no sudo; as root run: apt-get install$missing" >&2
        exit 1
    fi
    sudo=sudo
fi

echo "deps: installing$missing"
$sudo apt-get update -qq
packages=
for wanted in $missing; do
    for p in $(echo "$wanted" | tr '|' ' '); do
        if apt-cache show "$p" >/dev/null 2>&1; then
            break
        fi
    done
    packages="$packages $p"
done

# The servers among them are for tests, which start their own: while we install,
# no service is started, unless the machine has a policy about that already.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo sh -c "cat >$policy && chmod 755 $policy"
    trap '$sudo rm -f $policy' EXIT
    trap 'exit 1' INT TERM
fi
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $packages >/dev/null
