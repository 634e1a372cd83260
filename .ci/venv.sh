#!/bin/sh
# Make .venv with a Python >= 3.11: the one given, else the first that runs.
set -eu
enough='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
for python in ${1:+"$1"} python3 python3.13 python3.12 python3.11 python3.14; do
    if "$python" -c "$enough" >/dev/null 2>&1; then
        echo "setting up .venv with $("$python" --version)"
        exec "$python" -m venv .venv
    fi
done
echo "no Python >= 3.11 with venv was found; name one: make PYTHON=/path/to/python3 ..." >&2
exit 1
