#!/bin/sh
# Build .venv from requirements.lock: `make env`. PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

# All that is missing, in one line, before anything is downloaded.
missing=
packages=
lack() {
    missing="${missing:+$missing, }$1"
    packages="${packages:+$packages }$2"
}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    lack "Python 3.11 or later ($python is not; PYTHON=... names another)" "python3 python3-venv"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lack "venv with ensurepip" python3-venv
fi
for tool in g++ make perl; do
    command -v "$tool" >/dev/null || lack "$tool" "$tool"
done
if [ -n "$missing" ]; then
    echo "make env: missing: $missing; on Debian: apt-get install $packages" >&2
    exit 1
fi

if [ -L .venv ]; then
    echo "make env: .venv is a link to $(readlink .venv), which is not cleared; remove the link" >&2
    exit 1
fi
echo "make env: installing the locked packages into .venv"
"$python" -m venv --clear .venv
pip() {
    .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"
}
# --no-deps: the lock is complete, and pip must not choose a version of its own.
pip install --no-deps --requirement requirements.lock
pip install --no-deps --no-build-isolation --editable .
pip check
.venv/bin/python -c 'from lutverif import native; print("make env: using", native.verilator()[0])'
touch .venv/complete
