#!/usr/bin/env bash
# Lints, types and a smoke run on each Python 3.11 to 3.14 that is installed: `make check-pythons`.
#
# Interpreters are searched on PATH and among pyenv's versions; one without venv and ensurepip is passed over.
# The environment of 3.X is .venvs/3.X and the output of its steps .venvs/3.X.log. A step runs also after another
# failed. Arguments restrict the versions: tests/pythons.sh 3.12 3.13. Exits with 1 if a step failed anywhere.
set -u
cd "$(dirname "$0")/.." || exit 1

find_python() {  # prints the path of an interpreter 3.X, fails if there is none
    local candidate found
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        found=$("$candidate" -c 'import ensurepip, sys, venv; print(*sys.version_info[:2], sep=".")' 2>/dev/null)
        if test "$found" = "$1"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

install() {  # makes the environment, or brings it up to date
    test -x "$env/bin/python" || "$1" -m venv "$env" || return
    test "$env/.test" -nt pyproject.toml && test "$env/.test" -nt constraints.txt && return
    "$env/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]' && touch "$env/.test"
}

lint() {
    "$env/bin/ruff" check . && "$env/bin/ruff" format --check .
}

sweep() {
    "$env/bin/python" -m tune sweep --data shapes --max-images 256 --held-out 64 --resolution 16 --width 8 \
        --batch 16 --trials 2 --images-per-trial 512 --images-per-tick 256 --storage "$scratch" --name smoke &&
        test -d "$scratch/smoke/best"
}

stylize() {
    "$env/bin/python" -c "
import sys, numpy, PIL.Image, pathlib
for name in ('photos', 'paintings'):
    folder = pathlib.Path(sys.argv[1], name)
    folder.mkdir()
    pixels = numpy.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype='uint8')
    PIL.Image.fromarray(pixels).save(folder / 'noise.png')" "$scratch" &&
        "$env/bin/python" -m styletransfer "$scratch/photos" "$scratch/paintings" "$scratch/out" --size 64 --iterations 4 &&
        test -s "$scratch/out/manifest.jsonl"
}

step() {  # runs a step into the log and adds it to the line of this interpreter
    echo "== $1" >>"$log"
    if "${@:2}" >>"$log" 2>&1; then
        line+="  $1 ok"
    else
        line+="  $1 FAILED (see $log)"
        status=1
    fi
}

mkdir -p .venvs
status=0
test $# -gt 0 || set -- 3.11 3.12 3.13 3.14
for version; do
    if ! python=$(find_python "$version"); then
        echo "Python $version  not installed"
        continue
    fi
    env=.venvs/$version log=.venvs/$version.log scratch=$(mktemp -d) began=$SECONDS
    line="$("$python" --version)"
    : >"$log"
    step install install "$python"
    step lint lint
    step types "$env/bin/mypy" --python-version "$version"
    step sweep sweep
    step "style transfer" stylize
    echo "$line  ($((SECONDS - began)) s)"
    rm -rf "$scratch"
done
exit $status
