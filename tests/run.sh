#!/bin/sh
# All tests but the slow ones: `make test`. Arguments: the command that runs pytest.
#
# Tests that start Ray often wait for its processes. So there are two rows of them, sweeps and all others, and
# beside both, with a lower priority and one thread for each computation, the tests without Ray. What is not in
# the foreground is shown when it has ended; the last lines name all tests that failed, of whichever row.
set -u
cd "$(dirname "$0")/.." || exit 1
rows=$(mktemp -d)
trap 'rm -rf "$rows"' EXIT
OMP_NUM_THREADS=1 nice -n 10 "$@" -m 'not slow and not ray' > "$rows/without" 2>&1 &
without_pid=$!
"$@" -m 'not slow and ray' --ignore tests/tune > "$rows/others" 2>&1 &
others_pid=$!
trap 'kill $without_pid $others_pid 2> /dev/null; exit 130' INT TERM
{
    "$@" -m 'not slow and ray' tests/tune 2>&1
    echo $? > "$rows/status"
} | tee "$rows/sweeps"
wait $others_pid
of_others=$?
wait $without_pid
of_without=$?
echo
cat "$rows/others" "$rows/without"
test "$(cat "$rows/status")" = 0 && test $of_others = 0 && test $of_without = 0 && exit 0
printf '\nfailed, of all three rows:\n'
grep -hE '^(FAILED|ERROR) ' "$rows/sweeps" "$rows/others" "$rows/without"
exit 1
