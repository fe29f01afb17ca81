"""Python's multiprocessing.Manager, standard library only: `python3 manager_peer.py <plan as JSON>`. Its last line of output is its report."""

import json
import multiprocessing
import sys
import threading
from functools import partial

from tasks import CONCURRENT, KEYS, is_prime, measure


def collect(found, n):
    if is_prime(n):
        found.append(n)


class Shared:
    """The objects of the operations, anew for each run."""

    def __init__(self, manager, pool):
        self.manager, self.pool = manager, pool
        self.items = self.entries = self.locks = None

    def new_list(self, count):
        self.items = self.manager.list()
        return count

    def append(self, count):
        for item in range(count):
            self.items.append(item)

    def collect(self, count):
        self.pool.map(partial(collect, self.items), range(count))

    def new_dict(self, count):
        self.entries = self.manager.dict()
        return count

    def full_dict(self, count):
        self.entries = self.manager.dict({f"key {at}": at for at in range(KEYS)})
        return count

    def set(self, at):
        self.entries[f"key {at % KEYS}"] = at

    def get(self, at):
        return self.entries[f"key {at % KEYS}"]

    def values(self, count):
        entries = self.entries.copy()
        return [entries[f"key {at}"] for at in range(min(KEYS, count))]

    def new_locks(self, how_many, count):
        self.locks = [self.manager.Lock() for _ in range(how_many)]
        return count

    def pairs(self, lock, count):
        for _ in range(count):
            lock.acquire()
            lock.release()

    def pairs_in_threads(self, count):
        threads = [
            threading.Thread(target=self.pairs, args=(lock, count // len(self.locks))) for lock in self.locks
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def are_free(self, _):
        free = [lock.acquire(False) for lock in self.locks]
        for lock in self.locks:
            lock.release()
        return all(free)


def main(plan):
    with multiprocessing.Manager() as manager, multiprocessing.Pool(2) as pool:
        shared = Shared(manager, pool)
        operations = {
            "appends": (
                "items = manager.list(); items.append(item), one by one",
                shared.new_list,
                shared.append,
                lambda _: shared.items[:],
            ),
            "sets": ("entries = manager.dict(); entries[key] = value", shared.new_dict, shared.set, shared.values),
            "gets": ("entries[key]", shared.full_dict, shared.get),
            "lockPairs": (
                "lock = manager.Lock(); lock.acquire(); lock.release()",
                partial(shared.new_locks, 1),
                lambda _: shared.pairs(shared.locks[0], 1),
                shared.are_free,
            ),
            "manyLockPairs": (
                f"the same by {CONCURRENT} threads of one process, each with a lock and a connection of its own",
                partial(shared.new_locks, CONCURRENT),
                shared.pairs_in_threads,
                shared.are_free,
            ),
            "collectedPrimes": (
                "pool.map(partial(collect, items), range(n)), which appends a prime to items = manager.list()",
                shared.new_list,
                shared.collect,
                lambda _: shared.items[:],
            ),
        }
        report = measure(plan, operations)
    print(json.dumps(report))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
