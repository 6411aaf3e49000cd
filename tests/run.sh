#!/bin/sh
# All tests but the slow ones: `make test`. Arguments: the command that runs pytest.
#
# Tests that start Ray wait for processes most of the time, those on clusters of hosts even more. These run beside
# each other, and beside them, with a lower priority and one thread for each computation, all others. What is not
# in the foreground is shown when it has ended.
set -u
cd "$(dirname "$0")/.." || exit 1
others=$(mktemp) clusters=$(mktemp)
trap 'rm -f "$others" "$clusters"' EXIT
OMP_NUM_THREADS=1 nice -n 10 "$@" -m 'not slow and not ray' > "$others" 2>&1 &
others_pid=$!
"$@" -m 'not slow' tests/cluster > "$clusters" 2>&1 &
clusters_pid=$!
trap 'kill $others_pid $clusters_pid 2> /dev/null; exit 130' INT TERM
"$@" -m 'not slow and ray' --ignore tests/cluster
with_ray=$?
wait $clusters_pid
on_clusters=$?
wait $others_pid
without_ray=$?
echo
cat "$clusters" "$others"
test $with_ray = 0 && test $on_clusters = 0 && test $without_ray = 0
