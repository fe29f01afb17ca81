"""Python's multiprocessing, standard library only: `python3 multiprocessing_peer.py <plan as JSON>`. Its last line of output is its report."""

import json
import multiprocessing
import sys
import threading

from tasks import cube, drain, is_prime, measure, noop, sales, sample, samples, slice_sizes, taxed


def same(count):
    return count


def called(pool, count):
    """How many calls were answered; so many are under way at a time."""
    room = threading.Semaphore(1024)
    answers = []

    def answered(value):
        answers.append(value)
        room.release()

    for item in range(count):
        room.acquire()
        pool.apply_async(noop, (item,), callback=answered)
    for _ in range(1024):
        room.acquire()
    return len(answers)


def main(plan):
    with multiprocessing.Pool(2) as pool:
        operations = {
            "noops": (
                "for _ in pool.imap(noop, range(n), chunksize=1)",
                same,
                lambda count: drain(pool.imap(noop, range(count), chunksize=1)),
            ),
            "calls": (
                "pool.apply_async(noop, (item,), callback=...), 1024 under way",
                same,
                lambda count: called(pool, count),
            ),
            "apply": ("pool.apply(noop, (1,))", same, lambda _: pool.apply(noop, (1,))),
            "cubes": ("pool.map(cube, range(n))", same, lambda count: pool.map(cube, range(count))),
            "samples": (
                "sum(pool.map(sample, range(n)))",
                same,
                lambda count: sum(pool.map(sample, range(count))),
            ),
            "sampleChunks": (
                "sum(pool.map(samples, 16 counts, chunksize=1))",
                lambda count: slice_sizes(count, 16),
                lambda counts: sum(pool.map(samples, counts, chunksize=1)),
            ),
            "serialPrimes": (
                "[is_prime(i) for i in range(n)]",
                same,
                lambda count: [is_prime(n) for n in range(count)],
            ),
            "primes": (
                "pool.map(is_prime, range(n)), its default of 8 chunks",
                same,
                lambda count: pool.map(is_prime, range(count)),
            ),
            "objects": ("pool.map(taxed, objects)", sales, lambda objects: pool.map(taxed, objects)),
        }
        report = measure(plan, operations)
    print(json.dumps(report))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
