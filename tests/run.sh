#!/bin/sh
# All tests but the slow ones: `make test`. Arguments: the command that runs pytest.
#
# Tests that start Ray wait for processes most of the time. The others run beside them, with a lower priority and
# one thread for each computation, and are shown when they have ended.
set -u
cd "$(dirname "$0")/.." || exit 1
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
OMP_NUM_THREADS=1 nice -n 10 "$@" -m 'not slow and not ray' > "$shown" 2>&1 &
others=$!
trap 'kill $others 2> /dev/null; exit 130' INT TERM
"$@" -m 'not slow and ray'
with_ray=$?
wait $others
without_ray=$?
echo
cat "$shown"
test $with_ray = 0 && test $without_ray = 0
