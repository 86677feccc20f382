# Finds the Python that runs this project: the active environment's, else that of .venv, made the first time.
# Sourced by the scripts beside it, which set `root` to the project's folder.

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# Sets `python`. $1: "run" for the packages that the commands need, "dev" for those of the tests besides.
use_environment() {
    if [ -n "${VIRTUAL_ENV:-}" ]; then
        python=$VIRTUAL_ENV/bin/python
    elif [ -n "${CONDA_PREFIX:-}" ]; then
        python=$CONDA_PREFIX/bin/python
    elif [ -n "${COLAB_RELEASE_TAG:-}" ]; then
        python=$(command -v python3)
    else
        python=$root/.venv/bin/python
        make_environment "$1"
    fi
    [ -x "$python" ] || fail "the active environment has no Python at $python. Deactivate it, then start again."
}

# Sets `python` to that of .venv-lowest, made the first time, whatever environment is active: it has the oldest versions
# that setup.py admits.
use_lowest_environment() {
    export VIRTUAL_ENV="$root/.venv-lowest" # tests start commands, which are to run there too
    python=$VIRTUAL_ENV/bin/python
    make_environment lowest
}

# Brings the environment of `python` up to date with setup.py and its constraints. $1: as above, or "lowest".
make_environment() {
    constraints=$root/constraints.txt
    pythons="python3 python3.13 python3.12 python3.11"
    if [ "$1" = lowest ]; then
        constraints=$root/constraints-lowest.txt
        pythons="python3.11"
    fi
    checksum=$(cat "$root/setup.py" "$constraints" | cksum)
    stamp=${python%/bin/python}/.made-for-$1
    if [ -x "$python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$checksum" ]; then
        return
    fi
    find_python
    "$found" "$root/bin/set_up.py" "${0##*/}" "$1" "$checksum" || exit
}

# Sets `found`: a Python that the pinned TensorFlow has wheels for. A name on PATH may be a shim that fails, so each is run.
find_python() {
    without_venv=
    for found in $pythons; do
        "$found" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 || continue
        "$found" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
        without_venv=${without_venv:-$found}
    done
    [ -z "$without_venv" ] || fail "$without_venv cannot make environments. Install its venv module" \
        "(Debian, Ubuntu: apt install $(package_of "$without_venv")), then start again."
    [ "$pythons" = python3.11 ] && fail "the oldest versions need Python 3.11, and PATH has none that runs. Install it, then" \
        "start again."
    fail "needs Python 3.11, 3.12 or 3.13, and PATH has none that runs. Install one, then start again."
}

package_of() {
    "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}
