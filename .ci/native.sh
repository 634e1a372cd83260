#!/bin/sh
# Build the Rust engine in release mode into the package. `demo`: a failure is told, and the pure engine serves;
# `test`: a failure fails. Without cargo one line says so.
set -eu
if ! command -v cargo >/dev/null 2>&1; then
    echo "native: not built (no cargo here); the pure Python engine serves"
    exit 0
fi
log=.venv/native-build.log
# The tag that marks build output, which cargo sets only on a folder that it made itself.
mkdir -p target
[ -e target/CACHEDIR.TAG ] || printf 'Signature: 8a477f597d28d172789f06886806bc55\n' >target/CACHEDIR.TAG
echo "native: building the Rust engine (release; cached)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check "maturin>=1.9,<2"
root=$(pwd)
if VIRTUAL_ENV="$root/.venv" PATH="$root/.venv/bin:$PATH" \
    .venv/bin/python -m maturin develop --release --quiet --skip-install >"$log" 2>&1; then
    echo "native: built"
elif [ "$1" = demo ]; then
    echo "native: the build failed ($(grep -m1 -i error "$log" || echo 'no error line')); the pure Python engine serves; see $log"
else
    cat "$log" >&2
    echo "native: the build failed" >&2
    exit 1
fi
