#!/bin/sh
# All tests but the slow ones: `make test`. Arguments: the command that runs pytest.
#
# Tests that start Ray often wait for its processes. So there are two rows of them, sweeps and all others, and
# beside both, with a lower priority and one thread for each computation, the tests without Ray. What is not in
# the foreground is shown when it has ended.
set -u
cd "$(dirname "$0")/.." || exit 1
others=$(mktemp) without=$(mktemp)
trap 'rm -f "$others" "$without"' EXIT
OMP_NUM_THREADS=1 nice -n 10 "$@" -m 'not slow and not ray' > "$without" 2>&1 &
without_pid=$!
"$@" -m 'not slow and ray' --ignore tests/tune > "$others" 2>&1 &
others_pid=$!
trap 'kill $without_pid $others_pid 2> /dev/null; exit 130' INT TERM
"$@" -m 'not slow and ray' tests/tune
of_sweeps=$?
wait $others_pid
of_others=$?
wait $without_pid
of_without=$?
echo
cat "$others" "$without"
test $of_sweeps = 0 && test $of_others = 0 && test $of_without = 0
