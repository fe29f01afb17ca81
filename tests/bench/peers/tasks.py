"""The tasks of tests/bench/tasks.ts and chunk-tasks.ts in Python, and how operations are measured: as measure.ts does it."""

import random
import time

# As in rows.ts.
CONCURRENT = 64
KEYS = 1000


def noop(x):
    return x


def cube(x):
    return x**3


def sample(_):
    return random.random() ** 2


def samples(count):
    return sum(random.random() ** 2 for _ in range(count))


def is_prime(n):
    if n < 2:
        return False
    divisor = 2
    while divisor * divisor <= n:
        if n % divisor == 0:
            return False
        divisor += 1
    return True


def taxed(sale):
    return {"id": sale["id"], "name": sale["name"], "total": sale["price"] * 2}


def sales(count):
    return [{"id": at, "name": f"sale {at % 100}", "price": at / 4} for at in range(count)]


def slice_sizes(count, pieces):
    size = max(1, -(-count // pieces))
    return [min(size, count - at) for at in range(0, count, size)]


def drain(iterator):
    return sum(1 for _ in iterator)


def check(operation, count, result, at=0):
    """Raises ValueError for a wrong answer. How many primes there are is known from the sieve; `at`: which call it was, of single calls."""
    right = {
        "noops": lambda: result == count,
        "calls": lambda: result == count,
        "apply": lambda: result == 1,
        "cubes": lambda: len(result) == count and result[-1] == (count - 1) ** 3,
        "samples": lambda: abs(result / count - 1 / 3) < 3 / count**0.5,
        "sampleChunks": lambda: abs(result / count - 1 / 3) < 3 / count**0.5,
        "serialPrimes": lambda: len(result) == count and sum(result) == primes_below(count),
        "primes": lambda: len(result) == count and sum(result) == primes_below(count),
        "objects": lambda: result[count - 1]["id"] == count - 1 and result[count - 1]["total"] == (count - 1) / 2,
        "appends": lambda: result == list(range(count)),
        "sets": lambda: result == [last_of(key, count) for key in range(min(KEYS, count))],
        "gets": lambda: result == at % KEYS,
        "lockPairs": lambda: result is True,
        "manyLockPairs": lambda: result is True,
        "collectedPrimes": lambda: (
            len(result) == len(set(result)) == primes_below(count) and all(is_prime(n) for n in result)
        ),
    }[operation]
    if not right():
        raise ValueError(f"{operation}: the answer is wrong")


def last_of(key, count):
    """What a key was set to last when each of `count` sets, in order, wrote its number."""
    return key + KEYS * ((count - 1 - key) // KEYS)


def primes_below(bound):
    composite = bytearray(bound)
    found = 0
    for n in range(2, bound):
        if not composite[n]:
            found += 1
            for multiple in range(n * n, bound, n):
                composite[multiple] = 1
    return found


def measure(plan, operations):
    """
    `operations`: id to (how, prepare, run) or (how, prepare, run, outcome); prepare(count) makes the argument of run, outside of the measured
    time, which single calls have their number for; outcome(count) reads what is checked instead of what run gave.
    """
    report = {"laps": {}, "hows": {}, "failures": {}}
    for planned in plan:
        name = planned["id"]
        if name not in operations:
            continue
        how, *steps = operations[name]
        report["hows"][name] = how
        try:
            report["laps"][name] = (call_laps if planned["isCalls"] else run_laps)(planned, *steps)
        except Exception as error:
            report["failures"][name] = repr(error)
    return report


def call_laps(planned, prepare, run, outcome=None):
    name, calls, warm_up_count = planned["id"], planned["laps"], planned["warmUpCount"]
    prepare(warm_up_count)
    for _ in range(planned["warmUps"]):
        for at in range(warm_up_count):
            run(at)
    prepare(calls)
    laps = []
    for at in range(calls):
        start = time.perf_counter()
        result = run(at)
        laps.append(time.perf_counter() - start)
        if outcome is None:
            check(name, 1, result, at)
    if outcome is not None:
        check(name, calls, outcome(calls))
    return laps


def run_laps(planned, prepare, run, outcome=None):
    name, count, warm_up_count = planned["id"], planned["count"], planned["warmUpCount"]
    for _ in range(planned["warmUps"]):
        run(prepare(warm_up_count))
    laps = []
    for _ in range(planned["laps"]):
        argument = prepare(count)
        start = time.perf_counter()
        result = run(argument)
        laps.append(time.perf_counter() - start)
        check(name, count, result if outcome is None else outcome(count))
    return laps
