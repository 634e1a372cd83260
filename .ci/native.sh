#!/bin/sh
# Build the Rust engine in release mode into the package. `demo`: a failure is told, and the pure engine serves;
# `test`: a failure fails, and the engine `alchemy` is part of it where OpenSSL is. Without cargo one line says so.
set -eu
if ! command -v cargo >/dev/null 2>&1; then
    echo "native: not built (no cargo here); the pure Python engine serves"
    exit 0
fi
log=.venv/native-build.log
# The features of what was built last. `demo` keeps them, so that the two commands do not undo each other's work.
stamp=.venv/.made/native-features
features=
if [ "$1" = demo ]; then
    if [ -e "$stamp" ] && [ -n "$(ls tinyagent_actors/_alchemy/_lib*.so 2>/dev/null)" ]; then
        features=$(cat "$stamp")
    fi
elif [ "$(uname)" != Linux ] || echo '#include <openssl/ssl.h>' | cc -E - >/dev/null 2>&1; then
    features=alchemy
elif command -v perl >/dev/null 2>&1 && command -v make >/dev/null 2>&1 && command -v cc >/dev/null 2>&1; then
    features=alchemy-vendored
else
    echo "alchemy: left out (neither OpenSSL's headers here nor perl, make and a C compiler to build it)"
fi
# The tag that marks build output, which cargo sets only on a folder that it made itself.
mkdir -p target
[ -e target/CACHEDIR.TAG ] || printf 'Signature: 8a477f597d28d172789f06886806bc55\n' >target/CACHEDIR.TAG
echo "native: building the Rust engine (release${features:+, with $features}; cached)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check "maturin>=1.9,<2"
root=$(pwd)
if VIRTUAL_ENV="$root/.venv" PATH="$root/.venv/bin:$PATH" \
    .venv/bin/python -m maturin develop --release --quiet --skip-install ${features:+--features "$features"} >"$log" 2>&1; then
    mkdir -p .venv/.made
    echo "$features" >"$stamp"
    echo "native: built"
elif [ "$1" = demo ]; then
    echo "native: the build failed ($(grep -m1 -i error "$log" || echo 'no error line')); the pure Python engine serves; see $log"
else
    cat "$log" >&2
    echo "native: the build failed" >&2
    exit 1
fi
