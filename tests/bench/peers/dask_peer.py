"""Dask's LocalCluster of two worker processes: `python3 dask_peer.py <plan as JSON>`. Its last line of output is its report."""

import json
import sys

from distributed import Client, LocalCluster, as_completed
from tasks import drain, measure, noop, samples, slice_sizes


def same(count):
    return count


def main(plan):
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        operations = {
            "noops": (
                "for _ in as_completed(client.map(noop, range(n), pure=False))",
                same,
                lambda count: drain(as_completed(client.map(noop, range(count), pure=False))),
            ),
            "apply": (
                "client.submit(noop, 1, pure=False).result()",
                same,
                lambda _: client.submit(noop, 1, pure=False).result(),
            ),
            "sampleChunks": (
                "sum(client.gather(client.map(samples, 16 counts, pure=False)))",
                lambda count: slice_sizes(count, 16),
                lambda counts: sum(client.gather(client.map(samples, counts, pure=False))),
            ),
        }
        report = measure(plan, operations)
    print(json.dumps(report))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
